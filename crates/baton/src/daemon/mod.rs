//! The daemon: owns the world, carries out what the core decides, answers clients.
//!
//! | file | what it does |
//! |---|---|
//! | `mod` | start-up and end |
//! | `driver` | the loop that owns the world |
//! | `effects/` | effects carried out, one file a kind |
//! | `serve` | requests answered |
//! | `server` | the socket and its connections |
//! | `recover` | what a predecessor left, taken up again |
//! | `lost` | processes of slots whose record is lost |
//! | `rotation` | which logs are rotated and how |
//! | `storage`, `records`, `writer` | what is on disk, and the thread that makes it last |
//! | `life`, `watch` | processes and their descriptors |
//! | `spawner`, `measure` | threads for what takes milliseconds |
//! | `prober` | threads that look for what others run, and whether apps are ready |
//! | `heartbeat/` | the listener for processes that say that they are well |
//! | `times`, `weigher` | when apps are to be started again, and how much memory they use |
//! | `jobs` | when jobs are due |
//! | `hooks` | who is told of events |
//! | `watcher` | which files are watched, and the thread that does |
//! | `sockets` | the sockets that apps are given, from the first life to the last |
//! | `line` | what a life is given to tell that it is ready |
//! | `groups` | the control groups of lives, and what they are to keep |
//! | `channel/` | Node's IPC channels |
//! | `journal` | lines for people |
//! | `panics` | what becomes of an error of ours |
//!
//! Invariants: only `driver` changes the world, through the core's `step`. Records are written before the deeds that
//! follow from them. Nothing in the loop waits. With nothing to do nothing wakes up.

mod abort;
mod bus;
mod channel;
mod driver;
mod ear;
mod effects;
mod groups;
mod heartbeat;
mod hooks;
mod inbox;
mod jobs;
mod journal;
mod life;
mod line;
mod lost;
mod measure;
mod messages;
mod modules;
mod panics;
mod pm2;
mod prober;
mod proc_stat;
mod records;
mod recover;
mod rotation;
mod serve;
mod server;
mod sockets;
mod spawner;
mod storage;
mod times;

mod unread;
mod watch;
mod watcher;
mod weigher;
mod writer;

use crate::called::CalledAs;
use crate::client::HELD;
use crate::home::{Home, named, remove_file};
use baton_os::cgroup::Groups;
use baton_os::files::{Lock, write_quick};
use baton_os::guard::link::GuardLink;
use baton_os::guard::{self, readiness_pipe};
use baton_os::logs::{LogOptions, LogThread};
use baton_os::tree::Sweeper;
use baton_os::{boot, clock, limits, memory};
use driver::{Driver, Ending, Signals, Sources};
use inbox::{Inbox, Message};
use rustix::fs::{FlockOperation, flock};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

/// The guard's name for the lock on the home: it stays locked while a dead daemon's successor starts.
const LOCK_NAME: &str = "lock";
/// Requests of clients that may wait for the loop; beyond it their connections wait.
const CALLS: usize = 256;

