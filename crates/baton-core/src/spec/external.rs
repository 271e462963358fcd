//! Something that others run and an app needs: a database of the machine, a service in a container.

use crate::units::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One entry of the `external` map of a process file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Its name, by which apps depend on it.
    pub name: String,
    /// How to tell that it is there.
    pub probe: Probe,
    /// What to tell people when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// A command line that starts it; run only when that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// How long apps wait for it (ms).
    pub timeout: Millis,
    /// Where its command lines run: the directory of the process file, absolute.
    pub cwd: String,
}

/// How to tell that something is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// `HOST:PORT` takes a connection.
    Tcp(String),
    /// A GET of this `http://` address is answered with a status from 200 to 399.
    Http(String),
    /// This command line ends with exit code 0.
    Exec(String),
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probe::Tcp(address) => write!(f, "tcp {address}"),
            Probe::Http(address) => f.write_str(address),
            Probe::Exec(command) => write!(f, "exec {command}"),
        }
    }
}
