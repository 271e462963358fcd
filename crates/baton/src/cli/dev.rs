//! `dev`, also called as `pm2-dev`: apps in the terminal, started again when their files change.

use super::failure::Failure;
use super::foreground::{self, Foreground};
use super::runtime::prepared;
use super::session::Session;
use super::{Verb, start};
use crate::home::Home;
use crate::logs::render::Form;
use clap::Parser;
use std::fs::DirBuilder;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

/// The time in front of lines when `--timestamp` says nothing else; PM2's form.
const TIMESTAMP: &str = "YYYY-MM-DD-HH:mm:ss";

/// Run apps in this terminal and start them again when their files change.
///
/// Nothing is left when it ends.
#[derive(Debug, Parser)]
#[group(skip)]
pub(crate) struct Args {
    #[command(flatten)]
    start: start::Args,
    /// Lines as they are, without names.
    #[arg(long)]
    raw: bool,
    /// The time in front of each line, in moment.js tokens.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, default_missing_value = TIMESTAMP)]
    timestamp: Option<String>,
    /// Files and folders whose changes do not count (`a,b`).
    #[arg(long, value_name = "PATTERNS")]
    ignore: Option<String>,
    /// A command line to run after each restart.
    #[arg(long, value_name = "COMMAND")]
    post_exec: Option<String>,
    /// End when all apps have ended.
    #[arg(long)]
    auto_exit: bool,
}

impl Deref for Args {
    type Target = start::Args;

    fn deref(&self) -> &start::Args {
        &self.start
    }
}

/// Runs the verb, on a home of its own that goes with it: beside it there may be others.
pub(crate) fn run(mut args: Args, session: &Session) -> Result<(), Failure> {
    prepared(&mut args.start, Verb::Dev, session)?;
    let options = &mut args.start.app;
    options.fall_back_to("watch", true.into());
    options.fall_back_to("restart_delay", 1000.into());
    if let Some(patterns) = &args.ignore {
        options.fall_back_to("ignore_watch", patterns.split([',', ' ']).filter(|word| !word.is_empty()).collect());
    }
    let folder = Folder::make()?;
    let mut here = Session::on(Home::at(&folder.0), session.called);
    here.adopt(&args.common);
    let session = here;
    session.say("Development mode: apps are started again when their files change, Ctrl-C ends them");
    let form = if args.raw { Form::Raw } else { Form::Labelled };
    let how = Foreground {
        form,
        stamp: args.timestamp,
        auto_exit: args.auto_exit,
        after_restart: args.post_exec,
        ..Foreground::default()
    };
    foreground::run(args.start, how, &session)
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Folder, Failure> {
        let parent = std::env::temp_dir();
        for number in 0_u32.. {
            let path = parent.join(format!("baton-dev-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Folder(path)).map_err(Failure::system(parent.display().to_string())),
            }
        }
        Err(Failure::Usage(format!("no folder can be made in {}", parent.display())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed lies where such things lie.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
