//! What else than the process itself, or a request, has a slot run again.

mod bench;

use baton_core::proto::{Action, Command, Order, Patch, Wait};
use baton_core::select::Selector;
use baton_core::spec::{AppSpec, Condition, Dependency, Watch};
use baton_core::step::{Effect, Effects, Event, step};
use baton_core::units::{Bytes, Incarnation, InstanceId, Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{Cause, Detail, Directories, Exit, Identity, State, Status, World};
use bench::{acted, begun, defined, over};
use serde_json::json;

const SLOT: InstanceId = InstanceId(0);

/// A world with one app, online in its first life, and a clock that only this moves.
struct Bench {
    world: World,
    at: u64,
    ops: u64,
}

impl Bench {
    fn new(spec: AppSpec) -> Bench {
        let mut bench = Bench { world: World::new(Directories::default()), at: 10_000, ops: 0 };
        let spec = AppSpec { name: "web".into(), script: "/w/web".into(), ..spec };
        bench.define(spec);
        bench.run();
        bench
    }

    fn now(&self) -> Now {
        Now { instant: Instant(self.at), wall: WallTime(self.at) }
    }

    fn step(&mut self, event: Event) -> Effects {
        let now = self.now();
        step(&mut self.world, now, event)
    }

    fn command(&mut self, command: Command) -> Effects {
        self.ops += 1;
        self.step(Event::Command { op: OpId(self.ops), command })
    }

    fn define(&mut self, spec: AppSpec) -> Effects {
        self.command(defined(spec))
    }

    fn act(&mut self, action: Action, patch: serde_json::Value) -> Effects {
        self.command(acted(action, "web", patch))
    }

    fn life(&self) -> Incarnation {
        self.world.instances[&SLOT].incarnation
    }

    /// What was begun runs.
    fn run(&mut self) {
        for event in begun(SLOT, self.life()) {
            self.step(event);
        }
    }

    /// What runs ends, with everything that it had started.
    fn end(&mut self, exit: Exit) -> Effects {
        over(SLOT, self.life(), exit).into_iter().flat_map(|event| self.step(event)).collect()
    }

    fn changed(&mut self, path: &str) -> Effects {
        self.step(Event::Changed { id: SLOT, path: path.into(), more: 0 })
    }

    /// Lets time pass; every timer that is due meanwhile strikes at its moment.
    fn pass(&mut self, millis: u64) -> Effects {
        let end = self.at + millis;
        let mut effects = Effects::new();
        while let Some(due) = self.world.next_deadline().filter(|due| due.0 <= end) {
            self.at = due.0.max(self.at);
            effects.extend(self.step(Event::Timer));
        }
        self.at = end;
        effects
    }

    fn status(&self) -> Status {
        Status::from(&self.world.instances[&SLOT].state)
    }

    fn watching(&self) -> bool {
        self.world.instances[&SLOT].view(self.now(), Detail::Row).watching
    }

    fn last_cause(&self) -> String {
        self.world.instances[&SLOT].transitions.back().expect("a transition").cause.to_string()
    }
}

fn signals(effects: &Effects) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Signal { .. })).count()
}

fn watched() -> AppSpec {
    AppSpec { watch: Watch::All(true), watch_delay: Millis(100), min_uptime: Millis(0), ..AppSpec::default() }
}

#[test]
fn a_thousand_changes_are_one_restart_that_names_the_first() {
    let mut bench = Bench::new(watched());
    let mut effects = Effects::new();
    for number in 0..1000 {
        effects.extend(bench.changed(&format!("src/{number}.js")));
        effects.extend(bench.pass(1));
    }
    assert_eq!(signals(&effects), 0, "not while changes keep coming");
    effects.extend(bench.pass(99));
    assert_eq!(signals(&effects), 1);
    assert_eq!(bench.last_cause(), "src/0.js has changed, and 999 more");
    bench.end(Exit::Code(0));
    bench.run();
    assert_eq!(signals(&bench.pass(60_000)), 0);
    assert_eq!(bench.world.instances[&SLOT].restarts, 1);
}

#[test]
fn changes_that_never_end_are_acted_on_all_the_same() {
    let mut bench = Bench::new(watched());
    let mut effects = Effects::new();
    for _ in 0..5_200 {
        effects.extend(bench.changed("a"));
        effects.extend(bench.pass(1));
    }
    assert_eq!(signals(&effects), 1);
}

