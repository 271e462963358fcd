//! The world with an operating system that does everything at once.

use baton_core::proto::{Action, Command, Order, Patch, Refusal, Reply, Wait, Wish};
use baton_core::select::Selector;
use baton_core::spec::AppSpec;
use baton_core::step::{Effect, Event, Found, step};
use baton_core::sync::{Deed, Desired, Plan, Sync, Synced, plan};
use baton_core::units::{Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{Directories, Exit, Identity, Signal, State, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) const SOURCE: &str = "/w/ecosystems";

pub(crate) struct Machine {
    pub(crate) world: World,
    pub(crate) at: u64,
    pub(crate) ops: u64,
    /// Programs that end at once, beside those that are called with `broken`.
    pub(crate) broken: BTreeSet<String>,
    /// Effects until the daemon dies.
    pub(crate) dies_after: Option<usize>,
    pub(crate) replies: BTreeMap<OpId, Reply>,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let world = World::new(Directories { logs: "/l".into(), pids: "/p".into() });
        Machine { world, at: 1_000, ops: 0, broken: BTreeSet::new(), dies_after: None, replies: BTreeMap::new() }
    }

    /// Takes one event and everything that follows from it, and lets time pass until nothing is due.
    pub(crate) fn run(&mut self, event: Event) {
        self.work(VecDeque::from([event]));
    }

    /// Takes several commands before anything follows from the first; their answers.
    pub(crate) fn at_once(&mut self, commands: impl IntoIterator<Item = Command>) -> Vec<Option<Reply>> {
        let (mut mail, mut ops) = (VecDeque::new(), Vec::new());
        for command in commands {
            self.ops += 1;
            ops.push(OpId(self.ops));
            let now = Now { instant: Instant(self.at), wall: WallTime(self.at) };
            for effect in step(&mut self.world, now, Event::Command { op: OpId(self.ops), command }) {
                self.carry_out(effect, &mut mail);
            }
        }
        self.work(mail);
        ops.iter().map(|op| self.replies.remove(op)).collect()
    }

    fn work(&mut self, mut mail: VecDeque<Event>) {
        loop {
            while let Some(event) = mail.pop_front() {
                let now = Now { instant: Instant(self.at), wall: WallTime(self.at) };
                let effects = step(&mut self.world, now, event);
                self.world.touched.clear();
                for effect in effects {
                    if let Some(left) = &mut self.dies_after {
                        if *left == 0 {
                            self.dies_after = None;
                            return self.succeed();
                        }
                        *left -= 1;
                    }
                    self.carry_out(effect, &mut mail);
                }
            }
            // What is broken would be started again for ever.
            let busy =
                self.world.instances.values().any(|slot| matches!(slot.state, State::Online { ready: false, .. }));
            match self.world.next_deadline() {
                Some(at) if busy || !self.world.pending.is_empty() => {
                    self.at = self.at.max(at.0);
                    mail.push_back(Event::Timer);
                }
                _ => return,
            }
        }
    }

    pub(crate) fn carry_out(&mut self, effect: Effect, mail: &mut VecDeque<Event>) {
        match effect {
            Effect::Spawn { id, incarnation } => {
                let identity =
                    Identity { pid: u32::try_from(incarnation.0).expect("small"), start_time: 1, boot_id: "b".into() };
                mail.push_back(Event::Prepared { id, incarnation, identity });
            }
            Effect::Go { id, incarnation } => {
                mail.push_back(Event::Spawned { id, incarnation });
                let spec = self.world.spec_of(id, incarnation).cloned().unwrap_or_default();
                if self.broken.contains(&spec.name) || spec.args == ["broken"] {
                    mail.push_back(Event::Exited { id, incarnation, exit: Exit::Code(7) });
                } else if spec.oneshot {
                    mail.push_back(Event::Exited { id, incarnation, exit: Exit::Code(0) });
                }
            }
            Effect::Signal { id, incarnation, .. } | Effect::Kill { id, incarnation, .. } => {
                mail.push_back(Event::Exited { id, incarnation, exit: Exit::Signal(Signal::INT) });
            }
            Effect::AwaitTree { id, incarnation } => mail.push_back(Event::TreeGone { id, incarnation }),
            Effect::Reply { op, reply } => drop(self.replies.insert(op, reply)),
            _ => {}
        }
    }

    /// The daemon is gone in the midst, and another one goes on with what is on record.
    pub(crate) fn succeed(&mut self) {
        self.world.pending.clear();
        self.world.syncs.clear();
        let slots: Vec<_> = self
            .world
            .instances
            .values()
            .map(|slot| (slot.id, slot.incarnation, slot.process.clone(), slot.state.clone()))
            .collect();
        for (id, incarnation, process, state) in slots {
            let found = match (state, process) {
                (State::Online { .. } | State::Unready { .. }, Some(process)) => Found::Alive(process),
                (State::Stopping { .. }, Some(_)) => Found::Ended(Exit::Signal(Signal::INT)),
                (State::Starting { .. }, _) => Found::NeverRan,
                _ => continue,
            };
            self.run(Event::Recovered { id, incarnation, found });
        }
    }

    pub(crate) fn command(&mut self, command: Command) -> Option<Reply> {
        self.ops += 1;
        let op = OpId(self.ops);
        self.run(Event::Command { op, command });
        self.replies.remove(&op)
    }

    pub(crate) fn sync(&mut self, desired: Desired) -> Result<Synced, Refusal> {
        match self.command(Command::Sync(Box::new(sync(desired)))) {
            Some(Reply::Synced(synced)) => Ok(*synced),
            Some(Reply::Refused(refusal)) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn act(&mut self, action: Action, name: &str) {
        self.command(acting(action, name));
    }

    /// The processes of each app.
    pub(crate) fn pids(&self) -> BTreeMap<String, Vec<u64>> {
        let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for slot in self.world.instances.values() {
            let life = if slot.state.has_process() { slot.incarnation.0 } else { 0 };
            all.entry(slot.spec.name.clone()).or_default().push(life);
        }
        all
    }

    pub(crate) fn deeds(&self, desired: &Desired) -> Vec<(String, Deed)> {
        let plan: Plan = plan(&self.world, desired).expect("a plan");
        plan.steps.into_iter().map(|step| (step.app, step.deed)).collect()
    }
}

pub(crate) fn acting(action: Action, name: &str) -> Command {
    let targets = vec![Selector::new(name)];
    let (patch, order, wait) = (Patch::default(), Order::Dependencies, Wait::Spawned);
    Command::Act { action, targets, patch, order, wait }
}

pub(crate) fn app(name: &str) -> Wish {
    let spec =
        AppSpec { name: name.into(), script: format!("/w/{name}"), min_uptime: Millis(10), ..AppSpec::default() };
    Wish { spec, count: 1, brought: false }
}

pub(crate) fn with(name: &str, edit: impl FnOnce(&mut AppSpec)) -> Wish {
    let mut wish = app(name);
    edit(&mut wish.spec);
    wish
}

/// A request for it, one instance at a time.
pub(crate) fn sync(desired: Desired) -> Sync {
    Sync { desired, parallel: 1, go_on: false, agreed: None }
}

pub(crate) fn source(apps: Vec<Wish>) -> Desired {
    Desired { source: SOURCE.into(), apps, ..Desired::default() }
}
