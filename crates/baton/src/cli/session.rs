//! What one invocation knows about its surroundings: the home, how it was called, and where and how to write.

use super::common::Common;
use super::failure::Failure;
pub(crate) use crate::called::CalledAs;
use crate::client::{Client, ClientError};
use crate::home::Home;
use baton_core::proto::{Command, List, Listing, Outcome, Reply, Request};
use baton_core::spec::Environment;
use baton_core::units::WallTime;
use baton_os::clock;
use baton_pm2::record::Host;
use baton_pm2::style::Colour;
use baton_pm2::table::{self, Grouping, Sort, TableOptions, UNKNOWN_WIDTH};
use baton_pm2::{environment, text, version};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Tells the version of the package that a script belongs to.
type Versions = dyn Fn(&str) -> Option<String>;

/// One invocation.
pub(crate) struct Session {
    /// Where everything lives.
    pub(crate) home: Home,
    /// By which name the program was called.
    pub(crate) called: CalledAs,
    /// Say nothing but what was asked as data.
    pub(crate) silent: bool,
    /// Whether to colour standard output.
    pub(crate) colour: Colour,
    /// Import the apps of a PM2 daemon that holds the home.
    pub(crate) take_over: bool,
    /// What is said goes to standard error, because standard output is for the apps.
    pub(crate) aside: bool,
    /// The directory to read files from, when it is not that of the caller.
    elsewhere: Option<PathBuf>,
    versions: Box<Versions>,
    /// When it began.
    pub(crate) began: WallTime,
}

impl Session {
    /// Reads the surroundings.
    pub(crate) fn new(called: CalledAs) -> Session {
        let silent = std::env::var_os("PM2_SILENT").is_some_and(|value| !value.is_empty());
        Session {
            home: Home::find(called),
            called,
            silent,
            colour: wants_colour(),
            take_over: false,
            aside: false,
            elsewhere: None,
            versions: Box::new(package_versions()),
            began: clock::now().wall,
        }
    }

    /// As this one, for another thread or another home.
    pub(crate) fn on(home: Home, called: CalledAs) -> Session {
        Session { home, ..Session::new(called) }
    }

    /// The same as if the program had been called in this directory, with nothing said but data.
    pub(crate) fn silently_in(&self, directory: impl Into<PathBuf>) -> Session {
        Session { silent: true, ..self.within(directory) }
    }

    /// The same as if the program had been called in this directory.
    pub(crate) fn within(&self, directory: impl Into<PathBuf>) -> Session {
        Session {
            home: self.home.clone(),
            called: self.called,
            silent: self.silent,
            colour: self.colour,
            take_over: self.take_over,
            aside: self.aside,
            elsewhere: Some(directory.into()),
            versions: Box::new(package_versions()),
            began: self.began,
        }
    }

    /// Takes over the options that every verb has.
    pub(crate) fn adopt(&mut self, common: &Common) {
        self.silent |= common.silent;
        if common.no_color {
            self.colour = Colour::Off;
        }
        self.take_over = common.take_over;
    }

    /// Whether standard output is a terminal.
    pub(crate) fn on_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Columns of the terminal.
    pub(crate) fn width(&self) -> usize {
        rustix::termios::tcgetwinsize(std::io::stdout())
            .ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0)
            .unwrap_or(UNKNOWN_WIDTH)
    }

    /// A line on standard output, not under `--silent`.
    pub(crate) fn line(&self, text: &str) {
        if self.aside {
            self.complain(text);
        } else if !self.silent {
            write_out(format!("{text}\n").as_bytes());
        }
    }

    /// A `[PM2] ` line on standard output.
    pub(crate) fn say(&self, text: &str) {
        self.line(&text::prefixed(self.colour, text::PREFIX, text));
    }

    /// A `[PM2][INFO] ` line on standard output.
    pub(crate) fn inform(&self, text: &str) {
        self.line(&text::prefixed(self.colour, text::PREFIX_INFO, text));
    }

    /// A `[PM2][WARN] ` line on standard output, where PM2 writes what it does about a surprise.
    pub(crate) fn caution(&self, text: &str) {
        self.line(&text::prefixed(self.colour, text::PREFIX_WARN, text));
    }

    /// A line on standard error, not under `--silent`.
    pub(crate) fn complain(&self, text: &str) {
        if !self.silent {
            // A closed standard error is no reason to stop.
            let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
        }
    }

    /// What a process file printed: on standard error, so that our own output stays what it is.
    pub(crate) fn pass_on(&self, bytes: &[u8]) {
        if !self.silent {
            let _ = std::io::stderr().write_all(bytes);
        }
    }

    /// A `[PM2][WARN] ` line on standard error.
    pub(crate) fn warn(&self, text: &str) {
        self.complain(&text::prefixed(self.colour, text::PREFIX_WARN, text));
    }

    /// A `[PM2][ERROR] ` line on standard error.
    pub(crate) fn error(&self, text: &str) {
        self.complain(&text::prefixed(self.colour, text::PREFIX_ERROR, text));
    }

    /// Data that was asked for: written even under `--silent`.
    pub(crate) fn data(&self, bytes: &[u8]) {
        write_out(bytes);
    }

    /// A connection to the daemon, which is started when it does not run; PM2's two lines tell so.
    ///
    /// # Errors
    /// When a PM2 daemon holds the home, or the daemon can't be started.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        self.connect(|text| self.say(text))
    }

    /// As [`Session::client`], for verbs whose standard output is read by programs: the lines go to standard error.
    pub(crate) fn quiet_client(&self) -> Result<Client, Failure> {
        self.connect(|text| self.complain(&text::prefixed(self.colour, text::PREFIX, text)))
    }

    fn connect(&self, tell: impl Fn(&str)) -> Result<Client, Failure> {
        if let Some(client) = self.present_client()? {
            return Ok(client);
        }
        let imported = super::take_over::check(self)?;
        let discrete = std::env::var_os("PM2_DISCRETE_MODE").is_some();
        if !discrete {
            tell(&text::spawning_daemon(&self.home.root().to_string_lossy()));
        }
        let mut client = Client::connect_or_start(&self.home)?;
        if !discrete {
            tell(text::DAEMONIZED);
        }
        if let Some(imported) = imported {
            imported.restore(self, &mut client)?;
        }
        Ok(client)
    }

    /// A connection to the daemon, when one runs.
    ///
    /// # Errors
    /// When the home can't be used.
    pub(crate) fn present_client(&self) -> Result<Option<Client>, Failure> {
        Ok(Client::connect(&self.home).map_err(ClientError::from)?)
    }

    /// The environment that apps inherit from this shell. Inside an app of ours, what we put there ourselves is left
    /// out. Variables that are not UTF-8 can't be kept in the list and are left out too.
    pub(crate) fn environment(&self) -> Environment {
        let shell = std::env::vars_os();
        environment::inherited(
            shell.filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect(),
        )
    }

    /// The directory that the program was called in.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) fn directory(&self) -> Result<PathBuf, Failure> {
        if let Some(elsewhere) = &self.elsewhere {
            return Ok(elsewhere.clone());
        }
        std::env::current_dir().map_err(Failure::system("the working directory"))
    }

    /// The process table, as it follows most verbs.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub(crate) fn table(&self, client: &mut Client) -> Result<(), Failure> {
        if self.silent {
            return Ok(());
        }
        let listing = measured(client, List::default())?;
        self.line(table::list(&listing.instances, &self.table_options(Sort::default())).trim_end());
        for notice in &listing.notices {
            self.warn(notice);
        }
        Ok(())
    }

    /// How the table is to look. Units are ours: under PM2's name it is PM2's table.
    pub(crate) fn table_options(&self, sort: Sort) -> TableOptions<'_> {
        let grouping = match self.called {
            CalledAs::Baton => Grouping::Units,
            CalledAs::Pm2 => Grouping::None,
        };
        TableOptions { width: self.width(), colour: self.colour, sort, grouping, version: &*self.versions }
    }

    /// What a record says that only the file system knows. `home` is the path of the home as text.
    pub(crate) fn host<'a>(&'a self, home: &'a str) -> Host<'a> {
        Host { home, version: &*self.versions }
    }
}

