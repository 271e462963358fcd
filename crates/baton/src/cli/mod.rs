//! The command line: one file a verb, each with its options, its work and its rendering.
//!
//! To add a verb, write `cli/<verb>.rs` with `Args` and `run`, and add a row to the table below; to refuse one, add it
//! to `absent.rs`. Every verb is a client of the daemon: nothing here decides what happens to an app.

mod absent;
mod act;
mod apps;
mod attach;
mod check;
mod cleardump;
mod common;
mod completion;
mod conf;
mod config;
mod daemon_update;
mod delete;
mod deploy;
mod describe;
mod dev;
mod diff;
mod env;
mod env_why;
mod errors;
mod events;
mod examples;
mod externals;
mod failure;
mod flush;
mod foreground;
mod get;
mod help;
mod history;
mod id;
mod init;
mod inspect;
mod install;
mod jlist;
mod kill;
mod logs;
mod ls;
mod man;
mod migrate;
mod monit;
mod multiset;
mod options;
mod pid;
mod ping;
mod plan;
mod prettylist;
mod reload;
mod reload_logs;
mod render;
mod report;
mod reset;
mod restart;
mod resurrect;
mod rollback;
mod runtime;
mod save;
mod scale;
mod schedule;
mod send;
mod send_signal;
mod serve;
mod service;
mod session;
mod set;
mod settings;
mod slist;
mod start;
mod start_or_reload;
mod start_or_restart;
mod startup;
mod stop;
mod story;
mod sync;
mod take_over;
mod target;
#[cfg(test)]
mod tests;
mod trigger;
mod uninstall;
mod unset;
mod unstartup;
mod usage;
mod version;
mod watch;
mod why;
mod words;

use baton_os::memory;
use clap::{CommandFactory, Parser};
use failure::Failure;
use session::{CalledAs, Session};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use words::Line;

macro_rules! verbs {
    ($( $variant:ident => $module:ident, $($name:literal)|+; )+) => {
        /// Every verb of this version.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Verb { $( $variant ),+ }

        impl Verb {
            /// All of them, in the order of the help page.
            pub(crate) const ALL: &[Verb] = &[ $( Verb::$variant ),+ ];

            /// The words that mean it; the first is its name.
            pub(crate) fn names(self) -> &'static [&'static str] {
                match self { $( Verb::$variant => &[$($name),+] ),+ }
            }

            /// Its options and help.
            pub(crate) fn command(self) -> clap::Command {
                match self { $( Verb::$variant => $module::Args::command() ),+ }.name(self.names()[0])
            }

            fn run(self, words: &[String], session: &mut Session) -> Result<(), Failure> {
                match self { $( Verb::$variant => {
                    let args: $module::Args = parsed(self, words, session)?;
                    session.adopt(&args.common);
                    $module::run(args, session)
                } ),+ }
            }
        }
    };
}

