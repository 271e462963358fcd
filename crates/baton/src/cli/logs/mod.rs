//! `logs`: the last lines of logs, or those that were asked for, by time; then every new one. Files are read, never a
//! stream of the daemon: it has no part in it but to say which files there are.
//!
//! Called as `pm2` it shows what PM2 shows, file by file, unless one of our own options is given.

pub(crate) mod tail;

use super::common::Common;
use super::failure::Failure;
use super::session::{CalledAs, Session, list};
use crate::client::Client;
use crate::home::Home;
use crate::logs::cursor::{Cursor, Wanted};
use crate::logs::follow::{Follower, From, PATIENCE, is_left_unfinished};
use crate::logs::pattern::Pattern;
use crate::logs::query::{Query, merge};
use crate::logs::record::Level;
use crate::logs::render::{Form, Renderer};
use crate::logs::source::{self, Filter, Source, Stream, Streams};
use crate::logs::time;
use crate::mailbox::{Mailbox, mailbox};
use baton_core::proto::{Change, List, Update};
use baton_core::select::SelectError;
use baton_core::units::{InstanceId, Instant, Millis};
use baton_core::world::InstanceView;
use baton_os::clock;
use clap::Parser;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::io::{self, BufWriter, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::thread;

/// Lines that are shown of each file when nothing else is said; PM2's number.
const LINES: usize = 15;
/// The date in front of lines when `--timestamp` says nothing else; PM2's form.
const TIMESTAMP: &str = "YYYY-MM-DD-HH:mm:ss";
/// How much output is gathered before it is passed on, in bytes.
const GATHERED: usize = 64 * 1024;

/// Show the last lines of logs, then follow them.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units, /pattern/, `all`, or `PM2` for the daemon's own log.
    #[arg(value_name = "name|id|namespace")]
    targets: Vec<String>,
    /// Last lines to show of each log: 15, or all when they are chosen by time, pattern or level.
    #[arg(long, value_name = "NUMBER")]
    lines: Option<usize>,
    /// Only lines from this time on: `10m`, `03:12`, `2026-11-21 03:12`, `yesterday`, RFC 3339.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only lines up to this time; does not follow.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<String>,
    /// Only lines that match a regular expression.
    #[arg(long, value_name = "REGEX")]
    grep: Option<String>,
    /// Also so many lines behind each that was chosen.
    #[arg(short = 'A', long, value_name = "NUMBER")]
    after_context: Option<usize>,
    /// Also so many lines before each that was chosen.
    #[arg(short = 'B', long, value_name = "NUMBER")]
    before_context: Option<usize>,
    /// Also so many lines before and behind.
    #[arg(short = 'C', long, value_name = "NUMBER")]
    context: Option<usize>,
    /// Only JSON records as grave as this: trace, debug, info, warn, error, fatal.
    #[arg(long, value_name = "LEVEL")]
    level: Option<String>,
    /// Only show what there is, do not follow.
    #[arg(long, conflicts_with = "follow")]
    nostream: bool,
    /// Follow even when standard output is no terminal.
    #[arg(short = 'F', long)]
    follow: bool,
    /// Only standard output.
    #[arg(long, conflicts_with = "err")]
    out: bool,
    /// Only standard error.
    #[arg(long)]
    err: bool,
    /// Lines as they are, without names; standard error goes to standard error.
    #[arg(long)]
    raw: bool,
    /// A JSON object for each line.
    #[arg(long, conflicts_with = "raw")]
    json: bool,
    /// `key=value` pairs for each line.
    #[arg(long, conflicts_with_all = ["raw", "json"])]
    format: bool,
    /// The time in front of each line, in moment.js tokens.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, default_missing_value = TIMESTAMP)]
    timestamp: Option<String>,
    /// Set the first occurrence of a text off.
    #[arg(long, value_name = "TEXT", num_args = 0..=1, default_missing_value = "")]
    highlight: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Args {
    /// Which lines are meant.
    fn wanted(&self) -> Result<Wanted, Failure> {
        let (now, zone) = (clock::now().wall.0, TimeZone::system());
        let when = |option: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => time::parse(text, now, &zone).map(Some).ok_or_else(|| {
                Failure::Usage(format!("--{option} {text:?} is no time\n  help: write {}", time::FORMS))
            }),
        };
        let pattern = self.grep.as_deref().map(|text| {
            Pattern::parse(text).map_err(|error| Failure::Usage(format!("--grep {text:?} is no pattern: {error}")))
        });
        let level = self.level.as_deref().map(|name| {
            let help = "write trace, debug, info, warn, error or fatal";
            Level::named(name).ok_or_else(|| Failure::Usage(format!("--level {name:?} is none\n  help: {help}")))
        });
        let wanted = Wanted {
            since: when("since", &self.since)?,
            until: when("until", &self.until)?,
            pattern: pattern.transpose()?,
            level: level.transpose()?,
            before: self.before_context.or(self.context).unwrap_or(0),
            after: self.after_context.or(self.context).unwrap_or(0),
            ..Wanted::default()
        };
        if let (Some(since), Some(until)) = (wanted.since, wanted.until)
            && since > until
        {
            return Err(Failure::Usage("--until is before --since".into()));
        }
        Ok(wanted)
    }

    fn form(&self) -> Form {
        match (self.raw, self.json, self.format) {
            (true, _, _) => Form::Raw,
            (_, true, _) => Form::Json,
            (_, _, true) => Form::Pairs,
            _ => Form::Labelled,
        }
    }
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let filter = Filter::parse(&args.targets).map_err(|error| Failure::Usage(error.to_string()))?;
    let streams = match (args.out, args.err) {
        (true, _) => Streams::Out,
        (_, true) => Streams::Error,
        _ => Streams::Both,
    };
    let form = args.form();
    let mut wanted = args.wanted()?;
    // Someone who redirects our output wants what is there; PM2's users are used to ending it themselves.
    let follows = args.follow || session.on_terminal() || session.called == CalledAs::Pm2;
    wanted.follows = follows && !args.nostream && args.until.is_none();
    let classic = session.called == CalledAs::Pm2 && !wanted.is_choosy();
    let lines = match args.lines {
        // As under PM2, structured lines are only made of what is new.
        _ if classic && matches!(form, Form::Json | Form::Pairs) && !args.nostream => Some(0),
        None if wanted.is_choosy() => None,
        lines => Some(lines.unwrap_or(LINES)),
    };
    let renderer = Renderer::new(form.clone(), args.timestamp.as_deref(), args.highlight.as_deref(), session.colour);
    let mut view = View {
        daemon_log: matches!(form, Form::Labelled) && streams == Streams::Both && (classic || !wanted.is_choosy())
            || matches!(filter, Filter::Daemon),
        renderer: renderer.pretty(session.on_terminal() && session.called == CalledAs::Baton),
        filter,
        streams,
        session,
        query: Query { wanted, lines, times: session.home.times(), zone: TimeZone::system() },
    };
    let mut client = session.quiet_client()?;
    let instances = list(&mut client, List::default())?.instances;
    // No error: it may be started while we follow.
    for word in view.filter.strangers(&instances) {
        session.warn(&SelectError::NoName(word.to_owned()).to_string());
    }
    let (mut cursors, absent) = view.open(view.sources(&instances));
    if !session.silent {
        if classic && matches!(form, Form::Labelled) {
            view.tails(&mut cursors, &args.targets, lines.unwrap_or(0))?;
        } else {
            view.past(&mut cursors)?;
        }
    }
    if view.query.wanted.follows { view.follow(cursors, absent, client) } else { Ok(()) }
}

