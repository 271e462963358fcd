//! Fifty apps that depend at random on each other, on units, as units on units, and on what others run, under 10,000
//! schedules of restarts, stops, crashes, failed starts and things that are not there: no wedge, no duplicate, nothing
//! before what it needs, dependents end first, and nobody looks for what nobody waits for.

mod common;

use baton_core::proto::{Action, Command, Order as Heed, Patch, Reply, Wait, Wish};
use baton_core::select::Selector;
use baton_core::spec::{AppSpec, Condition, Dependency, External, Probe};
use baton_core::step::{Effect, Event, step};
use baton_core::units::{Incarnation, InstanceId, Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{Directories, Exit, Identity, Signal, SpawnError, SpawnStage, State, Wanted, World};
use common::{Order, comes_back_alone, met, stop_order};
use std::collections::{BTreeMap, BTreeSet};

const NODES: usize = 50;
const GRAPHS: u64 = 100;
const SCHEDULES: u64 = 100;
/// What happens in one schedule before everything is left to come to rest.
const ACTIONS: usize = 16;

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = usize::try_from((z ^ (z >> 31)) >> 33).expect("31 bits");
        number % end
    }
}

/// A dependency on one of three things that others run.
fn on_external(number: usize) -> Dependency {
    let name = format!("external{number}");
    let (probe, timeout) = (Probe::Tcp(format!("localhost:{number}")), Millis(1500));
    let external = External { name: name.clone(), probe, hint: None, start: None, timeout, cwd: "/".into() };
    Dependency { on: name, condition: Condition::Ready, timeout: Some(timeout), external: Some(external) }
}

/// The apps of one graph: each needs up to three of a lower number, or a whole unit of them.
fn apps(dice: &mut Dice) -> Vec<Wish> {
    // What whole units need: a unit before them.
    let shared: Vec<Option<Dependency>> = (0..NODES / 10)
        .map(|unit| {
            let on = (unit > 0 && dice.below(3) == 0).then(|| format!("unit{}", dice.below(unit)))?;
            Some(Dependency { on, condition: Condition::Started, timeout: None, external: None })
        })
        .collect();
    let oneshots: Vec<bool> = (0..NODES).map(|_| dice.below(8) == 0).collect();
    (0..NODES)
        .map(|node| {
            let depends_on = (0..if node == 0 { 0 } else { dice.below(4) })
                .map(|_| {
                    let unit = node / 10 * 10;
                    if unit > 0 && dice.below(8) == 0 {
                        let on = format!("unit{}", dice.below(unit / 10));
                        return Dependency { on, condition: Condition::Started, timeout: None, external: None };
                    }
                    if dice.below(8) == 0 {
                        return on_external(dice.below(3));
                    }
                    let on = dice.below(node);
                    let condition = match dice.below(3) {
                        0 if oneshots[on] => Condition::Exited,
                        2 if dice.below(2) == 0 => Condition::Log("up".into()),
                        0 | 1 => Condition::Ready,
                        _ => Condition::Started,
                    };
                    let timeout = (dice.below(6) == 0).then(|| Millis(500 + dice.below(3000) as u64));
                    Dependency { on: format!("app{on}"), condition, timeout, external: None }
                })
                .chain(shared[node / 10].clone())
                .collect();
            let spec = AppSpec {
                name: format!("app{node}"),
                namespace: format!("unit{}", node / 10),
                script: "/bin/app".into(),
                oneshot: oneshots[node],
                depends_on,
                min_uptime: Millis(if dice.below(2) == 0 { 0 } else { 1000 }),
                treekill: dice.below(2) == 0,
                max_restarts: Some(3),
                ..AppSpec::default()
            };
            Wish { spec, count: 1, brought: false }
        })
        .collect()
}

#[derive(Clone)]
struct Machine {
    world: World,
    now: u64,
    mail: Vec<Event>,
    running: BTreeMap<Incarnation, InstanceId>,
    /// What is looked for, and what of it was found.
    sought: BTreeSet<External>,
    there: BTreeSet<External>,
    order: Order,
    open: BTreeSet<OpId>,
    next_op: u64,
    /// How many starts had to wait, and how many signals.
    waited: (usize, usize),
    /// How many starts had to wait for something external.
    found: usize,
}

