//! `monit`, also `dash`: the list with its curves, and the log of one app, in the terminal.

use super::act;
use super::common::Common;
use super::failure::Failure;
use super::logs::{subscribe, timespec};
use super::session::{Session, command, list, measured};
use crate::client::Client;
use crate::home::Home;
use crate::logs::cursor::{Cursor, Wanted};
use crate::logs::follow::{Follower, From};
use crate::logs::query::Query;
use crate::logs::source::{self, Stream, Streams};
use crate::mailbox::{Mailbox, Voice, mailbox};
use crate::monit::{Board, Deed, Order, draw};
use baton_core::proto::{Action, Command, List, Order as Dependencies, Patch, Roll, Scale, Update, Wait};
use baton_core::select::Selector;
use baton_core::units::{InstanceId, Instant, Millis};
use baton_core::world::{Detail, InstanceView};
use baton_os::clock;
use baton_os::foreground::{Happened, Signals};
use clap::Parser;
use jiff::tz::TimeZone;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use ratatui_crossterm::crossterm::event::{self, Event, KeyEventKind};
use ratatui_crossterm::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui_crossterm::crossterm::{cursor, execute};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io::{self, IsTerminal, Stdout};
use std::thread;

/// Between two looks at the processes.
const SECOND: Millis = Millis(1000);
/// Between two pictures: an app that writes fast is not followed line by line.
const PICTURE: Millis = Millis(50);
/// Lines of the past of a log.
const PAST: usize = 200;

/// Show the list, with what each process uses, and the log of one app, until `q`.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Runs the verb.
pub(crate) fn run(_: Args, session: &Session) -> Result<(), Failure> {
    if !session.on_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::Usage("monit needs a terminal: use `ls`, `ls --watch` or `jlist`".into()));
    }
    let mut watcher = Watcher::begin(session)?;
    let mut screen = Screen::take()?;
    watcher.run(&mut screen.terminal)
}