/// Follows the logs of these slots from now on: `start --attach`.
///
/// # Errors
/// When a file can't be watched.
pub(crate) fn attach(ids: Vec<InstanceId>, client: &mut Client, session: &Session) -> Result<(), Failure> {
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    session.inform(&format!("Log streaming apps id: {}, exit with Ctrl-C", names.join(" ")));
    let wanted = Wanted { follows: true, ..Wanted::default() };
    let view = View {
        daemon_log: false,
        renderer: Renderer::new(Form::Labelled, None, None, session.colour)
            .pretty(session.on_terminal() && session.called == CalledAs::Baton),
        filter: Filter::Ids(ids),
        streams: Streams::Both,
        session,
        query: Query { wanted, lines: Some(0), times: session.home.times(), zone: TimeZone::system() },
    };
    let (cursors, absent) = view.open(view.sources(&list(client, List::default())?.instances));
    view.follow(cursors, absent, session.quiet_client()?)
}

/// Shows what one slot writes from now on as it is, until `onlooker` has had enough or Ctrl-C: `attach`.
///
/// # Errors
/// When a file can't be watched, or the onlooker can't go on.
pub(crate) fn join(id: InstanceId, session: &Session, onlooker: &mut dyn Onlooker) -> Result<(), Failure> {
    baton_os::interrupt::is_success().map_err(Failure::system("Ctrl-C"))?;
    let wanted = Wanted { follows: true, ..Wanted::default() };
    let view = View {
        daemon_log: false,
        renderer: Renderer::new(Form::Raw, None, None, session.colour),
        filter: Filter::Ids(vec![id]),
        streams: Streams::Both,
        session,
        query: Query { wanted, lines: Some(0), times: session.home.times(), zone: TimeZone::system() },
    };
    let mut client = session.quiet_client()?;
    let (cursors, absent) = view.open(view.sources(&list(&mut client, List::default())?.instances));
    view.follow_beside(cursors, absent, client, Some(onlooker))
}

