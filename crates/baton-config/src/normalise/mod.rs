//! One app, from the keys of a file or of a command line to an [`AppSpec`](baton_core::spec::AppSpec).
//!
//! * `values`: every key found, checked and brought into its canonical form by the table of fields;
//! * `program`: what is run: the script, its interpreter, its arguments;
//! * `app`: defaults, paths and environments put together;
//! * [`script`] and [`patch`]: the two ways in from a command line.

mod app;
mod cluster;
mod command_line;
mod program;
mod values;

pub use app::app;
pub use command_line::{patch, script};