impl Machine {
    fn deliver(&mut self, event: Event) {
        let asked = matches!(event, Event::Command { .. });
        let alone: BTreeSet<InstanceId> =
            self.world.instances.values().filter(|i| comes_back_alone(i)).map(|i| i.id).collect();
        let now = Now { instant: Instant(self.now), wall: WallTime(self.now) };
        let effects = step(&mut self.world, now, event);
        self.world.touched.clear();
        for effect in effects {
            if let Effect::Spawn { id, .. } = &effect
                && (asked || !alone.contains(id))
            {
                assert!(met(&self.world, *id, &self.there), "slot {id} was started before what it needs");
                self.waited.0 += usize::from(!asked);
                let external = |dependency: &Dependency| dependency.external.is_some();
                self.found += usize::from(self.world.instances[id].spec.depends_on.iter().any(external));
            }
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { id, incarnation } => {
                let identity = Identity { pid: 1, start_time: incarnation.0, boot_id: "b".into() };
                self.mail.push(Event::Prepared { id, incarnation, identity });
            }
            Effect::Go { id, incarnation } => {
                assert!(!self.running.values().any(|other| *other == id), "two lives in slot {id}");
                self.running.insert(incarnation, id);
                self.mail.push(Event::Spawned { id, incarnation });
            }
            Effect::Abort { id, incarnation } => {
                let error = SpawnError { stage: SpawnStage::Cancelled, errno: 0, message: "called off".into() };
                self.mail.push(Event::SpawnFailed { id, incarnation, error });
            }
            Effect::Signal { incarnation, signal, .. } | Effect::Farewell { incarnation, signal, .. } => {
                self.signal(incarnation, signal)
            }
            Effect::Kill { incarnation, .. } => self.signal(incarnation, Signal::KILL),
            Effect::AwaitTree { id, incarnation } => self.mail.push(Event::TreeGone { id, incarnation }),
            Effect::Reply { op, reply } => {
                assert!(self.open.remove(&op), "a second reply");
                assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
            }
            Effect::Probe { external, .. } => {
                self.there.remove(&external);
                assert!(self.sought.insert(external), "it is looked for twice");
            }
            Effect::StopProbe { external } => assert!(self.sought.remove(&external), "nobody looks for it"),
            Effect::Drain { id, incarnation } => self.mail.push(Event::Drained { id, incarnation }),
            Effect::Hear { id, incarnation, pattern } => self.mail.push(Event::Heard { id, incarnation, pattern }),
            Effect::AwaitReady { .. }
            | Effect::Examine { .. }
            | Effect::Release { .. }
            | Effect::Forget { .. }
            | Effect::Call { .. }
            | Effect::Persist
            | Effect::Publish(_)
            | Effect::Shutdown => {}
        }
    }

    /// One of the things that are looked for is there, or not yet.
    fn look(&mut self, dice: &mut Dice) {
        let Some(external) = self.sought.iter().nth(dice.below(self.sought.len().max(1))).cloned() else { return };
        let result = if dice.below(3) == 0 { Ok(()) } else { Err("connection refused".to_owned()) };
        if result.is_ok() {
            self.sought.remove(&external);
            self.there.insert(external.clone());
        }
        self.deliver(Event::Probed { external, result });
    }

    fn signal(&mut self, incarnation: Incarnation, signal: Signal) {
        if !self.running.contains_key(&incarnation) {
            return;
        }
        if let Some(first) = self.order.get(&incarnation).filter(|first| !first.is_empty()) {
            let alive: Vec<_> = first.iter().filter(|other| self.running.contains_key(other)).collect();
            assert!(alive.is_empty(), "{incarnation} was signalled while its dependents {alive:?} run");
            self.waited.1 += 1;
        }
        self.exit(incarnation, Exit::Signal(signal));
    }

    fn exit(&mut self, incarnation: Incarnation, exit: Exit) {
        let id = self.running.remove(&incarnation).expect("it runs");
        self.mail.push(Event::Exited { id, incarnation, exit });
    }

    fn command(&mut self, command: Command) {
        let op = OpId(self.next_op);
        self.next_op += 1;
        self.open.insert(op);
        self.order.extend(stop_order(&self.world, &command));
        self.deliver(Event::Command { op, command });
    }

    fn act(&mut self, action: Action, target: String) {
        let targets = vec![Selector::new(target)];
        self.command(Command::Act {
            action,
            targets,
            patch: Patch::default(),
            order: Heed::Dependencies,
            wait: Wait::Spawned,
        });
    }

    /// Any event that is on its way may come next, but no exit before its own start.
    fn hand_over(&mut self, nth: usize) {
        let event = &self.mail[nth];
        let first = match event {
            Event::Exited { incarnation: own, .. } => {
                self.mail.iter().position(|e| matches!(e, Event::Spawned { incarnation, .. } if incarnation == own))
            }
            _ => None,
        };
        let event = self.mail.swap_remove(first.unwrap_or(nth));
        self.deliver(event);
    }