/// Who does something else while logs are shown, in the same thread.
pub(crate) trait Onlooker {
    /// When one of these is readable it is asked whether it goes on.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;
    /// When to ask at the latest.
    fn until(&self) -> Option<Instant>;
    /// Something changed in the list.
    fn sees(&mut self, change: &Change);
    /// Does what there is to do; false when nothing more is to be shown but what was written already.
    ///
    /// # Errors
    /// When it can't go on.
    fn goes_on(&mut self) -> Result<bool, Failure>;
}

/// Shows all that is written from now on, whole, until `onlooker` has had enough.
///
/// # Errors
/// When a file can't be watched, nobody reads any more, or the onlooker can't go on.
pub(crate) fn stream(
    form: Form,
    stamp: Option<&str>,
    client: Client,
    session: &Session,
    onlooker: &mut dyn Onlooker,
) -> Result<(), Failure> {
    let wanted = Wanted { follows: true, since: Some(clock::now().wall.0), ..Wanted::default() };
    let daemon_log = matches!(form, Form::Raw | Form::Labelled);
    let view = View {
        daemon_log,
        renderer: Renderer::new(form, stamp, None, session.colour),
        filter: Filter::All,
        streams: Streams::Both,
        session,
        query: Query { wanted, lines: None, times: session.home.times(), zone: TimeZone::system() },
    };
    // The daemon's own log does not tell when what was written: what was there before stays there.
    let from_here = Query { lines: Some(0), ..view.query.clone() };
    let own = view.sources(&[]).into_iter().filter_map(|source| from_here.open(source).ok()).collect();
    view.follow_beside(own, Vec::new(), client, Some(onlooker))
}

/// As the kernel's waits have it.
pub(crate) fn timespec(time: Millis) -> Timespec {
    let seconds = i64::try_from(time.0 / 1000).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: i64::try_from(time.0 % 1000 * 1_000_000).unwrap_or(0) }
}

/// What is wanted, and how it is shown.
struct View<'a> {
    filter: Filter,
    streams: Streams,
    daemon_log: bool,
    renderer: Renderer,
    session: &'a Session,
    query: Query,
}

