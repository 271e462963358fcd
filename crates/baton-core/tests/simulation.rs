//! The world driven by a simulated operating system on virtual time: events come late, out of order, twice or from
//! incarnations long gone; programs crash, ignore signals, leave children behind and cannot be started; clients leave
//! without waiting; the daemon dies between any two effects and a successor takes over. Over all of it the promises
//! hold:
//!
//! 1. at most one incarnation of a slot is alive, but for the overlap that a reload declares;
//! 2. every spawn ends in `Spawned` or `SpawnFailed`, every process in one `Exited`, every request in one reply, and
//!    nothing is stuck once the world is quiet;
//! 3. after a stop was acknowledged nothing starts in the slot until someone asks;
//! 4. nothing starts before its pause is over, and the timers are exactly those that the states imply;
//! 5. nothing that was asked to start starts before what it depends on has come so far, and nothing that was stopped
//!    together with its dependents is signalled before they have ended;
//! 6. a reload keeps a life in the slot that is no worse than the one before: an old life is asked to end only when the
//!    new one is ready, or when someone asks for something else;
//! 7. a daemon that was told to end ends, with nothing left, and begins nothing meanwhile.

mod common;

use baton_core::proto::{Action, Command, Done, Order as Heed, Patch, Reply, Roll, Saved, Scale, Wait, Wish};
use baton_core::select::Selector;
use baton_core::spec::{AppSpec, Condition, Dependency, ExecMode, Listen, Readiness, ReadyBy};
use baton_core::step::{Effect, Event, Found, Rollout, Scope, step};
use baton_core::units::{Incarnation, InstanceId, Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{
    Directories, Exit, Identity, Instance, Signal, SpawnError, SpawnStage, State, Then, Wanted, World,
};
use common::{Order, comes_back_alone, met, stop_order};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Cases × actions is well over 100,000 steps of the world.
const CASES: u32 = 1024;
const ACTIONS: usize = 300;

/// What a simulated process does.
#[derive(Clone, Debug)]
struct Process {
    id: InstanceId,
    phase: Phase,
    /// Children that outlive the leader.
    children: u32,
    ignores_signals: bool,
    awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The stub is being made.
    Forking,
    /// The stub waits to be told to run.
    Waiting,
    /// The program runs; `Spawned` may still be on its way.
    Running,
    /// The leader has ended like this.
    Ended(Exit),
    /// It never ran.
    Void,
}

struct Machine {
    world: World,
    now: u64,
    processes: BTreeMap<Incarnation, Process>,
    /// Events on their way to the daemon; any of them may come next.
    mail: Vec<Event>,
    /// Lives that may say that they are ready.
    listening: Vec<(InstanceId, Incarnation)>,
    /// Copies of old events, which a confused kernel might tell again.
    echoes: Vec<Event>,
    next_op: u64,
    open: BTreeSet<OpId>,
    /// Requests whose client is gone; a reload is carried out to its end all the same.
    left: BTreeSet<OpId>,
    /// Slots whose stop was acknowledged and that nobody has asked for since.
    quiet: BTreeSet<InstanceId>,
    /// The daemon dies when it has carried out this many effects of a step; the records are written before the first.
    dies_after: Option<usize>,
    /// Daemons that have died.
    deaths: u32,
    /// Whether the last command was refused.
    refused: bool,
    /// For lives that were stopped in one command: those that end before they are signalled.
    order: Order,
}

impl Machine {
    fn new() -> Self {
        Machine {
            world: World::new(Directories { logs: "/l".into(), pids: "/p".into() }),
            now: 1_000,
            processes: BTreeMap::new(),
            mail: Vec::new(),
            listening: Vec::new(),
            echoes: Vec::new(),
            next_op: 0,
            open: BTreeSet::new(),
            left: BTreeSet::new(),
            quiet: BTreeSet::new(),
            dies_after: None,
            deaths: 0,
            refused: false,
            order: Order::new(),
        }
    }

    fn deliver(&mut self, event: Event) {
        let now = Now { instant: Instant(self.now), wall: WallTime(self.now + 1_000_000) };
        let pauses: BTreeMap<InstanceId, Instant> = self
            .world
            .instances
            .values()
            .filter_map(|i| match i.state {
                State::Backoff { until, .. } => Some((i.id, until)),
                State::Stopping { then: Then::Respawn { at, .. }, .. } => Some((i.id, at)),
                // Should it end now, this is the shortest pause that its definition allows.
                State::Unready { .. } | State::Online { .. } => {
                    let first = i.spec.exp_backoff_restart_delay;
                    let pause = if first > Millis(0) { first } else { i.spec.restart_delay };
                    Some((i.id, now.instant + pause))
                }
                _ => None,
            })
            .collect();
        let by_hand = matches!(event, Event::Command { .. });
        let alone: BTreeSet<InstanceId> =
            self.world.instances.values().filter(|i| comes_back_alone(i)).map(|i| i.id).collect();
        let reload = |command: &Command| match command {
            Command::Act { action, .. } => matches!(action, Action::Roll(_)),
            command => matches!(command, Command::Replace { .. }),
        };
        let reloading =
            self.reloads().next().is_some() || matches!(&event, Event::Command { command, .. } if reload(command));
        // Its turn in a reload is as good as a start by hand.
        let queued: BTreeSet<InstanceId> =
            self.reloads().flat_map(|rollout| rollout.queue.iter().map(|(id, _)| *id)).collect();
        if !by_hand && !matches!(event, Event::Timer) {
            self.echoes.push(event.clone());
        }
        let effects = step(&mut self.world, now, event);
        self.world.touched.clear();
        let ends = effects.iter().any(|effect| matches!(effect, Effect::Shutdown));
        for (count, effect) in effects.into_iter().enumerate() {
            if self.dies_after == Some(count) {
                self.dies_after = None;
                self.crash();
                return;
            }
            let beside = |id: &InstanceId, life: &Incarnation| self.world.current(*id, *life).is_none();
            if let (Effect::Spawn { id, incarnation }, false) = (&effect, by_hand)
                && !beside(id, incarnation)
                && !queued.contains(id)
                && let Some(until) = pauses.get(id)
            {
                assert!(
                    *until <= now.instant,
                    "slot {id} was started {:?} before its pause was over",
                    *until - now.instant
                );
            }
            if let Effect::Spawn { id, incarnation } = &effect
                && !beside(id, incarnation)
                && (by_hand || !alone.contains(id))
                // What a reload begins in the same step may take a dependency down again.
                && !reloading
            {
                assert!(
                    met(&self.world, *id, &BTreeSet::new()),
                    "slot {id} was started before its dependencies: {:?}",
                    self.world
                );
            }
            self.carry_out(effect);
        }
        self.check();
        if ends {
            self.end();
        }
    }

    fn reloads(&self) -> impl Iterator<Item = &Rollout> {
        self.world.pending.values().filter_map(|pending| pending.rollout.as_ref())
    }

    /// The daemon has ended for good; the next one begins with an empty home.
    fn end(&mut self) {
        assert!(self.world.ending && self.world.instances.is_empty(), "the end before everything has ended");
        assert!(self.open.is_empty(), "the end before every request has its reply");
        let running = self.processes.values().filter(|process| process.phase == Phase::Running);
        assert_eq!(running.count(), 0, "the end while a process runs");
        self.world.ending = false;
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { id, incarnation } => {
                assert!(!self.quiet.contains(&id), "slot {id} was started after its stop was acknowledged");
                assert!(!self.world.ending, "slot {id} was started although everything is to end");
                let process =
                    Process { id, phase: Phase::Forking, children: 0, ignores_signals: false, awaited: false };
                assert!(self.processes.insert(incarnation, process).is_none(), "incarnation {incarnation} twice");
            }
            Effect::Go { incarnation, .. } => {
                let id = self.processes[&incarnation].id;
                let overlap = |life: Incarnation| {
                    self.world.instances.get(&id).is_some_and(|slot| slot.beside.iter().any(|b| b.incarnation == life))
                };
                let candidate = overlap(incarnation);
                let others = self.processes.iter().filter(|(other, process)| {
                    **other != incarnation
                        && !candidate
                        && !overlap(**other)
                        && process.id == id
                        && (process.phase == Phase::Running || (process.children > 0 && process.awaited))
                });
                assert_eq!(others.count(), 0, "two incarnations alive in slot {id}");
                let process = self.processes.get_mut(&incarnation).expect("go for a process that was made");
                assert_eq!(process.phase, Phase::Waiting, "go is given once, to a process that waits");
                process.phase = Phase::Running;
                self.mail.push(Event::Spawned { id, incarnation });
            }
            Effect::Abort { id, incarnation } => {
                let process = self.processes.get_mut(&incarnation).expect("abort of a process that was made");
                if process.phase == Phase::Waiting {
                    process.phase = Phase::Void;
                    self.mail.push(Event::SpawnFailed { id, incarnation, error: error(SpawnStage::Cancelled) });
                }
            }
            Effect::Signal { incarnation, signal, scope, .. } => self.signal(incarnation, signal, scope),
            Effect::Kill { incarnation, scope, .. } => self.signal(incarnation, Signal::KILL, scope),
            Effect::Farewell { incarnation, signal, scope, .. } => self.signal(incarnation, signal, scope),
            Effect::AwaitReady { id, incarnation } => self.listening.push((id, incarnation)),
            Effect::Drain { id, incarnation } => self.mail.push(Event::Drained { id, incarnation }),
            Effect::AwaitTree { incarnation, .. } => {
                if let Some(process) = self.processes.get_mut(&incarnation) {
                    process.awaited = true;
                }
                self.report_tree(incarnation);
            }
            Effect::Release { incarnation, .. } => {
                let phase = self.processes.get(&incarnation).map(|process| process.phase);
                assert_ne!(phase, Some(Phase::Running), "a living process was let go");
            }
            Effect::Reply { op, reply } => {
                assert!(
                    self.open.remove(&op) || self.left.remove(&op) || self.world.ending,
                    "a second reply to {op:?}"
                );
                self.refused = matches!(reply, Reply::Refused(_));
                if let Reply::Outcomes(outcomes) = reply {
                    for outcome in outcomes.iter().filter(|outcome| outcome.done == Done::Stopped) {
                        let wanted = self.world.instances.get(&outcome.id).map(|instance| instance.state.wanted());
                        // A reload that was asked for later has still to come to it.
                        let queued =
                            self.reloads().any(|rollout| rollout.queue.iter().any(|(id, _)| *id == outcome.id));
                        if wanted != Some(Wanted::Up) && !queued {
                            self.quiet.insert(outcome.id);
                        }
                    }
                }
            }
            Effect::Forget { id } => {
                self.quiet.remove(&id);
            }
            // The end is looked at when the step is done.
            Effect::Probe { .. } | Effect::StopProbe { .. } => panic!("nothing external is needed here"),
            Effect::Persist | Effect::Publish(_) | Effect::Shutdown => {}
        }
    }

    fn signal(&mut self, incarnation: Incarnation, signal: Signal, scope: Scope) {
        if self.processes.get(&incarnation).is_some_and(|process| process.phase == Phase::Running) {
            let earlier = self.order.get(&incarnation).into_iter().flatten();
            let alive: Vec<_> = earlier.filter(|other| self.processes[other].phase == Phase::Running).collect();
            assert!(alive.is_empty(), "{incarnation} was signalled while its dependents {alive:?} run");
        }
        let Some(process) = self.processes.get_mut(&incarnation) else { return };
        if process.ignores_signals && signal != Signal::KILL {
            return;
        }
        if scope == Scope::Tree {
            process.children = 0;
        }
        if process.phase == Phase::Running {
            process.phase = Phase::Ended(Exit::Signal(signal));
            let id = process.id;
            self.mail.push(Event::Exited { id, incarnation, exit: Exit::Signal(signal) });
        }
        self.report_tree(incarnation);
    }

    /// Tells the daemon that nothing is left of a tree it waits for.
    fn report_tree(&mut self, incarnation: Incarnation) {
        let Some(process) = self.processes.get_mut(&incarnation) else { return };
        if process.awaited && process.children == 0 && process.phase != Phase::Running {
            process.awaited = false;
            self.mail.push(Event::TreeGone { id: process.id, incarnation });
        }
    }

    fn command(&mut self, command: Command) {
        let op = OpId(self.next_op);
        self.next_op += 1;
        self.open.insert(op);
        // Whoever asks may start anything again.
        if !matches!(command, Command::Act { action: Action::Stop | Action::Reset, .. }) {
            self.quiet.clear();
        }
        let order = self.order.clone();
        self.order.extend(stop_order(&self.world, &command));
        let asked = match &command {
            Command::Act { action, targets, .. } => {
                let ids = targets.iter().filter_map(|target| target.resolve(&self.world).ok()).flatten().collect();
                Some((*action, ids))
            }
            _ => None,
        };
        let leaving: BTreeSet<InstanceId> = self
            .world
            .instances
            .values()
            .filter(|instance| instance.state.wanted() == Wanted::Gone)
            .map(|instance| instance.id)
            .collect();
        let deaths = self.deaths;
        self.refused = false;
        self.deliver(Event::Command { op, command });
        if self.refused {
            self.order = order;
        } else if self.deaths == deaths {
            self.obeyed(asked.unwrap_or((Action::Reset, Vec::new())), &leaving);
        }
    }

    /// A client does not wait for its reply.
    fn leave(&mut self, nth: usize) {
        let Some(op) = self.open.iter().nth(nth % self.open.len().max(1)).copied() else { return };
        self.open.remove(&op);
        self.left.insert(op);
        self.deliver(Event::ClientGone { op });
    }

    /// What was asked last is what is wished now, but for slots that were leaving the list already.
    fn obeyed(&self, (action, ids): (Action, Vec<InstanceId>), leaving: &BTreeSet<InstanceId>) {
        for id in ids.iter().filter(|id| !leaving.contains(id)) {
            let wanted = self.world.instances.get(id).map(|instance| instance.state.wanted());
            match action {
                // Its turn may come later, or never.
                Action::Roll(_) => {}
                Action::Start | Action::Restart => assert_eq!(wanted, Some(Wanted::Up), "slot {id} was asked to run"),
                Action::Stop => assert_eq!(wanted, Some(Wanted::Down), "slot {id} was asked to stop"),
                Action::Delete => assert!(matches!(wanted, None | Some(Wanted::Gone)), "slot {id} was deleted"),
                Action::Reset => {}
            }
        }
    }

    /// A running program says that it is ready.
    fn say_ready(&mut self, nth: usize) {
        if self.listening.is_empty() {
            return;
        }
        let (id, incarnation) = self.listening.swap_remove(nth % self.listening.len());
        if self.processes.get(&incarnation).is_some_and(|process| process.phase == Phase::Running) {
            self.mail.push(Event::Ready { id, incarnation });
        }
    }

    /// The kernel gets on with process `nth`.
    fn progress(&mut self, nth: usize, how: u32) {
        let active: Vec<Incarnation> = self
            .processes
            .iter()
            .filter(|(_, p)| matches!(p.phase, Phase::Forking | Phase::Running) || p.children > 0)
            .map(|(incarnation, _)| *incarnation)
            .collect();
        let Some(&incarnation) = active.get(nth % active.len().max(1)) else { return };
        let process = self.processes.get_mut(&incarnation).expect("listed above");
        let id = process.id;
        match process.phase {
            Phase::Forking if how.is_multiple_of(8) => {
                process.phase = Phase::Void;
                self.mail.push(Event::SpawnFailed { id, incarnation, error: error(SpawnStage::Fork) });
            }
            Phase::Forking => {
                process.phase = Phase::Waiting;
                process.children = how % 3;
                process.ignores_signals = how.is_multiple_of(5);
                self.mail.push(Event::Prepared { id, incarnation, identity: identity(incarnation) });
            }
            Phase::Running => {
                let exit = match how % 4 {
                    0 => Exit::Code(0),
                    1 => Exit::Code(1),
                    2 => Exit::Signal(Signal(11)),
                    _ => Exit::Unknown,
                };
                self.exit(incarnation, exit);
            }
            Phase::Waiting | Phase::Ended(_) | Phase::Void => {
                process.children -= 1;
                self.report_tree(incarnation);
            }
        }
    }

    /// A running program ends by itself.
    fn exit(&mut self, incarnation: Incarnation, exit: Exit) {
        let process = self.processes.get_mut(&incarnation).expect("a process");
        process.phase = Phase::Ended(exit);
        self.mail.push(Event::Exited { id: process.id, incarnation, exit });
        self.report_tree(incarnation);
    }

    /// Hands over one event, any but an `Exited` before its own `Spawned`: the daemon keeps those two in order.
    fn hand_over(&mut self, nth: usize) {
        if self.mail.is_empty() {
            return;
        }
        let at = nth % self.mail.len();
        if let Event::Exited { incarnation, .. } = &self.mail[at] {
            let own = *incarnation;
            if let Some(first) =
                self.mail.iter().position(|e| matches!(e, Event::Spawned { incarnation, .. } if *incarnation == own))
            {
                let event = self.mail.remove(first);
                self.deliver(event);
                return;
            }
        }
        let event = self.mail.remove(at);
        self.deliver(event);
    }

    /// The machine goes down and comes up: nothing is left of any process.
    fn reboot(&mut self) {
        self.mail.clear();
        self.echoes.clear();
        self.open.clear();
        self.dies_after = None;
        self.world.ending = false;
        self.world.pending.clear();
        for process in self.processes.values_mut() {
            *process = Process { phase: Phase::Void, children: 0, awaited: false, ..process.clone() };
        }
        self.now = 500;
        let lives = |slot: &Instance| {
            let beside = slot.beside.iter().map(|beside| (slot.id, beside.incarnation));
            beside.chain([(slot.id, slot.incarnation)]).collect::<Vec<_>>()
        };
        let all: Vec<(InstanceId, Incarnation)> = self.world.instances.values().flat_map(lives).collect();
        self.listening.clear();
        for (id, incarnation) in all {
            self.deliver(Event::Recovered { id, incarnation, found: Found::Rebooted });
        }
        for instance in self.world.instances.values() {
            assert!(
                matches!(instance.state, State::Stopped { .. } | State::Errored { .. }),
                "slot {} is {:?} after a reboot: {:?}",
                instance.id,
                instance.state,
                instance.transitions
            );
        }
    }

    /// The daemon dies; a successor loads what was recorded and looks at what is left.
    fn crash(&mut self) {
        self.deaths += 1;
        let deaths = self.deaths;
        self.mail.clear();
        self.open.clear();
        self.world.ending = false;
        self.world.pending.clear();
        let records = serde_json::to_string(&self.world.instances).expect("records are plain data");
        let mut instances: BTreeMap<InstanceId, Instance> = serde_json::from_str(&records).expect("own records load");
        for (id, instance) in &mut instances {
            instance.spec = self.world.instances[id].spec.clone();
        }
        self.world.instances = instances;
        for process in self.processes.values_mut() {
            process.awaited = false;
            // Stubs that were not told to run end with the pipe.
            if matches!(process.phase, Phase::Forking | Phase::Waiting) {
                process.phase = Phase::Void;
            }
        }
        let lives = |slot: &Instance| {
            let current = slot.state.has_process().then_some(slot.incarnation);
            let all = current.into_iter().chain(slot.beside.iter().map(|beside| beside.incarnation));
            all.map(|life| (slot.id, life)).collect::<Vec<_>>()
        };
        let alive: Vec<(InstanceId, Incarnation)> = self.world.instances.values().flat_map(lives).collect();
        for (id, incarnation) in alive {
            let found = match self.processes.get(&incarnation).map(|process| process.phase) {
                Some(Phase::Running) => Found::Alive(identity(incarnation)),
                Some(Phase::Ended(exit)) => Found::Ended(exit),
                Some(Phase::Forking | Phase::Waiting | Phase::Void) | None => Found::NeverRan,
            };
            self.deliver(Event::Recovered { id, incarnation, found });
            if self.deaths != deaths {
                // That was the end of the successor, and its own has seen to the rest.
                return;
            }
        }
    }

    fn advance(&mut self, by: u64) {
        self.now += by;
        if self.world.next_deadline().is_some_and(|deadline| deadline.0 <= self.now) {
            self.deliver(Event::Timer);
        }
    }

    fn check(&self) {
        for instance in self.world.instances.values() {
            let clock = matches!(
                instance.state,
                State::Backoff { .. }
                    | State::Unready { .. }
                    | State::Online { ready: false, .. }
                    | State::Stopping { killed: false, .. }
            );
            let clock = match &instance.state {
                State::Stopping { after, .. } => clock && after.is_empty(),
                State::Waiting { for_, .. } => for_.iter().any(|dependency| dependency.timeout.is_some()),
                _ => clock,
            };
            assert_eq!(instance.state_deadline().is_some(), clock, "timer of {:?}", instance.state);
            if self.quiet.contains(&instance.id) {
                assert_ne!(instance.state.wanted(), Wanted::Up, "slot {} came up by itself", instance.id);
            }
        }
    }

    /// Lets everything come to rest: programs keep running, nothing new is asked.
    fn settle(&mut self) {
        for process in self.processes.values_mut() {
            process.ignores_signals &= process.phase == Phase::Running;
        }
        for round in 0..10_000 {
            if !self.mail.is_empty() {
                self.hand_over(round);
                continue;
            }
            let forking = self.processes.iter().position(|_| true).is_some()
                && self.processes.values().any(|process| process.phase == Phase::Forking);
            if forking {
                let (incarnation, process) =
                    self.processes.iter_mut().find(|(_, p)| p.phase == Phase::Forking).expect("just seen");
                process.phase = Phase::Waiting;
                let event =
                    Event::Prepared { id: process.id, incarnation: *incarnation, identity: identity(*incarnation) };
                self.mail.push(event);
                continue;
            }
            if let Some(deadline) = self.world.next_deadline() {
                self.now = self.now.max(deadline.0);
                self.deliver(Event::Timer);
                continue;
            }
            // Programs that someone may wait for come to their end.
            let busy = |incarnation: &Incarnation, process: &Process| {
                let instance = self.world.current(process.id, *incarnation);
                process.phase == Phase::Running && instance.is_some_and(|instance| !instance.spec.runs_for_ever())
            };
            let Some(incarnation) = self.processes.iter().find(|(i, p)| busy(i, p)).map(|(i, _)| *i) else { return };
            self.exit(incarnation, Exit::Code(0));
        }
        panic!("the world does not come to rest: {:?}", self.world.instances);
    }
}

