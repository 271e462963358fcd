//! The loop that owns the world.
//!
//! It waits for one thing at a time, turns it into an event, takes the core's step, writes the records of what has
//! changed, and carries the effects out in order. It waits for nothing else: an effect takes microseconds, or goes to
//! a thread and comes back as a message.

use super::abort::AbortPoint;
use super::bus::Bus;
use super::channel::Channels;
use super::heartbeat::Heart;
use super::hooks::Hooks;
use super::inbox::{Call, Inbox, Message};
use super::journal;
use super::life::{Key, Lives};
use super::measure::Measurer;
use super::panics;
use super::prober::Prober;
use super::records::Records;
use super::rotation::Known;
use super::server::{ClientId, Connections};
use super::sockets::{Keeper, Users};
use super::spawner::Spawner;
use super::storage::StateFile;
use super::unread::Unread;
use super::watcher::Watcher;
use super::weigher::Weighing;
use super::writer::Writer;
use crate::home::Home;
use baton_core::proto::{Change, Command, Reply, Update};
use baton_core::spec::ExecMode;
use baton_core::step::{Effect, Event, step};
use baton_core::sync::{Drift, Drifted, Fingerprints, drift};
use baton_core::units::{InstanceId, Instant, Millis, OpId, WallTime};
use baton_core::world::{Detail, Exit, State, World};
use baton_os::alarm::Alarm;
use baton_os::cgroup::{Group, Groups, Lack};
use baton_os::clock;
use baton_os::guard;
use baton_os::guard::link::GuardLink;
use baton_os::logs::LogThread;
use baton_os::memory;
use baton_os::moments::Moments;
use baton_os::tree::Sweeper;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};

/// How long the end waits for the last output of apps.
const LAST_WORDS: Millis = Millis(5_000);

/// How long after a file of ours could not be written that is tried again.
const AGAIN: Millis = Millis(1_000);

/// How long after the last work what that took is given back, once all has settled.
const TIDY: Millis = Millis(500);

/// Notices that are kept for clients; the journal has all.
const NOTICES: usize = 50;

/// How the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// For good: the guard ends too.
    Stop,
    /// A successor goes on.
    Replaced,
}

/// Everything the loop owns.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) home: Home,
    pub(super) boot_id: String,
    pub(super) world: World,
    pub(super) lives: Lives,
    /// Events that effects have caused; they come before anything else.
    pub(super) queue: VecDeque<Event>,
    pub(super) guard: Option<GuardLink>,
    /// Exits that the guard has told and whose life was not known to have ended yet.
    pub(super) guard_exits: BTreeMap<(u32, u64), Exit>,
    pub(super) logs: LogThread,
    pub(super) rotation: Known,
    pub(super) sweeper: Sweeper,
    pub(super) spawner: Spawner,
    /// Our copies of the sockets that apps are given, and who needs which.
    pub(super) keeper: Keeper,
    pub(super) sockets: Users,
    /// Where the control groups of lives are made, or why there are none.
    pub(super) groups: Result<Groups, Lack>,
    /// Groups of lives that are over, in which something was left alive on purpose.
    pub(super) groups_left: Vec<Group>,
    pub(super) records: Records,
    pub(super) writer: Writer,
    pub(super) measurer: Measurer,
    pub(super) prober: Prober,
    pub(super) heart: Heart,
    pub(super) watcher: Watcher,
    pub(super) channels: Channels,
    /// When apps are to be started again, once one is.
    pub(super) times: Option<Moments>,
    /// When the first job is due, once there is one.
    pub(super) alarm: Option<Alarm>,
    pub(super) hooks: Hooks,
    pub(super) weighing: Weighing,
    pub(super) connections: Connections,
    pub(super) bus: Bus,
    pub(super) inbox: Inbox,
    /// The lock on the home; the guard holds the same open file.
    pub(super) lock: OwnedFd,
    /// PM2's sockets, once they are open.
    pub(super) pm2: Option<super::pm2::Ours>,
    /// Distinguishes the marks of this daemon's lives from those of any other.
    pub(super) nonce: String,
    pub(super) started_at: WallTime,
    pub(super) notices: Vec<String>,
    /// Log files that can't be written.
    pub(super) troubles: BTreeMap<String, String>,
    pub(super) unread: Unread,
    /// Of the definitions that drift was looked for in.
    pub(super) fingerprints: RefCell<Fingerprints>,
    /// Apps of whose dropped output the journal has told, and from when on it does so again.
    pub(super) told_of_drops: BTreeMap<InstanceId, Instant>,
    /// Who asked what the core is about to answer.
    pub(super) asked: BTreeMap<OpId, (ClientId, u64)>,
    pub(super) next_op: u64,
    /// Replies that wait for the state of this number to be on disk.
    pub(super) held_replies: VecDeque<(u64, OpId, Reply)>,
    /// Deleted slots whose record is kept until the state of this number is on disk.
    pub(super) forgotten: BTreeMap<InstanceId, u64>,
    /// Set when the daemon is to end, with when it stops waiting.
    pub(super) ending: Option<(Ending, Instant)>,
    pub(super) abort: AbortPoint,
    /// Something was done; when what that took is to be given back, if all has settled by then.
    pub(super) tidy_at: Option<Instant>,
    /// The state or a record could not be written; when that is tried again.
    pub(super) save_again_at: Option<Instant>,
    /// A connection could not be accepted, and none has been since; when the next is tried.
    pub(super) crowded: bool,
    pub(super) accept_again_at: Option<Instant>,
}