impl View<'_> {
    /// The files of the wanted slots, each once.
    fn sources(&self, instances: &[InstanceView]) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        if self.daemon_log && matches!(self.filter, Filter::All | Filter::Daemon) {
            sources.push(Source::daemon(self.session.home.daemon_log()));
        }
        for source in
            instances.iter().filter(|view| self.filter.takes(view)).flat_map(|view| source::of(view, self.streams))
        {
            if sources.iter().all(|other| other.path != source.path) {
                sources.push(source);
            }
        }
        sources
    }

    /// The logs, at the first line that is asked for, and those that are not there yet.
    fn open(&self, sources: Vec<Source>) -> (Vec<Cursor>, Vec<Source>) {
        let (mut cursors, mut absent) = (Vec::new(), Vec::new());
        for source in sources {
            match self.query.open(source.clone()) {
                Ok(cursor) => cursors.push(cursor),
                Err(error) if error.kind() == io::ErrorKind::NotFound => absent.push(source),
                Err(error) => self.session.warn(&format!("{}: {error}", source.path.display())),
            }
        }
        (cursors, absent)
    }

    /// Shows what there is, by time.
    fn past(&mut self, cursors: &mut [Cursor]) -> Result<(), Failure> {
        self.renderer.make_room(cursors.iter().map(|cursor| &cursor.source));
        let follows = self.query.wanted.follows;
        let mut all: Vec<&mut Cursor> = cursors.iter_mut().collect();
        self.show(|give| merge(&mut all, |cursor| !follows || is_left_unfinished(cursor), give))?;
        for trouble in cursors.iter_mut().flat_map(|cursor| std::mem::take(&mut cursor.stream.troubles)) {
            self.session.warn(&trouble);
        }
        Ok(())
    }

    /// Shows the last lines of each file, the one that was written last at the end, as PM2 does.
    fn tails(&mut self, cursors: &mut [Cursor], words: &[String], lines: usize) -> Result<(), Failure> {
        if lines == 0 {
            return Ok(());
        }
        let whom = match words {
            [] => "[all] processes".into(),
            words => format!("[{}] process{}", words.join(" "), if words == ["all"] { "es" } else { "" }),
        };
        self.session
            .line(&format!("[TAILING] Tailing last {lines} lines for {whom} (change the value with --lines option)"));
        // PM2 shows its own log first, then the others by age.
        let mut order: Vec<&mut Cursor> = cursors.iter_mut().collect();
        order.sort_by_key(|cursor| (cursor.source.stream != Stream::Daemon, cursor.stream.modified()));
        let mut out = BufWriter::new(io::stdout().lock());
        let renderer = &mut self.renderer;
        let show = || -> io::Result<()> {
            for cursor in order {
                writeln!(out, "{} last {lines} lines:", cursor.source.path.display())?;
                let mut any = false;
                merge(
                    &mut [cursor],
                    |_| true,
                    |cursor| {
                        any = true;
                        let line = cursor.current().map_or(&b""[..], |(_, line)| line);
                        renderer.tail(&cursor.source, line, &mut out)
                    },
                )?;
                if any {
                    writeln!(out)?;
                }
            }
            out.flush()
        };
        show().map_err(ended)
    }

    /// Shows every new line until Ctrl-C, also of apps that come later.
    fn follow(self, cursors: Vec<Cursor>, absent: Vec<Source>, client: Client) -> Result<(), Failure> {
        baton_os::interrupt::is_success().map_err(Failure::system("Ctrl-C"))?;
        self.follow_beside(cursors, absent, client, None)
    }

    /// Shows every new line until who looks on has had enough; then what there is still to read.
    fn follow_beside(
        mut self,
        cursors: Vec<Cursor>,
        absent: Vec<Source>,
        client: Client,
        mut onlooker: Option<&mut dyn Onlooker>,
    ) -> Result<(), Failure> {
        let failed = |error| Failure::system("following log files")(error);
        let began = clock::now().wall.0;
        let mut follower = Follower::new(self.query.clone()).map_err(failed)?;
        for cursor in cursors {
            let path = cursor.source.path.display().to_string();
            self.told(&path, follower.go_on(cursor));
        }
        for source in absent {
            self.add(&mut follower, source, From::EndUnlessNew(0));
        }
        let updates = subscribe(client, self.session.home.clone()).map_err(failed)?;
        let mut gone: Vec<InstanceId> = Vec::new();
        self.show(|give| follower.catch_up(give))?;
        loop {
            let left = onlooker.as_ref().and_then(|onlooker| onlooker.until()).map(|at| at - clock::now().instant);
            let unfinished = follower.is_amid_line().then_some(Millis(PATIENCE));
            let wait = left.into_iter().chain(unfinished).min().map(timespec);
            let descriptors = onlooker.as_ref().map(|onlooker| onlooker.descriptors());
            let mut ready = vec![PollFd::new(&follower, PollFlags::IN), PollFd::new(&updates, PollFlags::IN)];
            ready.extend(descriptors.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
            let events = match poll(&mut ready, wait.as_ref()) {
                Err(Errno::INTR) => continue,
                other => other.map_err(|error| failed(error.into()))?,
            };
            let mut changed = false;
            for update in updates.take() {
                changed = true;
                if let Some(onlooker) = &mut onlooker {
                    onlooker.sees(&update.change);
                }
                self.take_in(update.change, &mut follower, &mut gone, began);
            }
            match events {
                0 if left.is_none_or(|left| left.0 >= PATIENCE) => self.show(|give| follower.give_unfinished(give))?,
                _ => self.show(|give| follower.read(give))?,
            }
            // What a new log held before it was watched is told by no event.
            if changed {
                self.show(|give| follower.catch_up(give))?;
            }
            for trouble in follower.troubles() {
                self.session.warn(&trouble);
            }
            if let Some(onlooker) = &mut onlooker
                && !onlooker.goes_on()?
            {
                self.show(|give| follower.read(give))?;
                self.show(|give| follower.catch_up(give))?;
                return self.show(|give| follower.give_unfinished(give));
            }
        }
    }

    /// Shows the lines that something gives, and passes them on at once.
    fn show(
        &mut self,
        read: impl FnOnce(&mut dyn FnMut(&Cursor) -> io::Result<()>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = BufWriter::with_capacity(GATHERED, io::stdout().lock());
        let silent = self.session.silent;
        let renderer = &mut self.renderer;
        let mut give = |cursor: &Cursor| match cursor.current() {
            Some((stop, line)) if !silent => {
                if stop.gap && cursor.has_context() {
                    renderer.gap(&mut out)?;
                }
                renderer.line(&cursor.source, stop.time, line, &mut out)
            }
            _ => Ok(()),
        };
        read(&mut give).and_then(|()| out.flush()).map_err(ended)
    }

    /// Follows one more file; one that can't be followed is told and left out.
    fn add(&self, follower: &mut Follower, source: Source, from: From) {
        let path = source.path.display().to_string();
        self.told(&path, follower.add(source, from));
    }

    fn told(&self, path: &str, result: io::Result<()>) {
        if let Err(error) = result {
            self.session.warn(&format!("{path}: {error}"));
        }
    }

    /// Takes in what the daemon says of slots: which files are to be followed from now on, and whose lines they hold.
    fn take_in(&self, change: Change, follower: &mut Follower, gone: &mut Vec<InstanceId>, began: u64) {
        match change {
            Change::Snapshot(listing) => {
                for view in &listing.instances {
                    self.take_slot(view, follower, gone, began);
                }
            }
            Change::Slot(view) => self.take_slot(&view, follower, gone, began),
            Change::Gone(id) => gone.push(id),
            Change::Ending => {}
        }
    }

    fn take_slot(&self, view: &InstanceView, follower: &mut Follower, gone: &[InstanceId], began: u64) {
        if !self.filter.takes(view) {
            return;
        }
        for source in source::of(view, self.streams) {
            match follower.source(&source.path) {
                // A file that is followed already may have gone over to another slot.
                Some(known) if gone.contains(&known.id) => *known = source,
                Some(_) => {}
                // What an earlier life of the list wrote has been shown then.
                None if self.query.wanted.since.is_some() => match self.query.open(source.clone()) {
                    Ok(cursor) => self.told(&source.path.display().to_string(), follower.go_on(cursor)),
                    Err(_) => self.add(follower, source, From::EndUnlessNew(0)),
                },
                None => self.add(follower, source, From::EndUnlessNew(began)),
            }
        }
    }
}

/// The failure for output that could not be written: a reader that has gone has had enough.
fn ended(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Told,
        _ => Failure::system("showing log files")(error),
    }
}

