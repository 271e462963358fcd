//! What a verb can end with when it does not succeed: the text, what to do about it, and the exit code.

use super::session::Session;
use crate::client::ClientError;
use baton_config::ConfigError;
use baton_core::proto::Refusal;
use baton_core::select::SelectError;
use baton_pm2::client::Pm2Error;
use std::process::ExitCode;
use thiserror::Error;

/// Why a verb did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// The daemon said no; nothing was changed.
    #[error("{0}")]
    Refused(Refusal),
    /// The daemon could not be reached or started.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// A PM2 daemon does not do as it is told.
    #[error("{0}")]
    Pm2(#[from] Pm2Error),
    /// A process file or an option could not be made into an app.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The operating system said no.
    #[error("{what}: {error}")]
    System {
        /// What was being done, with the path.
        what: String,
        /// What it answered.
        error: std::io::Error,
    },
    /// The command line can't be carried out as it is.
    #[error("{0}")]
    Usage(String),
    /// Something of PM2's that this version, or every version, does without; the text says so.
    #[error("{0}")]
    Unavailable(String),
    /// Told already, with an exit code of its own.
    #[error("exit code {0}")]
    Code(u8),
    /// Told already; only the exit code is left.
    #[error("told already")]
    Told,
}

impl Failure {
    /// Wraps an error of the operating system with what was being done.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Failure {
        let what = what.into();
        move |error| Failure::System { what, error }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Failure::Code(code) => ExitCode::from(*code),
            Failure::Refused(_)
            | Failure::Client(_)
            | Failure::Pm2(_)
            | Failure::Config(_)
            | Failure::System { .. }
            | Failure::Usage(_)
            | Failure::Unavailable(_)
            | Failure::Told => ExitCode::FAILURE,
        }
    }

    /// Writes the failure to standard error in PM2's form.
    pub(crate) fn tell(&self, session: &Session) {
        match self {
            Failure::Told | Failure::Code(_) => {}
            // PM2 calls "nothing there" a warning, though its exit code is that of an error.
            Failure::Refused(Refusal::Unknown(SelectError::Nothing)) => session.warn(&self.to_string()),
            Failure::Config(error) => {
                session.pass_on(error.console());
                session.error(&error.to_string());
                if let Some(excerpt) = error.excerpt() {
                    session.complain(excerpt);
                }
                if let Some(help) = error.help() {
                    session.complain(&format!("  help: {help}"));
                }
            }
            Failure::Refused(_)
            | Failure::Client(_)
            | Failure::Pm2(_)
            | Failure::System { .. }
            | Failure::Usage(_)
            | Failure::Unavailable(_) => session.error(&self.to_string()),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}