/// What reaches the loop from outside.
pub(super) struct Sources {
    pub(super) messages: UnboundedReceiver<Message>,
    pub(super) calls: Receiver<Call>,
    pub(super) listener: UnixListener,
    pub(super) signals: Signals,
}

/// The signals that mean something.
pub(super) struct Signals {
    terminate: SignalStream,
    interrupt: SignalStream,
    quit: SignalStream,
    reload: SignalStream,
    /// Taken, so that the end of a terminal does not end the daemon.
    _hangup: SignalStream,
}

impl Signals {
    /// Takes them from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn take() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            reload: signal(SignalKind::user_defined2())?,
            _hangup: signal(SignalKind::hangup())?,
        })
    }
}

impl Driver {
    /// Runs until the daemon is to end.
    pub(super) async fn run(&mut self, sources: &mut Sources) -> Ending {
        let Sources { messages, calls, listener, signals } = sources;
        loop {
            while let Some(event) = self.queue.pop_front() {
                self.handle(event);
            }
            if let Some(ending) = self.ended() {
                return ending;
            }
            if journal::has_written() {
                self.look_at_own_log();
            }
            let deadline = self.next_deadline();
            let weigh_at = self.weigh_at();
            let tidy_at = self.tidy_at.filter(|_| self.rests());
            let save_again_at = self.save_again_at;
            let accept_again_at = self.accept_again_at;
            tokio::select! {
                Some(message) = messages.recv() => self.receive(message),
                Some(call) = calls.recv() => self.answer(call),
                accepted = listener.accept(), if accept_again_at.is_none() => self.welcome(accepted.map(|(stream, _)| stream)),
                () = until(deadline), if deadline.is_some() => self.queue.push_back(Event::Timer),
                () = until(weigh_at), if weigh_at.is_some() => self.weigh(),
                () = until(tidy_at), if tidy_at.is_some() => self.tidy(),
                () = until(accept_again_at), if accept_again_at.is_some() => self.accept_again_at = None,
                () = until(save_again_at), if save_again_at.is_some() => self.save_again(),
                _ = signals.terminate.recv() => self.stop_all("SIGTERM"),
                _ = signals.interrupt.recv() => self.stop_all("SIGINT"),
                _ = signals.quit.recv() => self.stop_all("SIGQUIT"),
                _ = signals.reload.recv() => self.reload_logs(),
            }
        }
    }

    /// Whether all has settled: nobody is there, nothing is under way, and nothing is due.
    fn rests(&self) -> bool {
        self.connections.is_empty() && self.writer.is_idle() && self.next_deadline().is_none()
    }

    /// Something is done now. Soon after it the same may come again, and would have to fetch what had been given back.
    pub(super) fn works(&mut self) {
        self.tidy_at = Some(clock::now().instant + TIDY);
    }

    fn tidy(&mut self) {
        self.tidy_at = None;
        memory::give_back();
    }

    fn next_deadline(&self) -> Option<Instant> {
        let ending = self.ending.map(|(_, deadline)| deadline);
        self.world.next_deadline().into_iter().chain(ending).min()
    }

