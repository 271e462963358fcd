//! The simulated operating system and its clients.

use crate::common::{Order, comes_back_alone, met, stop_order};
use baton_core::proto::{Action, Command, Done, Reply};
use baton_core::step::{Effect, Event, Found, Pet, Rollout, Scope, step};
use baton_core::units::{Bytes, Incarnation, InstanceId, Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{
    Cause, Directories, Exit, Identity, Instance, Next, Signal, SpawnError, SpawnStage, State, Then, Wanted, World,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a simulated process does.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    id: InstanceId,
    pub(crate) phase: Phase,
    /// Children that outlive the leader.
    children: u32,
    ignores_signals: bool,
    awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
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

pub(crate) struct Machine {
    pub(crate) world: World,
    now: u64,
    pub(crate) processes: BTreeMap<Incarnation, Process>,
    /// Events on their way to the daemon; any of them may come next.
    mail: Vec<Event>,
    /// Lives that may say that they are ready.
    listening: Vec<(InstanceId, Incarnation)>,
    /// Lives whose health is being looked at.
    examining: Vec<(InstanceId, Incarnation)>,
    /// Lines that somebody listens for, and in which life.
    words: Vec<(InstanceId, Incarnation, String)>,
    /// Copies of old events, which a confused kernel might tell again.
    pub(crate) echoes: Vec<Event>,
    next_op: u64,
    pub(crate) open: BTreeSet<OpId>,
    /// Requests whose client is gone; a reload is carried out to its end all the same.
    left: BTreeSet<OpId>,
    /// Slots whose stop was acknowledged and that nobody has asked for since.
    quiet: BTreeSet<InstanceId>,
    /// The daemon dies when it has carried out this many effects of a step; the records are written before the first.
    pub(crate) dies_after: Option<usize>,
    /// Daemons that have died.
    deaths: u32,
    /// Whether the last command was refused.
    refused: bool,
    /// For lives that were stopped in one command: those that end before they are signalled.
    order: Order,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Machine {
            world: World::new(Directories { logs: "/l".into(), pids: "/p".into() }),
            now: 1_000,
            processes: BTreeMap::new(),
            mail: Vec::new(),
            listening: Vec::new(),
            examining: Vec::new(),
            words: Vec::new(),
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

    pub(crate) fn deliver(&mut self, event: Event) {
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
                // Someone has mended it, or it is time.
                && !self.world.instances[id].transitions.back().is_some_and(|last| is_outside(&last.cause))
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
            Effect::Hear { id, incarnation, pattern } => self.words.push((id, incarnation, pattern)),
            Effect::Examine { id, incarnation } => self.examining.push((id, incarnation)),
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
            Effect::Call { .. } | Effect::Persist | Effect::Publish(_) | Effect::Shutdown => {}
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

    pub(crate) fn command(&mut self, command: Command) {
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
    pub(crate) fn leave(&mut self, nth: usize) {
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
                Action::Reset | Action::Run => {}
            }
        }
    }

    /// A running program says that it is ready.
    pub(crate) fn say_ready(&mut self, nth: usize) {
        if self.listening.is_empty() {
            return;
        }
        let (id, incarnation) = self.listening.swap_remove(nth % self.listening.len());
        if self.processes.get(&incarnation).is_some_and(|process| process.phase == Phase::Running) {
            self.mail.push(Event::Ready { id, incarnation });
        }
    }

    /// A running program writes a line that somebody listens for.
    pub(crate) fn write_line(&mut self, nth: usize) {
        if self.words.is_empty() {
            return;
        }
        let (id, incarnation, pattern) = self.words[nth % self.words.len()].clone();
        match self.processes.get(&incarnation).map(|process| process.phase) {
            Some(Phase::Running) => self.mail.push(Event::Heard { id, incarnation, pattern }),
            // It may still write it.
            Some(Phase::Forking | Phase::Waiting) => return,
            Some(Phase::Ended(_) | Phase::Void) | None => {}
        }
        self.words.swap_remove(nth % self.words.len());
    }

    /// Something outside wants a slot to run again.
    pub(crate) fn call(&mut self, nth: usize, word: u32) {
        let all: Vec<(InstanceId, Incarnation)> =
            self.world.instances.values().map(|slot| (slot.id, slot.incarnation)).collect();
        let Some(&(id, incarnation)) = all.get(nth % all.len().max(1)) else { return };
        self.deliver(match word % 4 {
            0 => Event::Struck { id },
            1 => Event::Weighed { id, incarnation, used: Bytes(u64::from(word)) },
            _ => Event::Changed { id, path: "a.js".into(), more: word % 3 },
        });
    }

    /// The kernel gets on with process `nth`.
    pub(crate) fn progress(&mut self, nth: usize, how: u32) {
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
    pub(crate) fn hand_over(&mut self, nth: usize) {
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
    pub(crate) fn reboot(&mut self) {
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
        self.words.clear();
        self.examining.clear();
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
    pub(crate) fn crash(&mut self) {
        self.deaths += 1;
        let deaths = self.deaths;
        self.mail.clear();
        self.words.clear();
        self.examining.clear();
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

    /// A probe of some life's health has an answer.
    pub(crate) fn answer(&mut self, nth: usize, well: bool) {
        if self.examining.is_empty() {
            return;
        }
        let (id, incarnation) = self.examining.remove(nth % self.examining.len());
        let result = if well { Ok(()) } else { Err("status 500".into()) };
        self.mail.push(Event::Examined { id, incarnation, result });
    }

    /// Some life speaks to its watchdog.
    pub(crate) fn pet(&mut self, nth: usize) {
        let Some(slot) = self.world.instances.values().nth(nth % self.world.instances.len().max(1)) else { return };
        let (id, incarnation) = (slot.id, slot.incarnation);
        let pet = [Pet::Alive, Pet::Every(Millis(500)), Pet::Alive, Pet::Trigger][nth % 4];
        self.mail.push(Event::Petted { id, incarnation, pet });
    }

    pub(crate) fn advance(&mut self, by: u64) {
        self.now += by;
        if self.world.next_deadline().is_some_and(|deadline| deadline.0 <= self.now) {
            self.deliver(Event::Timer);
        }
        if by.is_multiple_of(3) {
            self.deliver(Event::Clock);
        }
        // Somebody looks when jobs are due next.
        let unplanned = self.world.instances.values().filter_map(|slot| {
            let (schedule, job) = slot.armed_job()?;
            let time = WallTime(self.now + 1_000_000 + by % 7 * 300);
            (job.next == Next::Unplanned).then(|| Event::Planned {
                id: slot.id,
                pattern: schedule.pattern(),
                time: (!by.is_multiple_of(11)).then_some(time),
            })
        });
        self.mail.extend(unplanned.collect::<Vec<_>>());
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
    pub(crate) fn settle(&mut self) {
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
            if !self.words.is_empty() {
                self.write_line(round);
                continue;
            }
            if !self.examining.is_empty() {
                self.answer(round, true);
                continue;
            }
            // Who is looked after is so for ever: it is no unrest once it is well.
            let unwell = self.world.instances.values().filter(|slot| !slot.care.passed || slot.care.degraded);
            let looks = unwell.filter_map(|slot| slot.care_deadlines().health);
            let of_slot = |slot: &Instance| {
                let beside = slot.beside.iter().filter_map(|beside| beside.deadline());
                beside.chain(slot.state_deadline()).chain(slot.change_deadline()).min()
            };
            let slots = self.world.instances.values().filter_map(of_slot);
            let pending = self.world.pending.values().filter_map(|pending| pending.deadline);
            if let Some(deadline) = looks.chain(slots).chain(pending).min() {
                self.now = self.now.max(deadline.0.min(self.now + 1_000));
                let watched = self.world.instances.values().filter(|slot| slot.care_deadlines().watchdog.is_some());
                let lives: Vec<_> = watched.map(|slot| (slot.id, slot.incarnation)).collect();
                for (id, incarnation) in lives {
                    self.deliver(Event::Petted { id, incarnation, pet: Pet::Alive });
                }
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

fn is_outside(cause: &Cause) -> bool {
    matches!(
        cause,
        Cause::Time(_)
            | Cause::Changed { .. }
            | Cause::Memory { .. }
            | Cause::Unhealthy { .. }
            | Cause::WatchdogSilent(_)
            | Cause::WatchdogTriggered
    )
}

fn identity(incarnation: Incarnation) -> Identity {
    Identity { pid: 1000 + u32::try_from(incarnation.0).unwrap_or(0), start_time: incarnation.0, boot_id: "b".into() }
}

fn error(stage: SpawnStage) -> SpawnError {
    SpawnError { stage, errno: 11, message: "resource temporarily unavailable".into() }
}
