//! Process files in every format, read into app specifications without Node.
//!
//! * [`load()`] reads a whole process file: JSON in PM2's loose form, YAML, JavaScript.
//! * [`target`] says what a start target is.
//! * [`normalise`] makes an [`AppSpec`](baton_core::spec::AppSpec) of the keys of one app, from a file or from a
//!   command line. What a key is comes from the table `baton_core::spec::FIELDS`: to add one, add a row there.
//! * [`js`] evaluates process files that are programs.
//! * [`dotenv`] reads files of variables; the daemon does so at each start of an app.

mod agents;
pub mod check;
pub mod clj;
mod company;
mod declare;
mod depends;
mod directory;
pub mod dotenv;
pub mod duplicates;
mod env;
pub mod error;
mod glob;
mod health;
mod heartbeat;
mod hooks;
pub mod interpreter;
pub mod js;
pub mod keys;
pub mod kinds;
pub mod later;
mod limits;
mod load;
mod made;
pub mod migrate;
mod names;
pub mod normalise;
mod options;
mod part;
pub mod paths;
mod position;
mod readiness;
pub mod render;
mod schedule;
pub mod schema;
mod search;
mod sources;
pub mod starter;
pub mod statics;
pub mod target;
mod toml;
pub mod ts;
mod user;
pub mod words;
mod yaml;

pub use directory::Skipped;
pub use error::{ConfigError, Place, Position, Warning};
pub use glob::files as files_matching;
pub use js::{Limits, Loader};
pub use load::{Loaded, Raw, evaluate, evaluate_stdin_json, load, load_all, load_stdin_json};
pub use made::{Generate, Made, made_without_modules};
pub use options::{CliOverrides, Context, Dependencies, LoadOptions, ProfileIn};
pub use user::name as user_name;