#[test]
fn what_changes_while_the_old_life_ends_is_found_by_the_new_one() {
    let mut bench = Bench::new(watched());
    bench.changed("a");
    bench.pass(100);
    bench.changed("run.pid");
    bench.end(Exit::Code(0));
    bench.run();
    assert_eq!(signals(&bench.pass(60_000)), 0);
}

#[test]
fn a_change_mends_what_was_given_up_and_leaves_what_was_stopped() {
    let mut bench = Bench::new(AppSpec { max_restarts: Some(0), min_uptime: Millis(1000), ..watched() });
    bench.end(Exit::Code(1));
    assert_eq!(bench.status(), Status::Errored);
    bench.changed("a");
    bench.pass(100);
    assert_eq!(bench.status(), Status::Launching);
    bench.run();
    bench.act(Action::Stop, json!({}));
    bench.end(Exit::Code(0));
    bench.changed("b");
    bench.pass(60_000);
    assert_eq!((bench.status(), bench.watching()), (Status::Stopped, false));
    // Started again by hand, it is watched again.
    bench.act(Action::Start, json!({}));
    bench.run();
    assert!(bench.watching());
}

#[test]
fn a_pause_between_two_lives_ends_with_a_change() {
    let mut bench = Bench::new(AppSpec { restart_delay: Millis(60_000), ..watched() });
    bench.end(Exit::Code(1));
    assert_eq!(bench.status(), Status::WaitingRestart);
    bench.changed("a");
    bench.pass(100);
    assert_eq!(bench.status(), Status::Launching);
}

#[test]
fn a_stop_drops_the_changes_that_came_before_it() {
    let mut bench = Bench::new(watched());
    bench.changed("a");
    bench.act(Action::Stop, json!({}));
    bench.end(Exit::Code(0));
    bench.act(Action::Start, json!({}));
    bench.run();
    assert_eq!(signals(&bench.pass(60_000)), 0);
}

#[test]
fn watching_is_switched_by_hand_and_keeps_its_paths() {
    let paths = Watch::Paths(vec!["src".into()]);
    let mut bench = Bench::new(AppSpec { watch: paths.clone(), ..watched() });
    let again = |bench: &mut Bench| {
        bench.end(Exit::Code(0));
        bench.run();
    };
    bench.act(Action::Restart, json!({"watch": true}));
    again(&mut bench);
    assert!(!bench.watching(), "switched over");
    bench.changed("a");
    assert_eq!(signals(&bench.pass(60_000)), 0);
    bench.act(Action::Restart, json!({}));
    again(&mut bench);
    assert!(!bench.watching(), "and stays so");
    bench.act(Action::Restart, json!({"watch": true}));
    again(&mut bench);
    assert!(bench.watching());
    bench.act(Action::Stop, json!({"watch": true}));
    bench.end(Exit::Code(0));
    bench.act(Action::Start, json!({}));
    bench.run();
    assert!(!bench.watching(), "stopped together with its watching");
    bench.act(Action::Start, json!({"watch": true}));
    again(&mut bench);
    assert_eq!((bench.watching(), &bench.world.instances[&SLOT].spec.watch), (true, &paths));
    bench.act(Action::Stop, json!({"watch": true}));
    bench.end(Exit::Code(0));
    let spec = (*bench.world.instances[&SLOT].spec).clone();
    bench.define(spec);
    assert!(bench.watching(), "a definition from outside counts more");
}

#[test]
fn a_time_starts_again_what_runs_or_has_ended_and_not_what_was_stopped() {
    let spec = AppSpec { cron_restart: Some("0 3 * * *".into()), min_uptime: Millis(0), ..AppSpec::default() };
    let mut bench = Bench::new(AppSpec { autorestart: false, ..spec.clone() });
    assert_eq!(signals(&bench.step(Event::Struck { id: SLOT })), 1);
    assert_eq!(bench.last_cause(), "it was time: 0 3 * * *");
    // Once more while it ends changes nothing.
    assert!(signals(&bench.step(Event::Struck { id: SLOT })) == 0);
    bench.end(Exit::Code(0));
    bench.run();
    bench.end(Exit::Code(0));
    assert_eq!(bench.status(), Status::Stopped);
    bench.step(Event::Struck { id: SLOT });
    assert_eq!(bench.status(), Status::Launching, "a job runs at its time");
    bench.run();
    bench.act(Action::Stop, json!({}));
    bench.end(Exit::Code(0));
    bench.step(Event::Struck { id: SLOT });
    assert_eq!(bench.status(), Status::Stopped, "what was stopped stays down");
    let mut off = Bench::new(AppSpec { cron_restart: Some("0".into()), ..spec });
    assert_eq!(signals(&off.step(Event::Struck { id: SLOT })), 0);
}