/// The terminal, given back at the end, however it comes.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    fn take() -> Result<Screen, Failure> {
        let failed = Failure::system("the terminal");
        let take = || {
            enable_raw_mode()?;
            execute!(io::stdout(), EnterAlternateScreen, cursor::Hide)?;
            Terminal::new(CrosstermBackend::new(io::stdout()))
        };
        take().map(|terminal| Screen { terminal }).map_err(|error| {
            give_back();
            failed(error)
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // A terminal that is gone needs nothing back.
    let _ = execute!(io::stdout(), LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

/// What threads have to say.
enum Word {
    Key(Event),
    Done(String),
}

struct Watcher {
    board: Board,
    client: Client,
    home: Home,
    called: super::CalledAs,
    follower: Option<Follower>,
    words: Mailbox<Word>,
    voice: Voice<Word>,
    updates: Mailbox<Update>,
    signals: Signals,
}

impl Watcher {
    fn begin(session: &Session) -> Result<Watcher, Failure> {
        let signals = Signals::take().map_err(Failure::system("signals"))?;
        let client = session.client()?;
        let updates =
            subscribe(session.client()?, session.home.clone()).map_err(Failure::system("following the list"))?;
        let (voice, words) = mailbox().map_err(Failure::system("a mailbox"))?;
        let keys = voice.clone();
        let read = move || {
            while let Ok(event) = event::read() {
                if !keys.say(Word::Key(event)) {
                    return;
                }
            }
        };
        thread::Builder::new().name("keys".into()).spawn(read).map_err(Failure::system("a thread"))?;
        let (home, called) = (session.home.clone(), session.called);
        Ok(Watcher { board: Board::new(), client, home, called, follower: None, words, voice, updates, signals })
    }

    fn run(&mut self, terminal: &mut Terminal<CrosstermBackend<Stdout>>) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::system("the terminal")(error);
        let mut look_at = clock::now().instant;
        let mut picture_at = look_at;
        let mut stale = true;
        loop {
            let now = clock::now().instant;
            if look_at <= now {
                self.look(true)?;
                look_at = now + SECOND;
                stale = true;
            }
            if stale && picture_at <= now {
                let board = &self.board;
                let picture =
                    |frame: &mut ratatui_core::terminal::Frame<'_>| draw(board, frame.area(), frame.buffer_mut());
                terminal.draw(picture).map(drop).map_err(failed)?;
                (stale, picture_at) = (false, now + PICTURE);
            }
            let next = if stale { look_at.min(picture_at) } else { look_at };
            let Some(ready) = self.wait(next)? else { return Ok(()) };
            stale |= ready;
            if self.updates.take().count() > 0 {
                self.look(false)?;
            }
            let words: Vec<Word> = self.words.take().collect();
            for word in words {
                if !self.take(word)? {
                    return Ok(());
                }
            }
            self.read_log()?;
        }
    }

    /// Waits for something, at most up to this moment. `None`: somebody asks for the end.
    fn wait(&self, until: Instant) -> Result<Option<bool>, Failure> {
        let left = timespec(until - clock::now().instant);
        let mut fds = vec![
            PollFd::new(&self.words, PollFlags::IN),
            PollFd::new(&self.updates, PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        fds.extend(self.follower.as_ref().map(|follower| PollFd::new(follower, PollFlags::IN)));
        let events = match poll(&mut fds, Some(&left)) {
            Ok(events) => events,
            Err(Errno::INTR) => 1,
            Err(error) => return Err(Failure::system("waiting")(error.into())),
        };
        let ended = self.signals.read().contains(&Happened::EndAsked);
        Ok((!ended).then_some(events > 0))
    }

    /// Asks for the list; for what processes use only with `measure`, which is once a second.
    fn look(&mut self, measure: bool) -> Result<(), Failure> {
        // A daemon that was replaced is found again.
        let asked = self.ask(measure).or_else(|_| {
            self.client = Client::connect_or_start(&self.home)?;
            self.ask(measure)
        });
        let other = self.board.list(asked?);
        if measure {
            self.board.sample();
            let chosen = self.board.chosen().map(|id| {
                let targets = vec![Selector::of(id)];
                list(&mut self.client, List { targets, detail: Detail::Definition })
            });
            // It may have gone meanwhile.
            self.board.describe(chosen.and_then(Result::ok).and_then(|listing| listing.instances.into_iter().next()));
        }
        if other && let Some(id) = self.board.chosen() {
            self.follow(id)?;
        }
        Ok(())
    }

    fn ask(&mut self, measure: bool) -> Result<Vec<InstanceView>, Failure> {
        if measure {
            return Ok(measured(&mut self.client, List::default())?.instances);
        }
        let mut instances = list(&mut self.client, List::default())?.instances;
        self.board.keep_figures(&mut instances);
        Ok(instances)
    }

    fn take(&mut self, word: Word) -> Result<bool, Failure> {
        match word {
            Word::Done(text) => self.board.say(text),
            Word::Key(Event::Key(key)) if key.kind != KeyEventKind::Release => match self.board.key(key) {
                Some(Order::Quit) => return Ok(false),
                Some(Order::Follow(id)) => self.follow(id)?,
                Some(Order::Do(deed, name)) => self.carry_out(deed, name)?,
                None => {}
            },
            Word::Key(_) => {}
        }
        Ok(true)
    }

    /// Shows the log of another slot, from its last lines on.
    fn follow(&mut self, id: InstanceId) -> Result<(), Failure> {
        let failed = || Failure::system("following log files");
        let wanted = Wanted { follows: true, ..Wanted::default() };
        let query = Query { wanted, lines: Some(PAST), times: self.home.times(), zone: TimeZone::system() };
        let mut follower = Follower::new(query.clone()).map_err(failed())?;
        let view = self.board.view(id);
        for source in view.iter().flat_map(|view| source::of(view, Streams::Both)) {
            match query.open(source.clone()) {
                Ok(cursor) => follower.go_on(cursor).map_err(failed())?,
                Err(_) => follower.add(source, From::EndUnlessNew(0)).map_err(failed())?,
            }
        }
        follower.catch_up(&mut shown_on(&mut self.board)).map_err(failed())?;
        self.follower = Some(follower);
        Ok(())
    }

    fn read_log(&mut self) -> Result<(), Failure> {
        let (Some(follower), board) = (&mut self.follower, &mut self.board) else { return Ok(()) };
        follower.read(shown_on(board)).map_err(Failure::system("following log files"))
    }

    /// Has it done by a thread: a stop may take its time.
    fn carry_out(&mut self, deed: Deed, name: String) -> Result<(), Failure> {
        let (home, called, voice) = (self.home.clone(), self.called, self.voice.clone());
        self.board.say(format!("{name}: …"));
        let work = move || {
            let mut session = Session::on(home, called);
            session.silent = true;
            let done = session.client().and_then(|mut client| command(&mut client, meant(deed, &name)));
            let text = match done {
                Ok(outcomes) if act::success(&outcomes).is_ok() => format!("{name}: done"),
                Ok(outcomes) => format!("{name}: {}", failures(&outcomes)),
                Err(failure) => format!("{name}: {failure}"),
            };
            // Nobody listens any more only when this process ends.
            voice.say(Word::Done(text));
        };
        thread::Builder::new().name("deed".into()).spawn(work).map(drop).map_err(Failure::system("a thread"))
    }
}

/// Gives lines to the pane of the log.
fn shown_on(board: &mut Board) -> impl FnMut(&Cursor) -> io::Result<()> {
    |cursor| {
        if let Some((_, line)) = cursor.current() {
            board.line(cursor.source.stream == Stream::Error, line);
        }
        Ok(())
    }
}

fn failures(outcomes: &[baton_core::proto::Outcome]) -> String {
    let why = outcomes.iter().filter_map(|outcome| match &outcome.done {
        baton_core::proto::Done::Failed(why) => Some(why.to_string()),
        _ => None,
    });
    why.collect::<Vec<String>>().join("; ")
}

/// The command that a deed is.
fn meant(deed: Deed, name: &str) -> Command {
    let action = match deed {
        Deed::Start => Action::Start,
        Deed::Stop => Action::Stop,
        Deed::Restart => Action::Restart,
        Deed::Reload => Action::Roll(Roll { parallel: 1, overlap: true }),
        Deed::More => return Command::Scale { app: name.into(), to: Scale::Up(1), wait: Wait::default() },
        Deed::Fewer => return Command::Scale { app: name.into(), to: Scale::Down(1), wait: Wait::default() },
    };
    let targets = vec![Selector::new(name)];
    Command::Act { action, targets, patch: Patch::default(), order: Dependencies::default(), wait: Wait::default() }
}