    /// Takes one event into the world and carries out what follows.
    pub(super) fn handle(&mut self, event: Event) {
        self.works();
        let effects = step(&mut self.world, clock::now(), event);
        // A life must be on record before there is a process of it, and that it may run before it is told to.
        for effect in &effects {
            self.foresee(effect);
        }
        self.write_records();
        for effect in effects {
            let name = effect_name(&effect);
            let deed = AssertUnwindSafe(|| {
                self.abort.reached();
                self.carry_out(effect);
            });
            if catch_unwind(deed).is_err() {
                let text = format!("an error of baton: the effect `{name}` failed; please report it with pm2.log");
                // What is left half done here is what a crash would leave, and the same recovery mends it.
                if self.guard.is_some() && self.ending.is_none() {
                    panics::hand_over(&self.home, &text);
                }
                self.notice(text);
            }
        }
    }

    fn write_records(&mut self) {
        let touched = std::mem::take(&mut self.world.touched);
        if touched.is_empty() {
            return;
        }
        self.follow_definitions(&touched);
        self.follow_clusters();
        self.follow_watching(&touched);
        self.follow_sockets(touched.iter().copied());
        self.follow_limits(&touched);
        self.follow_jobs(&touched);
        self.follow_groups(&touched);
        self.follow_heartbeats(touched.iter().copied());
        let (instances, lives) = (&self.world.instances, &self.lives);
        let entry = |id: InstanceId| (id, instances.get(&id), lives.records(id));
        let result = self.records.append(touched.into_iter().map(entry));
        let stale = result.is_ok() && self.records.is_stale();
        self.kept(&self.home.run().join("records"), result);
        if stale {
            self.write_all_records();
        }
    }

    fn write_all_records(&mut self) {
        let (instances, lives) = (&self.world.instances, &self.lives);
        let entry = |id: InstanceId| (id, instances.get(&id), lives.records(id));
        let gone = self.forgotten.keys().filter(|id| !instances.contains_key(id));
        let result = self.records.rewrite(instances.keys().chain(gone).copied().map(entry));
        self.kept(&self.home.run().join("records"), result);
    }

    /// A file of ours was written, or could not be: that is told for as long as it is so, and what was to stand there is
    /// written again.
    fn kept(&mut self, path: &Path, result: io::Result<()>) {
        let path = path.display().to_string();
        match result {
            Ok(()) if self.troubles.is_empty() => {}
            Ok(()) => {
                if self.troubles.remove(&path).is_some() {
                    journal::log(format_args!("{path} is written again"));
                }
            }
            Err(error) => {
                self.save_again_at.get_or_insert(clock::now().instant + AGAIN);
                if !self.troubles.contains_key(&path) {
                    journal::warn(format_args!("could not write {path}: {error}"));
                }
                self.troubles.insert(path, error.to_string());
            }
        }
    }

    /// Writes what could not be written.
    fn save_again(&mut self) {
        self.save_again_at = None;
        self.write_all_records();
        let (world, boot_id) = (&self.world, &self.boot_id);
        self.writer.wish(|| StateFile::of(world, boot_id));
    }

    /// Says something an operator should know, once.
    pub(super) fn notice(&mut self, text: String) {
        journal::warn(&text);
        if !self.notices.contains(&text) && self.notices.len() < NOTICES {
            self.notices.push(text);
        }
    }

    /// Everything an operator should know now.
    pub(super) fn all_notices(&self) -> Vec<String> {
        let troubles = self.troubles.iter().map(|(path, message)| format!("could not write {path}: {message}"));
        let heart = self.heart.troubles().cloned();
        let slots = self.world.instances.values().filter(|slot| slot.dropped > 0);
        let dropped = slots.map(|slot| {
            let (bytes, app, id) = (slot.dropped, &slot.spec.name, slot.id);
            format!("{bytes} bytes of output of {app} ({id}) were dropped while its log could not be written")
        });
        let has_apps = |source: &str| self.world.instances.values().any(|slot| slot.owner.as_deref() == Some(source));
        let unread = self.unread.told(has_apps);
        let mut orphans: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for slot in self.world.instances.values().filter(|slot| slot.orphan) {
            orphans.entry(slot.owner.as_deref().unwrap_or_default()).or_default().insert(&slot.spec.name);
        }
        let orphans = orphans.into_iter().map(|(source, apps)| {
            let apps: Vec<&str> = apps.into_iter().collect();
            format!("{source} does not have {} any more; `sync --prune` of it removes what is left", apps.join(", "))
        });
        let drifted = self.drift().into_iter().map(|(source, apps)| {
            let texts = |drift: Vec<Drift>| drift.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let apps: Vec<String> = apps.into_iter().map(|(app, drift)| format!("{app} ({})", texts(drift))).collect();
            format!(
                "changed by hand since {source} was synced: {}; `sync --reset-drift` of it undoes that",
                apps.join(", ")
            )
        });
        self.notices
            .iter()
            .cloned()
            .chain(troubles)
            .chain(heart)
            .chain(self.unlimited())
            .chain(dropped)
            .chain(unread)
            .chain(orphans)
            .chain(drifted)
            .collect()
    }

