//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Compare baton with PM2 on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Options {
    /// What to measure; everything when none is named.
    pub(crate) scenarios: Vec<Name>,
    /// Rounds: in each, every manager is measured once or more, in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// The pm2 to compare with; else $PM2, the nearest node_modules, or a fresh one from npm.
    #[arg(long)]
    pub(crate) pm2: Option<PathBuf>,
    /// Measure baton alone.
    #[arg(long, conflicts_with = "pm2")]
    pub(crate) alone: bool,
    /// The baton to measure; else the one built beside this program.
    #[arg(long)]
    pub(crate) baton: Option<PathBuf>,
    /// Where homes and logs are made; the directory for temporary files when not given.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Print JSON with every sample instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Options {
    /// The scenarios to run, in their order.
    pub(crate) fn chosen(&self) -> Vec<Name> {
        let all = Name::value_variants().iter().copied();
        all.filter(|name| self.scenarios.is_empty() || self.scenarios.contains(name)).collect()
    }
}

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// From no daemon to the first answer.
    Cold,
    /// Start, restart and delete a hundred apps.
    Fleet,
    /// The list, with no app and with a hundred.
    List,
    /// Memory of the manager with a hundred apps.
    Memory,
    /// From the death of an app to its successor.
    Crash,
    /// Log throughput and what it costs.
    Logs,
    /// Reading a gigabyte of log, beside `zcat | rg`.
    Read,
    /// A hundred apps that write a megabyte a second each.
    Crowd,
    /// A line from the app to who follows its log.
    Follow,
    /// From saving a process file to the new process.
    Sync,
    /// From a change of a watched file to the new process.
    Watch,
    /// From too much memory to the new process.
    Limits,
    /// Wake-ups with a hundred quiet apps.
    Idle,
    /// The dashboard with a hundred apps.
    Monit,
    /// Requests lost over reloads of a Node server.
    Reload,
    /// Requests to the workers of a Node program in cluster mode.
    Cluster,
    /// Evaluating a process file, beside `node -e`.
    Load,
    /// What the module before Node programs costs.
    Module,
}

impl Name {
    /// As on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Name::Cold => "cold",
            Name::Fleet => "fleet",
            Name::List => "list",
            Name::Memory => "memory",
            Name::Crash => "crash",
            Name::Logs => "logs",
            Name::Read => "read",
            Name::Crowd => "crowd",
            Name::Follow => "follow",
            Name::Sync => "sync",
            Name::Watch => "watch",
            Name::Limits => "limits",
            Name::Idle => "idle",
            Name::Monit => "monit",
            Name::Reload => "reload",
            Name::Cluster => "cluster",
            Name::Load => "load",
            Name::Module => "module",
        }
    }

    /// What is measured.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Name::Cold => "from no daemon to the first answer",
            Name::Fleet => "start, restart and delete a hundred apps",
            Name::List => "the list, with no app and with a hundred",
            Name::Memory => "memory of the manager with a hundred apps",
            Name::Crash => "from the death of an app to its successor",
            Name::Logs => "log throughput and what it costs",
            Name::Read => "reading a gigabyte of log",
            Name::Crowd => "a hundred apps that write a megabyte a second each",
            Name::Follow => "a line from the app to who follows its log",
            Name::Sync => "from saving one of fifty process files to the new process",
            Name::Watch => "from a change of a watched file to the new process",
            Name::Limits => "from too much memory to the new process",
            Name::Idle => "wake-ups in 30 s with a hundred quiet apps",
            Name::Monit => "the dashboard with a hundred apps",
            Name::Reload => "reloads under load",
            Name::Cluster => "requests to two workers in cluster mode",
            Name::Load => "evaluating a process file",
            Name::Module => "what the module before Node programs costs",
        }
    }
}
