//! `uninstall`: the counterpart of `install`.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::settings;
use crate::logrotate::MODULE;
use baton_pm2::text;
use clap::Parser;

/// Say how to turn off what is built in.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The module, such as pm2-logrotate.
    #[arg(value_name = "module", required = true)]
    modules: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. Of a module that is not there PM2 says so and fails.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let program = session.called.program();
    for module in &args.modules {
        settings::about_module(session, &format!("Uninstalling module {module}"));
        if settings::canonical(module) != MODULE {
            session.complain(&text::prefixed(session.colour, "[PM2][Module][ERROR] ", "Unknown module"));
            return Err(Failure::Told);
        }
        settings::about_module(
            session,
            &format!(
                "{MODULE} is built in and stays; `$ {program} set {MODULE}:max_size 0` rotates no log for its size"
            ),
        );
    }
    Ok(())
}
