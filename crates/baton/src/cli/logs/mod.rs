//! `logs`: the last lines of log files, then every new one. Files are read, never a stream of the daemon: it has no
//! part in it but to say which files there are.

mod follow;
mod render;
mod source;
pub(crate) mod tail;

use super::common::Common;
use super::failure::Failure;
use super::session::{CalledAs, Session, list};
use crate::client::Client;
use crate::home::Home;
use baton_core::proto::{Change, List, Update};
use baton_core::select::SelectError;
use baton_core::units::InstanceId;
use baton_core::world::InstanceView;
use baton_os::clock;
use clap::Parser;
use follow::{Follower, From};
use render::{Form, Renderer};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use source::{Filter, Source, Stream, Streams};
use std::fs::File;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::SystemTime;

/// Lines that are shown of each file when nothing else is said; PM2's number.
const LINES: usize = 15;
/// The date in front of lines when `--timestamp` says nothing else; PM2's form.
const TIMESTAMP: &str = "YYYY-MM-DD-HH:mm:ss";

/// Show the last lines of logs, then follow them.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units, /pattern/, `all`, or `PM2` for the daemon's own log.
    #[arg(value_name = "name|id|namespace")]
    targets: Vec<String>,
    /// Last lines to show of each file.
    #[arg(long, value_name = "NUMBER", default_value_t = LINES)]
    lines: usize,
    /// Only show the last lines.
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
    /// A JSON object for each new line.
    #[arg(long, conflicts_with = "raw")]
    json: bool,
    /// `key=value` pairs for each new line.
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

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let filter = Filter::parse(&args.targets).map_err(|error| Failure::Usage(error.to_string()))?;
    let streams = match (args.out, args.err) {
        (true, _) => Streams::Out,
        (_, true) => Streams::Error,
        _ => Streams::Both,
    };
    let form = match (args.raw, args.json, args.format) {
        (true, _, _) => Form::Raw,
        (_, true, _) => Form::Json,
        (_, _, true) => Form::Pairs,
        _ => Form::Labelled,
    };
    // Someone who redirects our output wants what is there; PM2's users are used to ending it themselves.
    let follows = args.follow || session.on_terminal() || session.called == CalledAs::Pm2;
    let mut view = View {
        daemon_log: matches!(form, Form::Labelled) && streams == Streams::Both || matches!(filter, Filter::Daemon),
        renderer: Renderer::new(form.clone(), args.timestamp.as_deref(), args.highlight.as_deref(), session.colour),
        filter,
        streams,
        session,
    };
    let mut client = session.quiet_client()?;
    let instances = list(&mut client, List::default())?.instances;
    // No error: it may be started while we follow.
    for word in view.filter.strangers(&instances) {
        session.warn(&SelectError::NoName(word.to_owned()).to_string());
    }
    let sources = view.sources(&instances);
    // As under PM2, structured lines are only made of what is new.
    let lines = if matches!(form, Form::Json | Form::Pairs) && !args.nostream { 0 } else { args.lines };
    if matches!(form, Form::Labelled) && lines > 0 {
        let whom = match args.targets.as_slice() {
            [] => "[all] processes".into(),
            words => format!("[{}] process{}", words.join(" "), if words == ["all"] { "es" } else { "" }),
        };
        session
            .line(&format!("[TAILING] Tailing last {lines} lines for {whom} (change the value with --lines option)"));
    }
    let ends = view.tails(&sources, lines)?;
    if args.nostream || !follows {
        return Ok(());
    }
    view.follow(sources.into_iter().zip(ends).collect(), client)
}

/// Follows the logs of these slots from now on: `start --attach`.
///
/// # Errors
/// When a file can't be watched.
pub(crate) fn attach(ids: Vec<InstanceId>, client: &mut Client, session: &Session) -> Result<(), Failure> {
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    session.inform(&format!("Log streaming apps id: {}, exit with Ctrl-C", names.join(" ")));
    let mut view = View {
        daemon_log: false,
        renderer: Renderer::new(Form::Labelled, None, None, session.colour),
        filter: Filter::Ids(ids),
        streams: Streams::Both,
        session,
    };
    let sources = view.sources(&list(client, List::default())?.instances);
    let ends = view.tails(&sources, 0)?;
    let client = session.quiet_client()?;
    view.follow(sources.into_iter().zip(ends).collect(), client)
}

