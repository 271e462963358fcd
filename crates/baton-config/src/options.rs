//! What the caller tells the loader.

use crate::js::{Limits, Loader, Texts};
use baton_core::spec::{Environment, Layer};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Options of the command line that act on the apps of a process file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CliOverrides {
    /// Unit of the apps that name none (`--namespace`).
    pub namespace: Option<String>,
    /// Values that stand above those of every app (`--cwd`, `--uid`, `--gid`, `--watch`, `--ignore-watch` …), by key.
    pub fields: Map<String, Value>,
}

/// What becomes of apps that are not those of the target, but are needed by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dependencies {
    /// They are left where they are, and no other file is read: for verbs that end apps.
    #[default]
    Leave,
    /// They are named, so that the definitions are whole, and not brought along (`--no-deps`).
    Name,
    /// They come along.
    Bring,
}

/// Whether a file without the chosen profile is a mistake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProfileIn {
    /// One of the files has it: a name that none has is refused.
    #[default]
    Some,
    /// It is applied where a file has it: in what comes along with a target.
    Any,
}

/// What the caller tells the loader.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The caller's whole environment.
    pub caller_env: Environment,
    /// Keys that are taken out of it when the caller runs inside an app.
    pub strip: &'static [&'static str],
    /// Variables that a process file sees while it is evaluated, and no app gets by themselves (`--eval-env`).
    pub eval_env: Environment,
    /// The directory the caller is in: absolute.
    pub caller_cwd: PathBuf,
    /// The chosen `env_<name>` (`--env`).
    pub env_name: Option<String>,
    /// The chosen one of the file's `profiles` (`--profile`).
    pub profile: Option<String>,
    /// Whether it must be there.
    pub profile_in: ProfileIn,
    /// The entry of a library in Clojure (`--entry`).
    pub entry: Option<String>,
    /// Settings over the file, each `KEY=VALUE` (`--set`).
    pub set: Vec<String>,
    /// Keys taken out of the file (`--unset`).
    pub unset: Vec<String>,
    /// Only these apps (`--only`); all when empty.
    pub only: Vec<String>,
    /// What becomes of what the apps depend on.
    pub dependencies: Dependencies,
    /// Options that act on every app.
    pub overrides: CliOverrides,
    /// Which JavaScript runs a process file.
    pub loader: Loader,
    /// Limits of that run.
    pub limits: Limits,
    /// Texts that stand for files, by absolute path: what would be if they were written.
    pub texts: Texts,
    /// Baton's home: default log files are named in its `logs`.
    pub home: PathBuf,
}

impl LoadOptions {
    /// The environment in which a process file is evaluated.
    pub fn evaluation_env(&self) -> Environment {
        let mut all = self.caller_env.clone();
        all.extend(self.eval_env.clone());
        all
    }
}

/// Where one app comes from, beside the caller's options.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The caller's options.
    pub options: &'a LoadOptions,
    /// The process file; `None` for a command line.
    pub file: Option<&'a Path>,
    /// Position among the file's apps, from 0.
    pub index: usize,
    /// Variables of the file's `deploy.<profile>.env`, below those of the app.
    pub deploy_env: Option<&'a Environment>,
    /// What the app's `env` was made of; empty: nobody noted it.
    pub layers: &'a [Layer],
}

impl<'a> Context<'a> {
    /// An app that is given on the command line.
    pub fn command_line(options: &'a LoadOptions) -> Context<'a> {
        Context { options, file: None, index: 0, deploy_env: None, layers: &[] }
    }
}