    /// What was changed by hand of apps that belong to a source.
    pub(super) fn drift(&self) -> BTreeMap<&str, Drifted> {
        drift(&self.world, &mut self.fingerprints.borrow_mut())
    }

    /// Begins a command that comes from nobody.
    pub(super) fn command(&mut self, command: Command) {
        let op = self.new_op();
        self.queue.push_back(Event::Command { op, command });
    }

    /// A name for a request.
    pub(super) fn new_op(&mut self) -> OpId {
        self.next_op += 1;
        OpId(self.next_op)
    }

    /// As PM2 on a signal: keeps the list, ends every app, and leaves.
    fn stop_all(&mut self, name: &str) {
        if self.world.ending {
            return;
        }
        self.keep_jobs();
        // A service is ended with the machine, or to be started again: what comes back then is what `save` kept.
        if std::env::var_os(guard::IS_SERVICE).is_some() {
            journal::log(format_args!("pm2 has been killed by signal ({name})"));
            return self.command(Command::Kill);
        }
        journal::log(format_args!("pm2 has been killed by signal ({name}), dumping process list before exit..."));
        let now = clock::now();
        let views: Vec<_> =
            self.world.instances.values().map(|instance| instance.view(now, Detail::Definition)).collect();
        if !views.is_empty() {
            self.writer.dump(views, None);
        }
        self.command(Command::Kill);
    }

    /// The daemon is to end like this.
    pub(super) fn end(&mut self, ending: Ending) {
        if self.ending.is_none() {
            self.ending = Some((ending, clock::now().instant + LAST_WORDS));
            if let (Ending::Stop, Some(guard)) = (ending, &self.guard) {
                // From here on a death is no accident: nobody is to be told that all has ended and find a successor.
                guard.stand_down();
            }
            self.connections.publish(&Update { revision: self.world.revision, change: Change::Ending });
        }
    }

    /// How the daemon ends, once nothing is left to wait for.
    fn ended(&self) -> Option<Ending> {
        let (ending, deadline) = self.ending?;
        let done = match ending {
            Ending::Stop => self.lives.is_empty() && self.writer.is_idle() && self.sockets.closing == 0,
            Ending::Replaced => self.writer.is_idle(),
        };
        (done || clock::now().instant >= deadline).then_some(ending)
    }

    /// The state is on disk, or can't be put there: what waited for it goes on.
    pub(super) fn written(&mut self, number: u64, result: io::Result<()>) {
        self.kept(&self.home.state(), result);
        let (world, boot_id) = (&self.world, &self.boot_id);
        self.writer.written(number, || StateFile::of(world, boot_id));
        self.send_replies();
        self.drop_records();
    }

    /// Sends the answers that nothing holds up any more: the state that they tell of is on disk, and what was to be closed
    /// is closed.
    pub(super) fn send_replies(&mut self) {
        let done = self.writer.done();
        while !self.closes() && self.held_replies.front().is_some_and(|(needed, ..)| *needed <= done) {
            if let Some((_, op, reply)) = self.held_replies.pop_front() {
                self.reply(op, &reply);
            }
        }
    }

    /// Whether sockets of apps are being closed: who is told that an app is down may take its ports.
    pub(super) fn closes(&self) -> bool {
        self.sockets.closing > 0 || self.channels.closes()
    }

    /// Tells the clusters which slots are up: the sockets of others are closed.
    pub(super) fn follow_clusters(&mut self) {
        let mut up: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for slot in self.world.instances.values().filter(|slot| slot.spec.exec_mode == ExecMode::Cluster) {
            let rests = matches!(slot.state, State::Stopped { .. } | State::Errored { .. });
            if !rests || !slot.beside.is_empty() {
                up.entry(slot.spec.name.clone()).or_default().insert(slot.number);
            }
        }
        self.channels.only(up);
    }

