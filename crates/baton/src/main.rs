//! baton: one binary with four faces. What people call is the command line; the rest is called by baton itself.

mod called;
mod cli;
mod client;
mod daemon;
mod frame;
mod home;
mod http;
mod input;
mod logrotate;
mod logs;
mod mailbox;
mod monit;
mod notifications;
mod startup;
mod statics;
mod watching;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    // The hidden verbs come first: they must not depend on anything that is set up for people.
    match words.nth(1).as_ref().and_then(|word| word.to_str()) {
        Some("exec-stub") => baton_os::stub::main(),
        Some("guard") => baton_os::guard::main(),
        Some("daemon") => daemon::main(words),
        Some(baton_config::statics::VERB) => statics::main(words),
        _ => cli::main(std::env::args_os()),
    }
}