fn identity(incarnation: Incarnation) -> Identity {
    Identity { pid: 1000 + u32::try_from(incarnation.0).unwrap_or(0), start_time: incarnation.0, boot_id: "b".into() }
}

fn error(stage: SpawnStage) -> SpawnError {
    SpawnError { stage, errno: 11, message: "resource temporarily unavailable".into() }
}

fn app(word: u32) -> AppSpec {
    AppSpec {
        name: format!("app{}", word % 3),
        script: format!("/bin/app{}", word % 4),
        autorestart: !word.is_multiple_of(7),
        autostart: !word.is_multiple_of(11),
        treekill: !word.is_multiple_of(5),
        exec_mode: if word.is_multiple_of(2) { ExecMode::Cluster } else { ExecMode::Fork },
        listen: if word.is_multiple_of(3) { vec![listen()] } else { Vec::new() },
        wait_ready: word.is_multiple_of(4),
        listen_timeout: Millis(u64::from(word % 3) * 900),
        ready: if word.is_multiple_of(10) { Some(probe()) } else { None },
        shutdown_with_message: word.is_multiple_of(17),
        max_restarts: if word.is_multiple_of(3) { Some(word % 4) } else { None },
        restart_delay: Millis(u64::from(word % 4) * 500),
        exp_backoff_restart_delay: Millis(if word.is_multiple_of(6) { 100 } else { 0 }),
        stop_exit_codes: if word.is_multiple_of(13) { vec![0] } else { Vec::new() },
        min_uptime: Millis(u64::from(word % 3) * 1000),
        namespace: format!("unit{}", word / 8 % 3),
        oneshot: word.is_multiple_of(5),
        depends_on: dependencies(word % 3, word / 128),
        ..AppSpec::default()
    }
}