#[test]
fn what_uses_too_much_memory_is_ended_gracefully_and_what_does_so_at_once_is_given_up() {
    let limited = AppSpec { max_memory_restart: Some(100 << 20), max_restarts: Some(3), ..AppSpec::default() };
    let mut bench = Bench::new(limited);
    let weigh = |bench: &mut Bench, used: u64| {
        let incarnation = bench.life();
        bench.step(Event::Weighed { id: SLOT, incarnation, used: Bytes(used << 20) })
    };
    bench.pass(2000);
    assert_eq!(signals(&weigh(&mut bench, 100)), 0);
    assert_eq!(signals(&weigh(&mut bench, 150)), 1);
    assert_eq!(bench.last_cause(), "it used 150 MB of memory, more than 100 MB");
    assert_eq!(signals(&weigh(&mut bench, 150)), 0, "it is ending already");
    let old = bench.life();
    bench.end(Exit::Code(0));
    bench.run();
    let stale = Event::Weighed { id: SLOT, incarnation: old, used: Bytes(1 << 40) };
    assert_eq!(signals(&bench.step(stale)), 0);
    for _ in 0..3 {
        weigh(&mut bench, 150);
        bench.end(Exit::Code(0));
        bench.run();
    }
    assert_eq!(bench.status(), Status::Errored);
    assert!(bench.last_cause().contains("150 MB"));
}

#[test]
fn an_app_that_is_not_watched_takes_no_notice() {
    let mut bench = Bench::new(AppSpec { watch: Watch::default(), ..watched() });
    bench.changed("a");
    assert_eq!(bench.world.next_deadline(), None);
    assert!(matches!(bench.world.instances[&SLOT].state, State::Online { .. }));
    assert!(matches!(bench.world.instances[&SLOT].transitions.back().map(|t| &t.cause), Some(Cause::Spawned)));
}

#[test]
fn what_ran_without_an_app_that_it_needs_runs_on_without_it() {
    let mut bench = Bench::new(watched());
    let spec = AppSpec { name: "db".into(), script: "/w/db".into(), min_uptime: Millis(0), ..AppSpec::default() };
    bench.define(spec);
    let identity = Identity { pid: 7, start_time: 7, boot_id: "b".into() };
    let (id, incarnation) = (InstanceId(1), Incarnation(2));
    bench.step(Event::Prepared { id, incarnation, identity });
    bench.step(Event::Spawned { id, incarnation });
    let depends_on = vec![Dependency { on: "db".into(), condition: Condition::Ready, timeout: None, external: None }];
    bench.define(AppSpec { name: "web".into(), script: "/w/web".into(), depends_on, ..watched() });
    bench.end(Exit::Code(0));
    bench.run();
    let (patch, wait) = (Patch::default(), Wait::Spawned);
    let targets = vec![Selector::new("db")];
    bench.command(Command::Act { action: Action::Stop, targets, patch, order: Order::Alone, wait });
    bench.step(Event::Exited { id, incarnation, exit: Exit::Code(0) });
    bench.step(Event::TreeGone { id, incarnation });

    bench.changed("a.js");
    bench.pass(200);
    bench.end(Exit::Code(0));
    assert_eq!(bench.status(), Status::Launching);
    assert!(matches!(bench.world.instances[&SLOT].state, State::Starting { .. }), "it waits for nothing");
}

#[test]
fn a_change_or_a_time_while_an_app_goes_down_by_itself_is_not_lost() {
    let mut bench = Bench::new(AppSpec { max_restarts: Some(1), min_uptime: Millis(1000), ..watched() });
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Exited { id, incarnation, exit: Exit::Code(1) });
    bench.changed("a.js");
    bench.step(Event::TreeGone { id, incarnation });
    assert_eq!(bench.status(), Status::Errored);
    bench.pass(200);
    assert!(matches!(bench.world.instances[&SLOT].state, State::Starting { .. }));

    let job = AppSpec { autorestart: false, cron_restart: Some("0 * * * * *".into()), ..AppSpec::default() };
    let mut bench = Bench::new(job);
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Exited { id, incarnation, exit: Exit::Code(0) });
    bench.step(Event::Struck { id });
    bench.step(Event::TreeGone { id, incarnation });
    assert!(matches!(bench.world.instances[&SLOT].state, State::Starting { .. }));
}