/// Updates from the daemon. The subscription outlives the daemon: when one is back on the home, it goes on. It never
/// starts one, because it may have been ended on purpose.
///
/// # Errors
/// When there is no descriptor, thread or watch to be had.
pub(crate) fn subscribe(client: Client, home: Home) -> io::Result<Mailbox<Update>> {
    let (voice, updates) = mailbox()?;
    let returns = Returns::watch(&home)?;
    thread::Builder::new().name("updates".into()).spawn(move || {
        let mut connected = Some(client);
        while let Some(client) = connected {
            if let Ok(updates) = client.subscribe() {
                for update in updates.map_while(Result::ok) {
                    if !voice.say(update) {
                        return;
                    }
                }
            }
            connected = returns.wait(&home);
        }
    })?;
    Ok(updates)
}

/// Sees a daemon come back: its socket is renamed into its place when it answers.
pub(crate) struct Returns {
    inotify: OwnedFd,
}

impl Returns {
    /// Looks from now on.
    ///
    /// # Errors
    /// When the home can't be watched.
    pub(crate) fn watch(home: &Home) -> io::Result<Returns> {
        let inotify = inotify::init(CreateFlags::CLOEXEC)?;
        inotify::add_watch(&inotify, home.root(), WatchFlags::MOVED_TO)?;
        Ok(Returns { inotify })
    }

    /// The next daemon; `None` when the home can't be watched any more.
    pub(crate) fn wait(&self, home: &Home) -> Option<Client> {
        loop {
            if let Ok(Some(client)) = Client::connect(home) {
                return Some(client);
            }
            // Blocks until something was renamed; which file it was, the next look tells.
            match rustix::io::read(&self.inotify, &mut [0; 4096]) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}