/// Tells versions of packages; scripts of one folder share the look into its `package.json`.
fn package_versions() -> impl Fn(&str) -> Option<String> {
    let known: RefCell<HashMap<PathBuf, Option<String>>> = RefCell::default();
    move |script| {
        let folder = Path::new(script).parent()?.to_owned();
        let look = || version::nearest(script, |path| std::fs::read_to_string(path).ok());
        known.borrow_mut().entry(folder).or_insert_with(look).clone()
    }
}

/// Asks for the list.
///
/// # Errors
/// When a target names nothing or the daemon does not answer.
pub(crate) fn list(client: &mut Client, what: List) -> Result<Listing, Failure> {
    match client.call(Request::List(what))? {
        Reply::List(listing) => Ok(*listing),
        other => Err(unexpected(other)),
    }
}

/// Asks for the list with memory and processor figures. The daemon looks at the processes while the list comes.
///
/// # Errors
/// As [`list`].
pub(crate) fn measured(client: &mut Client, what: List) -> Result<Listing, Failure> {
    let usage = client.ask(Request::Usage)?;
    let mut listing = list(client, what)?;
    match client.answer(usage)? {
        Reply::Usage(usages) => listing.fill_in(usages),
        other => return Err(unexpected(other)),
    }
    Ok(listing)
}

/// Has a command carried out.
///
/// # Errors
/// When it is refused or the daemon does not answer. A slot that failed is told in its outcome.
pub(crate) fn command(client: &mut Client, command: Command) -> Result<Vec<Outcome>, Failure> {
    match client.call(Request::Command(command))? {
        Reply::Outcomes(outcomes) => Ok(outcomes),
        // Kill has nothing to tell about single slots.
        Reply::Done => Ok(Vec::new()),
        other => Err(unexpected(other)),
    }
}

/// The failure for a reply that does not belong to the request: a refusal is told as it is.
pub(crate) fn unexpected(reply: Reply) -> Failure {
    match reply {
        Reply::Refused(refusal) => Failure::Refused(refusal),
        other => {
            let mut text = format!("{other:?}");
            text.truncate(text.char_indices().nth(80).map_or(text.len(), |(at, _)| at));
            Failure::Usage(format!("the daemon answered something else: {text}"))
        }
    }
}

/// Colour when standard output is a terminal, unless the user said otherwise.
fn wants_colour() -> Colour {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let wanted = match set("FORCE_COLOR") {
        Some(force) => force != "0" && force != "false",
        None => {
            set("NO_COLOR").is_none()
                && set("TERM").is_none_or(|term| term != "dumb")
                && std::io::stdout().is_terminal()
        }
    };
    if wanted { Colour::On } else { Colour::Off }
}

/// Writes to standard output. A reader that went away (`start … | grep -q '\[PM2\]'`) must not end a verb in the midst
/// of its work, so the error is dropped: there is nobody left to tell.
fn write_out(bytes: &[u8]) {
    // What others of this program write there comes before. Line by line, a large text would be searched for newlines.
    let mut out = std::io::stdout().lock();
    let flushed = out.flush();
    let _ = flushed.and_then(|()| out.as_fd().try_clone_to_owned()).and_then(|out| File::from(out).write_all(bytes));
}