fn roll(word: u32) -> Roll {
    Roll { parallel: 1 + word % 2, overlap: !(word / 2).is_multiple_of(4) }
}

fn listen() -> Listen {
    Listen { name: "http".into(), at: "127.0.0.1:80".into(), reuseport: false }
}

fn probe() -> Readiness {
    Readiness { by: ReadyBy::Notify, timeout: Millis(1200), interval: Millis(100) }
}

/// Some dependencies of app `number`: mostly on apps of lower numbers, now and then on a unit, on itself, in a circle or
/// on nothing that is there.
fn dependencies(number: u32, word: u32) -> Vec<Dependency> {
    let count = [0, 1, 1, 2][(word % 4) as usize];
    let one = |word: u32| Dependency {
        on: match word % 11 {
            0 => format!("unit{}", word / 11 % 3),
            1 => format!("app{}", word / 11 % 3),
            _ => format!("app{}", word / 11 % number.max(1)),
        },
        condition: match word / 16 % 5 {
            0 | 1 => Condition::Started,
            2 | 3 => Condition::Ready,
            _ => Condition::Exited,
        },
        timeout: if word.is_multiple_of(2) { Some(Millis(u64::from(word / 64 % 4) * 700)) } else { None },
        external: None,
    };
    let count = if number == 0 && !word.is_multiple_of(7) { 0 } else { count };
    (0..count).map(|nth| one(word / 4 + nth * 7)).collect()
}

