//! Where the variables of an app come from, and which of two that have one name counts.

use super::Environment;
use serde::{Deserialize, Serialize};

/// Which counts more: what the process file says, or the shell that starts the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvPriority {
    /// The file: PM2's order.
    #[default]
    File,
    /// The shell.
    Shell,
}

/// The part of a process file, or of the command line, that gives variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// `deploy.<name>.env` of the file, chosen by `--env`.
    Deploy(String),
    /// The helper that made the app: one of `require("baton")`, or the one that its `kind` names.
    Helper,
    /// What a unit gives to each of its apps.
    Unit(String),
    /// The app's own `env`.
    App,
    /// A profile of the file (`--profile`).
    Profile(String),
    /// A setting of the command line (`--set`).
    Setting,
    /// The app's `env_<name>`, chosen by `--env`.
    Env(String),
}

/// Variables of one origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Who gives them.
    pub origin: Origin,
    /// The variables.
    pub env: Environment,
}

/// What layers give together: of two with one variable the later one counts.
pub fn merged(layers: &[Layer]) -> Environment {
    layers.iter().flat_map(|layer| layer.env.clone()).collect()
}