    fn happen(&mut self, dice: &mut Dice) {
        match dice.below(16) {
            0 => self.act(Action::Restart, format!("app{}", dice.below(NODES))),
            1 => self.act(Action::Stop, format!("app{}", dice.below(NODES))),
            2 => self.act(Action::Start, format!("app{}", dice.below(NODES))),
            3 => self.act(
                [Action::Stop, Action::Restart, Action::Start][dice.below(3)],
                format!("unit{}", dice.below(NODES / 10)),
            ),
            4 if dice.below(8) == 0 => self.act([Action::Stop, Action::Restart][dice.below(2)], "all".into()),
            4..7 if !self.running.is_empty() => {
                let nth = dice.below(self.running.len());
                let incarnation = *self.running.keys().nth(nth).expect("below the length");
                self.exit(incarnation, Exit::Code(i32::from(dice.below(3) > 0)));
            }
            7 => {
                self.now += dice.below(1500) as u64;
                if self.world.next_deadline().is_some_and(|at| at.0 <= self.now) {
                    self.deliver(Event::Timer);
                }
            }
            8 if !self.sought.is_empty() => self.look(dice),
            _ if !self.mail.is_empty() => self.hand_over(dice.below(self.mail.len())),
            _ => {}
        }
    }

    /// Nothing more is asked, one-shots do their work, and everything comes to rest.
    fn settle(&mut self, dice: &mut Dice) {
        for _ in 0..5_000 {
            if !self.mail.is_empty() {
                self.hand_over(dice.below(self.mail.len()));
            } else if let Some((incarnation, _)) =
                self.running.iter().find(|(_, id)| self.world.instances[id].spec.oneshot)
            {
                self.exit(*incarnation, Exit::Code(0));
            } else if !self.sought.is_empty() && dice.below(2) == 0 {
                self.look(dice);
            } else if let Some(at) = self.world.next_deadline() {
                self.now = self.now.max(at.0);
                self.deliver(Event::Timer);
            } else {
                break;
            }
        }
        for instance in self.world.instances.values() {
            let at_rest = match &instance.state {
                State::Online { ready, .. } => *ready && self.running.contains_key(&instance.incarnation),
                State::Stopped { .. } | State::Errored { .. } => !self.running.contains_key(&instance.incarnation),
                _ => false,
            };
            assert!(at_rest, "{} is stuck in {:?}", instance.spec.name, instance.state);
        }
        assert!(self.open.is_empty(), "requests without a reply");
        assert!(self.sought.is_empty(), "{:?} is looked for, and nobody waits for it", self.sought);
    }
}

/// One graph, brought up once and put through its schedules; how many starts and signals had to wait, and how many
/// starts for something external.
fn graph(graph: u64) -> [usize; 3] {
    let mut dice = Dice(graph);
    let mut first = Machine {
        world: World::new(Directories::default()),
        now: 1000,
        mail: Vec::new(),
        running: BTreeMap::new(),
        sought: BTreeSet::new(),
        there: BTreeSet::new(),
        found: 0,
        order: Order::new(),
        open: BTreeSet::new(),
        next_op: 0,
        waited: (0, 0),
    };
    first.command(Command::Define { apps: apps(&mut dice), order: Heed::Dependencies, wait: Wait::Spawned });
    first.settle(&mut dice);
    // Apps with a timeout that is too short have failed; everything else is up.
    assert!(first.world.instances.values().any(|i| i.state.wanted() == Wanted::Up), "nothing came up");
    let mut waited = [first.waited.0, first.waited.1, first.found];
    for schedule in 0..SCHEDULES {
        let mut machine = Machine { waited: (0, 0), found: 0, ..first.clone() };
        let mut dice = Dice(graph << 32 | schedule);
        for _ in 0..ACTIONS {
            machine.happen(&mut dice);
        }
        machine.settle(&mut dice);
        waited[0] += machine.waited.0;
        waited[1] += machine.waited.1;
        waited[2] += machine.found;
    }
    waited
}

#[test]
fn ten_thousand_schedules_of_fifty_apps_come_to_rest_in_order() {
    let waited = std::thread::scope(|scope| {
        let part = |nth: u64| (nth..GRAPHS).step_by(4).map(graph).collect::<Vec<_>>();
        let parts: Vec<_> = (0..4).map(|nth| scope.spawn(move || part(nth))).collect();
        let all = parts.into_iter().flat_map(|part| part.join().expect("the promises hold"));
        all.fold([0; 3], |sum, one| [0, 1, 2].map(|nth| sum[nth] + one[nth]))
    });
    let [starts, signals, found] = waited;
    assert!(starts > 10_000 && signals > 1_000 && found > 1_000, "too little was tried: {waited:?}");
}