/// What is wanted, and how it is shown.
struct View<'a> {
    filter: Filter,
    streams: Streams,
    daemon_log: bool,
    renderer: Renderer,
    session: &'a Session,
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

    /// Shows the last lines of files, the one that was written last at the end, and gives the offset behind them.
    fn tails(&mut self, sources: &[Source], lines: usize) -> Result<Vec<u64>, Failure> {
        let mut ends = vec![0; sources.len()];
        let mut order: Vec<(SystemTime, usize, File)> = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            match File::open(&source.path) {
                Ok(file) => {
                    let written = file.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
                    order.push((written, index, file));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.session.warn(&format!("{}: {error}", source.path.display())),
            }
        }
        // PM2 shows its own log first, then the others by age.
        order.sort_by_key(|(written, index, _)| (sources[*index].stream != Stream::Daemon, *written, *index));
        let mut out = BufWriter::new(io::stdout().lock());
        for (_, index, file) in order {
            let source = &sources[index];
            let (bytes, end) =
                tail::last_lines(&file, lines).map_err(Failure::system(source.path.display().to_string()))?;
            ends[index] = end;
            if lines > 0 && !self.session.silent && self.tail(source, &bytes, lines, &mut out).is_err() {
                // Nobody reads any more.
                return Err(Failure::Told);
            }
        }
        // As above: a reader that has gone has had enough.
        out.flush().map_err(|_| Failure::Told)?;
        Ok(ends)
    }

    fn tail(&mut self, source: &Source, bytes: &[u8], lines: usize, out: &mut impl Write) -> io::Result<()> {
        let titled = self.renderer.is_labelled();
        if titled {
            writeln!(out, "{} last {lines} lines:", source.path.display())?;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        for line in bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n') {
            self.renderer.tail(source, line, out)?;
        }
        if titled { writeln!(out) } else { Ok(()) }
    }

    /// Shows every new line until Ctrl-C, also of apps that come later.
    fn follow(&mut self, sources: Vec<(Source, u64)>, client: Client) -> Result<(), Failure> {
        let failed = |error| Failure::system("following log files")(error);
        baton_os::interrupt::is_success().map_err(failed)?;
        let began = clock::now().wall.0;
        let mut follower = Follower::new().map_err(failed)?;
        for (source, end) in sources {
            self.add(&mut follower, source, From::Offset(end));
        }
        let (updates, woken) = subscribe(client, self.session.home.clone()).map_err(failed)?;
        let mut out = io::stdout().lock();
        let mut gone: Vec<InstanceId> = Vec::new();
        self.show(&mut out, |line| follower.catch_up(line))?;
        loop {
            let mut ready = [PollFd::new(&follower, PollFlags::IN), PollFd::new(&woken, PollFlags::IN)];
            match poll(&mut ready, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
            if !ready[1].revents().is_empty() {
                rustix::io::read(&woken, &mut [0; 64]).map_err(|error| failed(error.into()))?;
            }
            while let Ok(update) = updates.try_recv() {
                self.take_in(update.change, &mut follower, &mut gone, began);
            }
            self.show(&mut out, |line| follower.read(line))?;
        }
    }

    /// Shows the lines that a read gives, and passes them on at once.
    fn show(
        &mut self,
        out: &mut StdoutLock<'_>,
        read: impl FnOnce(&mut dyn FnMut(&Source, &[u8]) -> io::Result<()>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut buffered = BufWriter::new(out);
        let silent = self.session.silent;
        let renderer = &mut self.renderer;
        read(&mut |source, line| if silent { Ok(()) } else { renderer.line(source, line, &mut buffered) })
            .and_then(|()| buffered.flush())
            .map_err(|error| match error.kind() {
                // Nobody reads any more.
                io::ErrorKind::BrokenPipe => Failure::Told,
                _ => Failure::system("following log files")(error),
            })
    }

    /// Follows one more file; one that can't be followed is told and left out.
    fn add(&self, follower: &mut Follower, source: Source, from: From) {
        let path = source.path.display().to_string();
        if let Err(error) = follower.add(source, from) {
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
                None => self.add(follower, source, From::EndUnlessNew(began)),
            }
        }
    }
}

/// Updates from the daemon, and a descriptor that is readable when there are some. The subscription outlives the
/// daemon: when one is back on the home, it goes on. It never starts one, because it may have been ended on purpose.
fn subscribe(client: Client, home: Home) -> io::Result<(Receiver<Update>, OwnedFd)> {
    let (sender, updates) = channel();
    let (woken, wake) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let returns = Returns::watch(&home)?;
    thread::Builder::new().name("updates".into()).spawn(move || {
        let mut connected = Some(client);
        while let Some(client) = connected {
            if let Ok(updates) = client.subscribe() {
                for update in updates.map_while(Result::ok) {
                    if sender.send(update).is_err() || rustix::io::write(&wake, b"!").is_err() {
                        return;
                    }
                }
            }
            connected = returns.wait(&home);
        }
    })?;
    Ok((updates, woken))
}

/// Sees a daemon come back: its socket is renamed into its place when it answers.
struct Returns {
    inotify: OwnedFd,
}

impl Returns {
    fn watch(home: &Home) -> io::Result<Returns> {
        let inotify = inotify::init(CreateFlags::CLOEXEC)?;
        inotify::add_watch(&inotify, home.root(), WatchFlags::MOVED_TO)?;
        Ok(Returns { inotify })
    }

    /// The next daemon; `None` when the home can't be watched any more.
    fn wait(&self, home: &Home) -> Option<Client> {
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