verbs! {
    Start => start, "start";
    Stop => stop, "stop";
    Restart => restart, "restart";
    Reload => reload, "reload" | "gracefulReload";
    Scale => scale, "scale";
    Delete => delete, "delete" | "del";
    StartOrRestart => start_or_restart, "startOrRestart";
    StartOrReload => start_or_reload, "startOrReload" | "startOrGracefulReload";
    Plan => plan, "plan";
    Sync => sync, "sync";
    History => history, "history";
    Diff => diff, "diff";
    Rollback => rollback, "rollback";
    List => ls, "list" | "ls" | "l" | "ps" | "status";
    Describe => describe, "describe" | "show" | "info" | "desc";
    Logs => logs, "logs" | "log";
    Why => why, "why";
    Events => events, "events";
    Errors => errors, "errors";
    Check => check, "check" | "preflight" | "validate";
    Render => render, "render";
    Init => init, "init" | "ecosystem";
    Migrate => migrate, "migrate";
    Schedule => schedule, "schedule";
    Watch => watch, "watch";
    Flush => flush, "flush";
    ReloadLogs => reload_logs, "reloadLogs";
    Reset => reset, "reset";
    Env => env, "env";
    Id => id, "id";
    Pid => pid, "pid";
    JsonList => jlist, "jlist";
    PrettyList => prettylist, "prettylist";
    System => slist, "slist" | "sysinfos";
    Attach => attach, "attach";
    Send => send, "send";
    SendSignal => send_signal, "sendSignal";
    Trigger => trigger, "trigger";
    Inspect => inspect, "inspect";
    Save => save, "save" | "dump";
    Resurrect => resurrect, "resurrect";
    ClearDump => cleardump, "cleardump";
    Monit => monit, "monit" | "dashboard" | "dash" | "imonit";
    Deploy => deploy, "deploy";
    Serve => serve, "serve" | "expose";
    Runtime => runtime, "runtime";
    Dev => dev, "dev";
    Startup => startup, "startup";
    Unstartup => unstartup, "unstartup";
    Set => set, "set";
    Get => get, "get";
    Unset => unset, "unset";
    MultiSet => multiset, "multiset";
    Conf => conf, "conf";
    Config => config, "config";
    Install => install, "install" | "module:install" | "module:update";
    Uninstall => uninstall, "uninstall" | "module:uninstall";
    Ping => ping, "ping";
    Kill => kill, "kill";
    Update => daemon_update, "update" | "updatePM2";
    Completion => completion, "completion";
    Man => man, "man";
    Examples => examples, "examples";
    Report => report, "report";
    Help => help, "help";
    Version => version, "version";
}

impl Verb {
    /// The verb that a word means.
    pub(crate) fn find(word: &str) -> Option<Verb> {
        Verb::ALL.iter().copied().find(|verb| verb.names().contains(&word))
    }
}

/// Carries out a command line. The first word is the path that the program was called by.
pub(crate) fn main(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    memory::grow_in_large_steps();
    let path = words.next();
    let (called, verb) = path.map_or((CalledAs::Baton, None), |path| called_as(&path));
    let words = verb.map(OsString::from).into_iter().chain(words);
    let mut session = Session::new(called);
    let done = service::Companion::begin().and_then(|companion| {
        let done = dispatch(words, &mut session);
        match companion {
            Some(companion) => companion.end(&done, &session).and(done),
            None => done,
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell(&session);
            failure.code()
        }
    }
}

/// By which name the program was called, and the verb that is meant by it.
fn called_as(path: &OsString) -> (CalledAs, Option<&'static str>) {
    match Path::new(path).file_name().and_then(|name| name.to_str()) {
        Some("pm2") => (CalledAs::Pm2, None),
        Some("pm2-runtime" | "pm2-docker") => (CalledAs::Pm2, Some("runtime")),
        Some("pm2-dev") => (CalledAs::Pm2, Some("dev")),
        _ => (CalledAs::Baton, None),
    }
}

fn dispatch(words: impl Iterator<Item = OsString>, session: &mut Session) -> Result<(), Failure> {
    match words::read(words)? {
        Line::Verb(verb, words) => verb.run(&words, session),
        Line::Version => {
            version::tell(session);
            Ok(())
        }
        Line::Help(word) => help::tell(word.as_deref(), session),
        Line::Empty => {
            session.data(usage::short(session.called).as_bytes());
            Err(Failure::Told)
        }
        Line::Unknown(word) => absent::answer(&word, session),
    }
}

/// The options of a verb, or what is wrong with them in PM2's words.
fn parsed<Args: Parser>(verb: Verb, words: &[String], session: &Session) -> Result<Args, Failure> {
    let command = verb.command().no_binary_name(true).disable_help_flag(true).disable_version_flag(true);
    command
        .try_get_matches_from(words)
        .and_then(|mut matches| Args::from_arg_matches_mut(&mut matches))
        .map_err(|error| usage::refusal(&error, verb, session))
}