/// Now and then a start is to be alone.
fn heed(word: u32) -> Heed {
    if (word / 32).is_multiple_of(9) { Heed::Alone } else { Heed::Dependencies }
}

fn command(word: u32) -> Command {
    let wait = if word.is_multiple_of(2) { Wait::Spawned } else { Wait::Ready { timeout: Millis(3000) } };
    let target = match word / 2 % 5 {
        0 => "all".to_owned(),
        1 => format!("{}", word / 16 % 6),
        2 => "/app[01]/".to_owned(),
        _ => format!("app{}", word / 16 % 3),
    };
    let act = |action| Command::Act {
        action,
        targets: vec![Selector::new(target)],
        patch: patch(word / 8192),
        order: heed(word),
        wait,
    };
    match word / 64 % 15 {
        12 => act(Action::Roll(roll(word / 1024))),
        13 => Command::Replace {
            apps: vec![Wish { spec: app(word / 3), count: 1 + word / 1024 % 2, brought: word.is_multiple_of(5) }],
            roll: roll(word / 4096),
            order: heed(word),
            wait,
        },
        14 => Command::Scale {
            app: format!("app{}", word / 16 % 3),
            to: [Scale::To(word / 1024 % 4), Scale::Up(1), Scale::Down(1)][(word / 4096 % 3) as usize],
            wait,
        },
        // Often the whole family, so that what is needed is there.
        0..3 => Command::Define {
            apps: (0..[1, 3, 3][(word / 4096 % 3) as usize])
                .map(|n| Wish {
                    spec: app(word + n),
                    count: if n == 0 { word / 1024 % 3 } else { 1 },
                    brought: (word / 8).is_multiple_of(5),
                })
                .collect(),
            order: heed(word),
            wait,
        },
        3 => Command::Launch {
            app: Box::new(Wish { spec: app(word), count: 1 + word % 2, brought: false }),
            force: word.is_multiple_of(3),
            wait,
        },
        4 | 5 => act(Action::Stop),
        6 | 7 => act(Action::Restart),
        8 => act(Action::Delete),
        9 => act(Action::Reset),
        10 => Command::Restore {
            slots: (0..word / 1024 % 4)
                .map(|n| Saved {
                    spec: app(word + n),
                    number: n % 2,
                    increment: None,
                    up: !(word + n).is_multiple_of(4),
                })
                .collect(),
        },
        _ if (word / 1024).is_multiple_of(4) => Command::Kill,
        _ => act(Action::Start),
    }
}