    /// Forgets deleted slots whose deletion is on disk and whose output is in its files: their records need not be
    /// kept any more.
    pub(super) fn drop_records(&mut self) {
        let (done, lives) = (self.writer.done(), &self.lives);
        self.forgotten.retain(|id, needed| *needed > done || lives.of(*id).next().is_some());
    }

    /// Sends the answer to whoever asked.
    pub(super) fn reply(&mut self, op: OpId, reply: &Reply) {
        if let Some((client, request)) = self.asked.remove(&op) {
            self.connections.reply(client, request, reply);
        }
    }

    /// Takes in what threads and tasks say.
    fn receive(&mut self, message: Message) {
        match message {
            Message::Made { key, outcome, warnings } => self.made(key, outcome, warnings),
            Message::Ready(key) => self.is_ready(key),
            Message::Heard { key, pattern } => self.heard(key, pattern),
            Message::Beat { pid, name, answer } => {
                // Who asked may have gone.
                let _ = answer.send(self.beat(pid, name));
            }
            Message::Beats(answer) => drop(answer.send(self.beats())),
            Message::BeaterGone(key, process) => self.beater_gone(key, process),
            Message::PortIsHeld(port, text) => self.port_is_held(port, text),
            Message::Petted((id, incarnation), pet) => {
                self.queue.push_back(Event::Petted { id, incarnation, pet });
            }
            Message::Examined(key, result) => self.examined(key, result),
            Message::Said(key, said) => self.said(key, said),
            Message::Spoke(key, message, size) => self.spoke(key, message, size),
            Message::ClusterClosed(number) => {
                self.channels.closed(number);
                self.send_replies();
            }
            Message::Reported(key) => self.reported(key),
            Message::Ended(key) => self.leader_ended(key),
            Message::Reaped(key) => self.leader_reaped(key),
            Message::Tree(report) => self.tree(report),
            Message::Guard(event) => self.guard_event(event),
            Message::Log(report) => self.log_report(report),
            Message::Probed { external, result } => {
                if result.is_ok() {
                    self.prober.end(&external);
                }
                self.queue.push_back(Event::Probed { external, result });
            }
            Message::Changed { ids, path, more } => self.files_changed(&ids, &path, more),
            Message::Struck => self.strike(),
            Message::Rang => self.rang(),
            Message::Told(told) => self.told(*told),
            Message::Weighed(lives) => self.weighed(lives),
            Message::Watching(text) => journal::log(text),
            Message::NotWatching(text) => self.notice(text),
            Message::NotLimited(key, why) => self.not_limited(key, &why),
            Message::Released(key) => self.released(key),
            Message::SocketsClosed => self.sockets_closed(),
            Message::Written { number, result } => self.written(number, result),
            Message::Dumped(result) => {
                self.writer.dumped();
                self.kept(&self.home.dump(), result);
            }
        }
    }

    /// The leader's app, for a line in the journal; only while the life is the current one.
    pub(super) fn app_of(&self, (id, incarnation): Key) -> Option<String> {
        self.world.current(id, incarnation).map(journal::app)
    }
}

/// Waits until this moment of the machine's clock.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => {
            let wait = deadline - clock::now().instant;
            tokio::time::sleep_until(tokio::time::Instant::now() + Duration::from_millis(wait.0)).await;
        }
        None => std::future::pending().await,
    }
}

fn effect_name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Spawn { .. } => "spawn",
        Effect::Go { .. } => "go",
        Effect::Abort { .. } => "abort",
        Effect::Signal { .. } => "signal",
        Effect::Farewell { .. } => "farewell",
        Effect::AwaitReady { .. } => "await_ready",
        Effect::Hear { .. } => "hear",
        Effect::Examine { .. } => "examine",
        Effect::Drain { .. } => "drain",
        Effect::AwaitTree { .. } => "await_tree",
        Effect::Kill { .. } => "kill",
        Effect::Probe { .. } => "probe",
        Effect::StopProbe { .. } => "stop_probe",
        Effect::Release { .. } => "release",
        Effect::Forget { .. } => "forget",
        Effect::Call { .. } => "call",
        Effect::Persist => "persist",
        Effect::Reply { .. } => "reply",
        Effect::Publish(_) => "publish",
        Effect::Shutdown => "shutdown",
    }
}
