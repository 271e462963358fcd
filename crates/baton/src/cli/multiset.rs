//! `multiset`: change several settings at once.

use super::common::Common;
use super::failure::Failure;
use super::session::Session;
use super::settings;
use clap::Parser;

/// Change several settings at once.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Keys and values in turn, as one text or several: "pm2-logrotate:max_size 10M pm2-logrotate:retain 5".
    #[arg(value_name = "key value", required = true, allow_hyphen_values = true)]
    words: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb. A mistake in one of them changes nothing.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let words: Vec<String> = args.words.iter().flat_map(|text| baton_config::words::split(text)).collect();
    let mut conf = settings::load(session)?;
    for pair in words.chunks(2) {
        let [key, value] = pair else {
            return Err(Failure::Usage(format!("`{}` has no value: write keys and values in turn", pair[0])));
        };
        settings::assign(&mut conf, &settings::key(key)?, Some(value))?;
    }
    settings::store(&conf, session)?;
    settings::show(&conf, None, session);
    Ok(())
}
