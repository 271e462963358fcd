//! Why something could not be measured.

use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why something could not be measured. The text reads after "failed to".
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The kernel refused something.
    #[error("{doing}: {reason}")]
    System {
        /// What was being done.
        doing: String,
        /// The kernel's answer.
        reason: std::io::Error,
    },
    /// A command of a manager did not exit with 0.
    #[error("`{command}` ended with {status}: {output}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said last.
        output: String,
    },
    /// Something that had to happen did not.
    #[error("waited {} s in vain for {what}", .patience.as_secs())]
    Patience {
        /// What.
        what: String,
        /// How long.
        patience: Duration,
    },
    /// A manager said or did something else than the scenario needs, so that a time would mean nothing.
    #[error("{manager}: {what}")]
    Unexpected {
        /// Whose.
        manager: &'static str,
        /// What was seen.
        what: String,
    },
    /// There is no program to measure.
    #[error("{} is no program: build it first, or name it with --baton", .0.display())]
    NoBaton(PathBuf),
    /// `--pm2` or `$PM2` names nothing.
    #[error("{} is no program: name the pm2 of an npm installation", .0.display())]
    NoPm2(PathBuf),
    /// The process file could not be loaded.
    #[error("{0}")]
    Config(#[from] baton_config::ConfigError),
}

impl Failure {
    /// For `map_err`: what was being done when the kernel refused.
    pub(crate) fn system<E: Into<std::io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Failure {
        let doing = doing.into();
        move |reason| Failure::System { doing, reason: reason.into() }
    }
}