/// Entry of `baton daemon [--home DIR]`. The exit code is 0 after an end that was asked for.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let home = match (arguments.next(), arguments.next()) {
        (Some(option), Some(path)) if option == "--home" => Home::at(path),
        (None, _) => Home::find(CalledAs::Baton),
        _ => {
            journal::error("unknown argument: usage is `baton daemon [--home DIR]`");
            return ExitCode::from(2);
        }
    };
    memory::share_one_heap();
    panics::end_with_needed_threads();
    let mut readiness = readiness_pipe();
    match run(&home, &mut readiness) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            journal::error(&error);
            if let Some(mut pipe) = readiness {
                // Whoever waited may have gone.
                let _ = writeln!(pipe, "{error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(home: &Home, readiness: &mut Option<File>) -> io::Result<()> {
    // Else it would be listed under the name of the link that the guard started it through.
    let _ = rustix::thread::set_name(c"baton");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ending = runtime.block_on(async {
        let (mut driver, mut sources) = start(home)?;
        if let Some(mut pipe) = readiness.take() {
            // Whoever waited may have gone.
            let _ = pipe.write_all(b"ok\n");
        }
        let ending = driver.run(&mut sources).await;
        driver.connections.close().await;
        leave(home, driver, ending);
        Ok::<_, io::Error>(ending)
    })?;
    journal::log(match ending {
        Ending::Stop => "PM2 successfully stopped",
        Ending::Replaced => "a successor takes over",
    });
    // Threads that wait for orders have nothing left to do; what they were told is done.
    std::process::exit(0)
}

/// Everything up to the open socket.
fn start(home: &Home) -> io::Result<(Driver, Sources)> {
    home.check_socket_path()?;
    let nofile = limits::raise_nofile();
    home.create()?;
    let (inbox, messages) = Inbox::new();
    let to_loop = inbox.clone();
    let guard = GuardLink::from_env(move |event| to_loop.send(Message::Guard(event)))?;
    let mut held: BTreeMap<String, OwnedFd> =
        guard.as_ref().map_or_else(|| Ok(Vec::new()), GuardLink::take_back)?.into_iter().collect();
    let lock = lock(home, guard.as_ref(), held.remove(LOCK_NAME))?;
    recover::sweep_temporary(home);
    let signals = Signals::take()?;
    let boot_id = boot::boot_id()?;
    let loaded = storage::load(home).map_err(|error| io::Error::other(error.to_string()))?;
    let notices = loaded.notices.clone();
    let records = records::Records::begin(home, &boot_id, &loaded.lines)
        .map_err(|error| named(&error, "write in", &home.run()))?;
    let mut left = recover::world(loaded, home, &boot_id);
    for notice in lost::restore(&mut left, home, &boot_id) {
        journal::warn(notice);
    }
    if let Some(guard) = &guard {
        // What a hook that ran when the daemon before died has left.
        baton_os::hook::end_left(guard.pid(), home.root());
    }
    let recover::Left { mut world, lives: left, rebooted, gone } = left;
    let nonce = nonce()?;
    world.kept = jobs::kept(home);
    world.seed = u64::from_str_radix(&nonce, 16).unwrap_or(0);

    let batch = held.remove("batch:r").zip(held.remove("batch:w"));
    let fresh_batch = batch.is_none();
    let to_loop = inbox.clone();
    let options = LogOptions { slot: home.run().join("batch.slot"), batch, times: Some(home.times()) };
    let logs = LogThread::start(options, move |report| to_loop.send(Message::Log(report)))?;
    if let (Some(guard), true) = (&guard, fresh_batch) {
        let (reader, writer) = logs.batch_pipe()?;
        guard.hold(vec![("batch:r".into(), reader), ("batch:w".into(), writer)])?;
    }
    let (rotation, rules, complaints) = rotation::Known::begin(home, &world);
    for complaint in complaints {
        journal::warn(complaint);
    }
    logs.rotate_by(rules);
    let keeper = sockets::Keeper::adopt(&world, &mut held, guard.as_ref());
    let channels = channel::Channels::start(home, guard.clone(), &mut held, inbox.clone())?;
    let lives = recover::Output { home, guard: guard.as_ref(), logs: &logs, channels: &channels, world: &world, held }
        .adopt(left);

    let to_loop = inbox.clone();
    let sweeper =
        Sweeper::start(guard.as_ref().map(GuardLink::pid), move |report| to_loop.send(Message::Tree(report)))?;
    let (calls_in, calls) = tokio::sync::mpsc::channel(CALLS);
    let groups = Groups::find(home.root(), guard.as_ref().map(GuardLink::pid));
    let heritage =
        spawner::Heritage { nofile: nofile.or_else(guards_nofile), oom_score_adj: number(guard::OOM_SCORE_ADJ) };
    let mut driver = Driver {
        home: home.clone(),
        boot_id,
        sockets: sockets::Users::begin(&world),
        world,
        lives,
        queue: VecDeque::new(),
        spawner: spawner::Spawner::start(
            home.clone(),
            (guard.clone(), keeper.clone(), groups.clone()),
            heritage,
            inbox.clone(),
        )?,
        groups,
        groups_left: Vec::new(),
        keeper,
        guard,
        guard_exits: BTreeMap::new(),
        logs,
        rotation,
        sweeper,
        records,
        writer: writer::Writer::start(home.clone(), inbox.clone())?,
        measurer: measure::Measurer::start()?,
        times: None,
        alarm: None,
        hooks: hooks::Hooks::default(),
        weighing: weigher::Weighing::Off,
        watcher: watcher::Watcher::new(inbox.clone()),
        prober: prober::Prober::new(inbox.clone()),
        heart: heartbeat::Heart::default(),
        channels,
        connections: server::Connections::new(calls_in),
        bus: bus::Bus::new(home.clone()),
        inbox,
        lock,
        pm2: None,
        nonce,
        started_at: clock::now().wall,
        notices: Vec::new(),
        troubles: BTreeMap::new(),
        save_again_at: None,
        crowded: false,
        accept_again_at: None,
        unread: unread::Unread::default(),
        fingerprints: Default::default(),
        told_of_drops: BTreeMap::new(),
        asked: BTreeMap::new(),
        next_op: 0,
        held_replies: VecDeque::new(),
        forgotten: BTreeMap::new(),
        ending: None,
        abort: abort::AbortPoint::from_env(),
        tidy_at: Some(clock::now().instant),
    };
    for notice in notices {
        driver.notice(notice);
    }
    driver.sweep_groups();
    driver.recover(&rebooted, gone);
    driver.watch_files();
    driver.follow_times();
    let all: Vec<_> = driver.world.instances.keys().copied().collect();
    driver.follow_limits(&all);
    driver.follow_jobs(&all);
    driver.follow_heartbeats(all.into_iter());
    driver.find_beaters();
    let listener = server::listen(home)?;
    // After ours: where PM2's is there, ours answers.
    driver.pm2 = pm2::open(home);
    let pid = std::process::id().to_string();
    write_quick(&home.pid_file(), pid.as_bytes(), 0o600).map_err(|e| named(&e, "write", &home.pid_file()))?;
    if let Some(guard) = &driver.guard {
        guard.ready();
    }
    journal::log(format_args!(
        "New PM2 Daemon started: baton {} (pid {pid}), home {}, {} app(s)",
        env!("CARGO_PKG_VERSION"),
        home.root().display(),
        driver.world.instances.len()
    ));
    Ok((driver, Sources { messages, calls, listener, signals }))
}

/// Makes this daemon the only one of its home. The open file is given to the guard too, so that the lock outlives a
/// daemon that dies: nobody else can begin before the successor, which gets the file back.
fn lock(home: &Home, guard: Option<&GuardLink>, held: Option<OwnedFd>) -> io::Result<OwnedFd> {
    if let Some(file) = held {
        // It was unlocked if the predecessor had begun to leave.
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| io::Error::other(HELD))?;
        return Ok(file);
    }
    let Some(lock) = Lock::acquire(&home.lock()).map_err(|error| named(&error, "lock", &home.lock()))? else {
        if let Some(guard) = guard {
            guard.stand_down();
        }
        return Err(io::Error::other(HELD));
    };
    let file = lock.as_fd().try_clone_to_owned()?;
    // Dropping it would unlock the copy, which is the same open file.
    std::mem::forget(lock);
    if let Some(guard) = guard {
        guard.hold(vec![(LOCK_NAME.into(), file.try_clone()?)])?;
    }
    Ok(file)
}

/// What must be done last. A successor finds everything else on disk and with the guard.
fn leave(home: &Home, driver: Driver, ending: Ending) {
    let Driver { logs, lock, hooks, pm2, world, .. } = driver;
    hooks.end();
    logs.stop();
    if ending == Ending::Replaced {
        return;
    }
    pm2::close(home, pm2.as_ref(), world.ending);
    for path in [home.socket(), home.pid_file()] {
        if let Err(error) = remove_file(&path) {
            journal::warn(named(&error, "remove", &path));
        }
    }
    // The guard has the same open file, so closing would not do. Closing follows anyway.
    let _ = flock(&lock, FlockOperation::Unlock);
}

/// Distinguishes this daemon from every other one.
fn nonce() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(text.chars().filter(char::is_ascii_hexdigit).take(16).collect())
}

/// The limit on open files from before the guard raised it.
fn guards_nofile() -> Option<(u64, u64)> {
    let text = std::env::var(guard::NOFILE).ok()?;
    let (soft, hard) = text.split_once(':')?;
    Some((soft.parse().ok()?, hard.parse().ok()?))
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}
