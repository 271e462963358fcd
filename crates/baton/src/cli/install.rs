//! `install`: what PM2 needs modules for and baton has built in.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::settings;
use crate::logrotate::MODULE;
use clap::Parser;

/// Say whether a module of PM2 is built in.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The module, such as pm2-logrotate.
    #[arg(value_name = "module", required = true)]
    modules: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    if let Some(other) = args.modules.iter().find(|word| settings::canonical(word) != MODULE) {
        return Err(Failure::Unavailable(format!(
            "`install` of {other} is not available yet; {MODULE} is built in. A module is a Node program: `npm install \
             {other}`, then `baton start` its main file"
        )));
    }
    settings::about_module(session, &format!("{MODULE} is built in: logs are rotated without any module"));
    let program = session.called.program();
    settings::about_module(session, &format!("Checkout module options: `$ {program} conf`"));
    Ok(())
}
