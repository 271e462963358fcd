//! Why the daemon does not do what it is asked.

use crate::deps::DependencyError;
use crate::select::SelectError;
use crate::sync::SyncError;
use crate::units::InstanceId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What to do about a daemon of another time. Only a program that it understands can have it replaced.
fn foreign(daemon: u32, client: u32) -> String {
    let spoken = format!("it speaks protocol {daemon}, this program {client}");
    if daemon > client {
        format!("the daemon is of a newer version ({spoken}): use the newer program")
    } else {
        format!(
            "the daemon is of an older version ({spoken}): run `update --executable NEW` with the program that it was started from"
        )
    }
}

/// Why a request was refused. The texts are those that people know from PM2 where it has one.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A word that names nothing.
    #[error("{0}")]
    Unknown(SelectError),
    /// The script is running already.
    #[error("Script already launched, add -f option to force re-execution")]
    AlreadyLaunched,
    /// The client speaks another protocol.
    #[error("{}", foreign(*daemon, *client))]
    Protocol {
        /// What the daemon speaks.
        daemon: u32,
        /// What the client speaks.
        client: u32,
    },
    /// Nobody was told to carry out an action.
    #[error("{0}")]
    Action(ActionRefusal),
    /// A patch holds a value that does not fit its key.
    #[error("{0}")]
    BadPatch(String),
    /// Apps that could not be started because of what they depend on.
    #[error("{0}")]
    Dependencies(DependencyError),
    /// A source can't be made the truth as it is.
    #[error("{0}")]
    Sync(SyncError),
    /// The daemon is ending.
    #[error("the daemon is ending")]
    Ending,
    /// The operating system refused.
    #[error("{0}")]
    System(String),
}

/// Why nobody was told to carry out an action. The texts are PM2's.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionRefusal {
    /// A number that is not there.
    #[error("{0} id unknown")]
    NoId(String),
    /// The slot of this number does not have the action.
    #[error("Action doesn't exist {action} for {app}")]
    NoAction {
        /// The action.
        action: String,
        /// The app.
        app: String,
    },
    /// The slot of this number does not run.
    #[error("{0} : id offline")]
    Offline(InstanceId),
    /// A word that means no program which runs and has the action.
    #[error("Not any process has received a command (offline or unexistent)")]
    Nobody,
}
