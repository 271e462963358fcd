//! `unstartup`: undo `startup`.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::startup::{Asked, WhichService, platform};
use clap::Parser;
use std::fs;
use std::io;

/// Do not start apps with the machine any more.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    which: WhichService,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. As under PM2, what is gone already is no error.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let platform = platform(args.which.platform.as_deref(), session)?;
    let asked = Asked { verb: "unstartup", doing: "unsetup", platform, which: &args.which, rest: Vec::new() };
    let plan = platform.plan(&asked.service(session)?);
    let path = asked.below_root(&plan.path);
    if !path.exists() {
        session.warn(&format!("there is no {}", path.display()));
        return Ok(());
    }
    asked.carry_out(&plan.disable, session, false)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failure::system(path.display().to_string())(error));
        }
        _ => session.say(&format!("{} is removed", path.display())),
    }
    asked.carry_out(&plan.forget, session, false)?;
    session.say("Init file disabled.");
    Ok(())
}