/// Options that come with a command; now and then one that can't be.
fn patch(word: u32) -> Patch {
    let (key, value) = match word % 12 {
        0 => ("treekill", (word / 12).is_multiple_of(2).into()),
        1 => ("min_uptime", (word / 12 % 3 * 1000).into()),
        2 => ("kill_timeout", (word / 12 % 3 * 800).into()),
        3 => ("autorestart", (word / 12).is_multiple_of(2).into()),
        4 => ("restart_delay", serde_json::Value::Null),
        5 => ("restart_delay", "soon".into()),
        _ => return Patch::default(),
    };
    Patch { fields: [(key.to_owned(), value)].into(), base_env: None }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_whatever_happens(actions in prop::collection::vec((0u32..100, any::<u32>()), ACTIONS)) {
        let mut machine = Machine::new();
        for (kind, word) in actions {
            let nth = word as usize;
            match kind {
                0..15 => machine.command(command(word)),
                15..45 => machine.progress(nth, word / 97),
                45..50 => machine.say_ready(nth),
                50..80 => machine.hand_over(nth),
                80..84 if !machine.echoes.is_empty() => {
                    // Told again: by then it is stale, or says what is known.
                    let event = machine.echoes[nth % machine.echoes.len()].clone();
                    let stale = match &event {
                        Event::Prepared { id, incarnation, .. }
                        | Event::Spawned { id, incarnation }
                        | Event::SpawnFailed { id, incarnation, .. }
                        | Event::Exited { id, incarnation, .. }
                        | Event::TreeGone { id, incarnation }
                        | Event::Ready { id, incarnation }
                        | Event::Drained { id, incarnation }
                        | Event::Recovered { id, incarnation, .. } => !machine.world.lives(*id, *incarnation),
                        Event::Command { .. }
                        | Event::Timer
                        | Event::ClientGone { .. }
                        | Event::Probed { .. }
                        | Event::OutputDropped { .. } => false,
                    };
                    if stale {
                        machine.deliver(event);
                    }
                }
                84..97 => machine.advance(u64::from(word % 2000)),
                97 if word.is_multiple_of(2) => machine.leave(nth),
                97 => {
                    machine.dies_after = Some(nth / 2 % 3);
                    machine.advance(u64::from(word % 2000));
                }
                98 if word.is_multiple_of(8) => machine.reboot(),
                98..100 => machine.crash(),
                _ => {}
            }
        }
        machine.dies_after = None;
        machine.settle();
        prop_assert!(!machine.world.ending, "the daemon was told to end and does not");
        prop_assert!(machine.open.is_empty(), "requests without a reply: {:?} {:?}", machine.world.pending, machine.world.instances.values().map(|i| (i.id, i.incarnation, &i.state, &i.beside, &i.transitions)).collect::<Vec<_>>());
        for instance in machine.world.instances.values() {
            let at_rest = matches!(
                instance.state,
                State::Online { ready: true, .. } | State::Stopped { .. } | State::Errored { .. }
            );
            prop_assert!(at_rest, "slot {} is stuck in {:?}", instance.id, instance.state);
        }
        let running = machine.processes.values().filter(|process| process.phase == Phase::Running).count();
        let beside = machine.world.instances.values().map(|i| i.beside.len()).sum::<usize>();
        prop_assert_eq!(beside, 0, "a reload that does not end");
        let online = machine.world.instances.values().filter(|i| i.state.has_process()).count();
        prop_assert_eq!(running, online, "a process that nobody supervises");
    }
}
