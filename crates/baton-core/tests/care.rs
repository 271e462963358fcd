//! What is done about a life that is unwell, on a clock that only the test moves.

mod bench;

use baton_core::proto::{Action, Reply};
use baton_core::spec::{AppSpec, Condition, Dependency, Health, Heartbeat, Listen, Probe, Readiness, ReadyBy, Remedy};
use baton_core::step::{Effect, Effects, Event, Found, Pet, step};
use baton_core::units::{Incarnation, InstanceId, Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{
    Detail, Directories, Exit, Identity, Instance, InstanceView, Status, Then, Well, Wellness, World,
};
use bench::{acted, begun, defined, leader, over};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SLOT: InstanceId = InstanceId(0);

/// A world with one app, online in its first life.
struct Bench {
    world: World,
    at: u64,
    ops: u64,
    /// Probes that were asked for and not answered.
    open: usize,
}

impl Bench {
    fn new(spec: AppSpec) -> Bench {
        let mut bench = Bench { world: World::new(Directories::default()), at: 10_000, ops: 0, open: 0 };
        bench.define(spec);
        bench.run();
        bench
    }

    fn now(&self) -> Now {
        Now { instant: Instant(self.at), wall: WallTime(self.at) }
    }

    fn step(&mut self, event: Event) -> Effects {
        let now = self.now();
        let effects = step(&mut self.world, now, event);
        self.open += effects.iter().filter(|effect| matches!(effect, Effect::Examine { .. })).count();
        effects
    }

    fn define(&mut self, spec: AppSpec) -> Effects {
        self.ops += 1;
        let name = if spec.name.is_empty() { "web".into() } else { spec.name.clone() };
        let command = defined(AppSpec { name, script: "/w/web".into(), ..spec });
        self.step(Event::Command { op: OpId(self.ops), command })
    }

    fn patch(&mut self, action: Action, patch: serde_json::Value) -> Effects {
        self.ops += 1;
        self.step(Event::Command { op: OpId(self.ops), command: acted(action, "web", patch) })
    }

    fn slot(&self) -> &Instance {
        &self.world.instances[&SLOT]
    }

    fn life(&self) -> Incarnation {
        self.slot().incarnation
    }

    fn run_life(&mut self, incarnation: Incarnation) {
        for event in begun(SLOT, incarnation) {
            self.step(event);
        }
    }

    /// What was begun runs.
    fn run(&mut self) {
        self.run_life(self.life());
    }

    /// What is stopping ends, and what follows runs.
    fn end_and_run(&mut self) {
        for event in over(SLOT, self.life(), Exit::Code(0)) {
            self.step(event);
        }
        self.open = 0;
        self.pass(0);
        self.run();
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

    /// The next probe, when its time has come, with this answer; it is given this much time later.
    fn probe(&mut self, result: Result<(), &str>, takes: u64) -> Effects {
        if self.open == 0 {
            let due = self.slot().care_deadlines().health.expect("a probe is due some time");
            self.pass(due.0.saturating_sub(self.at));
        }
        assert_eq!(self.open, 1, "one probe at a time");
        self.pass(takes);
        self.open = 0;
        let (id, incarnation) = (SLOT, self.life());
        self.step(Event::Examined { id, incarnation, result: result.map_err(str::to_owned) })
    }

    fn pet(&mut self, pet: Pet) -> Effects {
        let (id, incarnation) = (SLOT, self.life());
        self.step(Event::Petted { id, incarnation, pet })
    }

    fn view(&self) -> InstanceView {
        self.slot().view(self.now(), Detail::History)
    }

    fn status(&self) -> Status {
        self.view().status
    }

    fn health(&self) -> Wellness {
        self.view().health.expect("a health")
    }

    fn cause(&self) -> String {
        self.slot().transitions.back().expect("a transition").cause.to_string()
    }
}

fn stops(effects: &Effects) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Signal { .. })).count()
}

fn health(action: Remedy) -> Health {
    Health {
        probe: Probe::Http("http://localhost/health".into()),
        interval: Millis(10_000),
        timeout: Millis(5_000),
        retries: 3,
        start_period: Millis(30_000),
        action,
    }
}

fn examined(action: Remedy) -> AppSpec {
    AppSpec { health: Some(health(action)), min_uptime: Millis(0), ..AppSpec::default() }
}

#[test]
fn three_failures_in_a_row_restart_the_app_in_the_normal_way_with_the_cause() {
    let mut bench = Bench::new(AppSpec { kill_timeout: Millis(1_234), ..examined(Remedy::Restart) });
    assert_eq!(bench.health().state, Well::Starting);
    bench.probe(Ok(()), 0);
    assert_eq!(bench.health(), Wellness { state: Well::Healthy, failures: 0, found: None });
    bench.probe(Err("status 503"), 100);
    bench.probe(Err("status 503"), 100);
    bench.probe(Ok(()), 0);
    assert_eq!(bench.health().failures, 0, "only those in a row count");
    bench.probe(Err("status 503"), 0);
    assert_eq!(bench.health(), Wellness { state: Well::Healthy, failures: 1, found: Some("status 503".into()) });
    assert_eq!(stops(&bench.probe(Err("status 503"), 0)), 0);
    let effects = bench.probe(Err("no answer in time"), 5_000);
    assert_eq!(stops(&effects), 1, "asked to end, not killed");
    assert_eq!(bench.status(), Status::Stopping);
    let why = "its health failed 3 times in a row: http://localhost/health: no answer in time";
    assert_eq!(bench.cause(), why);
    let killed = bench.pass(1_234);
    assert!(killed.iter().any(|effect| matches!(effect, Effect::Kill { .. })), "kill_timeout holds: {killed:?}");
    bench.end_and_run();
    assert_eq!((bench.view().restarts, bench.status()), (1, Status::Online));
    assert_eq!(
        bench.health(),
        Wellness { state: Well::Starting, failures: 0, found: None },
        "a new life, a new health"
    );
}

#[test]
fn probes_begin_at_once_and_come_at_their_interval_however_long_one_takes() {
    let mut bench = Bench::new(examined(Remedy::None));
    let due = |bench: &Bench| bench.slot().care_deadlines().health.map(|at| at.0);
    assert_eq!(due(&bench), Some(10_000));
    bench.probe(Err("connection refused"), 100);
    // Until one passes, and while failures do not count, whoever waits for it need not wait for a whole interval.
    assert_eq!(due(&bench), Some(11_000));
    bench.probe(Ok(()), 400);
    assert_eq!(due(&bench), Some(21_000));
    bench.pass(10_000);
    assert_eq!((bench.open, due(&bench)), (1, None), "none is begun while one is under way");
    bench.pass(60_000);
    assert_eq!(bench.open, 1);
    bench.probe(Ok(()), 0);
    assert_eq!(due(&bench), Some(31_000), "what is late comes at once");
}

#[test]
fn failures_in_the_start_period_do_not_count_until_one_has_passed() {
    let mut bench = Bench::new(examined(Remedy::Restart));
    let mut probes = 0;
    while bench.at < 39_000 {
        bench.probe(Err("connection refused"), 0);
        probes += 1;
    }
    assert_eq!(probes, 30);
    assert_eq!(
        bench.health(),
        Wellness { state: Well::Starting, failures: 0, found: Some("connection refused".into()) }
    );
    bench.probe(Err("x"), 0);
    assert_eq!(bench.health().failures, 1, "it is over");
    let mut early = Bench::new(examined(Remedy::Restart));
    early.probe(Ok(()), 0);
    for _ in 0..3 {
        early.probe(Err("x"), 0);
    }
    assert_eq!(early.status(), Status::Stopping, "it is over once one has passed");
}

#[test]
fn the_start_period_of_an_app_that_tells_when_it_is_ready_begins_then() {
    let ready = Readiness { by: ReadyBy::Notify, timeout: Millis(100_000), interval: Millis(100) };
    let mut bench = Bench::new(AppSpec { ready: Some(ready), ..examined(Remedy::Restart) });
    bench.pass(60_000);
    assert_eq!((bench.open, bench.view().health), (0, None), "nobody asks before it is ready");
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Ready { id, incarnation });
    bench.probe(Err("warming up"), 0);
    assert_eq!(bench.health().failures, 0);
}

#[test]
fn an_app_that_was_never_well_is_given_up_in_the_end_and_a_good_one_never() {
    let spec = AppSpec { max_restarts: Some(2), ..examined(Remedy::Restart) };
    let mut bench = Bench::new(spec.clone());
    for _ in 0..200 {
        if bench.status() != Status::Online {
            break;
        }
        bench.probe(Err("x"), 0);
    }
    bench.end_and_run();
    assert_eq!(bench.view().unstable, 1);
    for _ in 0..200 {
        if bench.status() != Status::Online {
            break;
        }
        bench.probe(Err("x"), 0);
    }
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Exited { id, incarnation, exit: Exit::Code(0) });
    bench.step(Event::TreeGone { id, incarnation });
    assert_eq!(bench.status(), Status::Errored);
    assert!(bench.cause().contains("its health failed 3 times"), "{}", bench.cause());
    let mut good = Bench::new(spec);
    for _ in 0..5 {
        good.probe(Ok(()), 0);
        for _ in 0..3 {
            good.probe(Err("x"), 0);
        }
        good.end_and_run();
    }
    assert_eq!((good.status(), good.view().restarts), (Status::Online, 5));
}

#[test]
fn an_unwell_app_is_stopped_for_good_when_that_is_wished() {
    let mut bench = Bench::new(examined(Remedy::Stop));
    bench.probe(Ok(()), 0);
    for _ in 0..3 {
        bench.probe(Err("exit code 1: no disk"), 0);
    }
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Exited { id, incarnation, exit: Exit::Code(0) });
    bench.step(Event::TreeGone { id, incarnation });
    assert_eq!(bench.status(), Status::Stopped);
    assert!(bench.cause().ends_with("exit code 1: no disk"));
    bench.pass(1_000_000);
    assert_eq!(bench.status(), Status::Stopped);
}

#[test]
fn an_app_that_is_only_looked_at_is_degraded_until_it_is_well_again() {
    let mut bench = Bench::new(examined(Remedy::None));
    bench.probe(Ok(()), 0);
    for _ in 0..5 {
        assert_eq!(stops(&bench.probe(Err("status 500"), 0)), 0);
    }
    assert_eq!(bench.health(), Wellness { state: Well::Degraded, failures: 5, found: Some("status 500".into()) });
    assert_eq!(bench.status(), Status::Online, "the word is one that PM2's clients know");
    let unit = &baton_core::world::units(&[bench.view()])[0];
    assert!(!unit.healthy && unit.status == Status::Online);
    let told: Vec<_> = bench.slot().transitions.iter().filter(|it| it.to == "degraded").collect();
    assert_eq!(told.len(), 1, "told once");
    bench.probe(Ok(()), 0);
    assert_eq!(bench.health(), Wellness { state: Well::Healthy, failures: 0, found: None });
    assert_eq!(bench.cause(), "its health is good again");
}

#[test]
fn what_passes_and_changes_nothing_touches_nothing() {
    let mut bench = Bench::new(examined(Remedy::Restart));
    bench.probe(Ok(()), 0);
    bench.world.touched.clear();
    let before = bench.world.revision;
    for _ in 0..100 {
        bench.probe(Ok(()), 3);
        assert!(bench.world.touched.is_empty());
    }
    assert_eq!(bench.world.revision, before, "and nobody is told");
}

#[test]
fn a_changed_health_is_looked_at_at_once_and_a_removed_one_no_more() {
    let mut bench = Bench::new(examined(Remedy::None));
    bench.probe(Ok(()), 0);
    bench.probe(Err("x"), 0);
    let other = Health { interval: Millis(500), ..health(Remedy::None) };
    let patch = |health: Option<&Health>| serde_json::json!({ "health": health });
    let effects = bench.patch(Action::Reset, patch(Some(&other)));
    assert!(effects.iter().all(|effect| !matches!(effect, Effect::Spawn { .. })), "{effects:?}");
    assert_eq!((bench.open, bench.health().state), (0, Well::Starting));
    bench.pass(0);
    assert_eq!(bench.open, 1);
    bench.patch(Action::Reset, patch(None));
    bench.probe(Err("late"), 0);
    bench.pass(1_000_000);
    assert_eq!((bench.open, bench.view().health, bench.status()), (0, None, Status::Online));
}

#[test]
fn a_late_answer_about_another_life_changes_nothing() {
    let mut bench = Bench::new(examined(Remedy::Restart));
    bench.pass(0);
    let (id, old) = (SLOT, bench.life());
    bench.step(Event::Exited { id, incarnation: old, exit: Exit::Code(1) });
    bench.step(Event::TreeGone { id, incarnation: old });
    bench.run();
    bench.step(Event::Examined { id, incarnation: old, result: Ok(()) });
    assert_eq!(bench.health().state, Well::Starting);
}

#[test]
fn a_successor_of_the_daemon_knows_how_it_was_and_looks_at_once() {
    let mut bench = Bench::new(AppSpec { watchdog: Some(Millis(30_000)), ..examined(Remedy::None) });
    bench.probe(Ok(()), 0);
    bench.pet(Pet::Alive);
    bench.probe(Err("x"), 0);
    bench.pet(Pet::Alive);
    bench.probe(Err("x"), 0);
    bench.pass(9_000);
    let text = serde_json::to_string(&bench.world.instances).expect("records are plain data");
    let mut instances: BTreeMap<InstanceId, Instance> = serde_json::from_str(&text).expect("own records load");
    instances.get_mut(&SLOT).expect("the slot").spec = bench.slot().spec.clone();
    bench.world.instances = instances;
    bench.open = 0;
    bench.pass(600_000);
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Recovered { id, incarnation, found: Found::Alive(leader(incarnation)) });
    assert_eq!(bench.status(), Status::Online, "nobody listened meanwhile, so nobody was silent");
    bench.pass(0);
    assert_eq!((bench.open, bench.health().failures), (1, 2));
    bench.probe(Err("x"), 0);
    assert_eq!(bench.health().state, Well::Degraded);
    bench.open = 0;
    bench.pass(30_000);
    assert_eq!(bench.cause(), "no WATCHDOG=1 for 30 s");
}

#[test]
fn a_silent_watchdog_restarts_the_app() {
    let mut bench = Bench::new(AppSpec { watchdog: Some(Millis(30_000)), ..AppSpec::default() });
    for _ in 0..10 {
        assert_eq!(stops(&bench.pass(29_999)), 0);
        bench.pet(Pet::Alive);
    }
    bench.pass(29_999);
    assert_eq!(bench.status(), Status::Online);
    assert_eq!(stops(&bench.pass(1)), 1);
    assert_eq!(bench.cause(), "no WATCHDOG=1 for 30 s");
    bench.end_and_run();
    assert_eq!((bench.view().restarts, bench.view().unstable), (1, 0));
    bench.pass(30_000);
    bench.end_and_run();
    assert_eq!((bench.view().restarts, bench.view().unstable), (2, 1), "a life that never said it counts as a crash");
}

#[test]
fn a_watchdog_counts_from_when_the_app_is_ready_takes_other_times_and_triggers() {
    let ready = Readiness { by: ReadyBy::Notify, timeout: Millis(100_000), interval: Millis(100) };
    let mut bench = Bench::new(AppSpec { watchdog: Some(Millis(2_000)), ready: Some(ready), ..AppSpec::default() });
    bench.pass(60_000);
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Ready { id, incarnation });
    bench.pass(1_999);
    assert_eq!(bench.status(), Status::Online);
    bench.pet(Pet::Every(Millis(50_000)));
    bench.pass(49_999);
    assert_eq!(bench.status(), Status::Online);
    bench.pet(Pet::Every(Millis(0)));
    bench.pass(1_000_000);
    assert_eq!(bench.status(), Status::Online, "0 is off");
    bench.pet(Pet::Alive);
    assert_eq!(stops(&bench.pet(Pet::Trigger)), 1);
    assert_eq!(bench.cause(), "it asked for its restart by WATCHDOG=trigger");
    bench.end_and_run();
    assert_eq!(bench.slot().care.watchdog, None, "a new life has the time of its definition");
}

#[test]
fn an_app_without_a_watchdog_may_say_what_it_likes() {
    let mut bench = Bench::new(AppSpec::default());
    for pet in [Pet::Every(Millis(1)), Pet::Alive, Pet::Trigger] {
        assert_eq!(stops(&bench.pet(pet)), 0);
    }
    bench.pass(1_000_000);
    assert_eq!(bench.status(), Status::Online);
}

#[test]
fn nothing_is_done_about_an_old_life_while_a_new_one_is_on_its_way() {
    let listen = vec![Listen { name: "http".into(), at: "127.0.0.1:80".into(), reuseport: false }];
    let ready = Some(Readiness { by: ReadyBy::Notify, timeout: Millis(500_000), interval: Millis(100) });
    let spec = AppSpec { listen, ready, watchdog: Some(Millis(30_000)), ..examined(Remedy::Restart) };
    let mut bench = Bench::new(spec);
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Ready { id, incarnation });
    bench.probe(Ok(()), 0);
    let roll = baton_core::proto::Roll { parallel: 1, overlap: true };
    let reload = bench.patch(Action::Roll(roll), serde_json::json!({}));
    assert!(reload.iter().any(|effect| matches!(effect, Effect::Spawn { .. })), "{reload:?}");
    for _ in 0..6 {
        bench.probe(Err("busy"), 0);
    }
    bench.pass(100_000);
    assert_eq!((bench.status(), bench.health().state), (Status::Online, Well::Degraded));
    let candidate = bench.slot().beside[0].incarnation;
    bench.run_life(candidate);
    bench.open = 0;
    bench.step(Event::Ready { id, incarnation: candidate });
    assert_eq!(bench.life(), candidate);
    assert_eq!(bench.health().state, Well::Starting);
    bench.pass(0);
    assert_eq!(bench.open, 1);
}

#[test]
fn who_waits_for_a_healthy_app_starts_with_its_first_probe_that_passes() {
    let mut bench = Bench::new(examined(Remedy::None));
    let depends_on =
        vec![Dependency { on: "web".into(), condition: Condition::Healthy, timeout: None, external: None }];
    let effects = bench.define(AppSpec { name: "api".into(), depends_on: depends_on.clone(), ..AppSpec::default() });
    let spawns = |effects: &Effects| effects.iter().filter(|effect| matches!(effect, Effect::Spawn { .. })).count();
    assert_eq!(spawns(&effects), 0);
    bench.pass(5_000);
    assert_eq!(spawns(&bench.probe(Err("connection refused"), 0)), 0);
    assert_eq!(spawns(&bench.probe(Ok(()), 0)), 1);

    let mut plain = Bench::new(AppSpec::default());
    let effects = plain.define(AppSpec { name: "api".into(), depends_on, ..AppSpec::default() });
    let refused = effects.iter().find_map(|effect| match effect {
        Effect::Reply { reply: Reply::Refused(refusal), .. } => Some(refusal.to_string()),
        _ => None,
    });
    assert_eq!(refused.as_deref(), Some("app `api` waits for `web` to be healthy, and that has no `health`"));
}

/// A heartbeat with its process on its way.
fn beat(bench: &mut Bench, process: &Identity, name: Option<&str>) {
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Beat { id, incarnation, process: process.clone(), name: name.map(str::to_owned) });
}

fn beating() -> AppSpec {
    let heartbeat = Heartbeat { port: 5005, timeout: Millis(600_000), interval: Millis(300_000) };
    AppSpec { heartbeat: Some(heartbeat), ..AppSpec::default() }
}

fn names(bench: &Bench) -> Vec<(u32, &str)> {
    bench.slot().care.beats.iter().map(|beat| (beat.process.pid, beat.name.as_str())).collect()
}

fn child(pid: u32) -> Identity {
    Identity { pid, start_time: 7, boot_id: "b".into() }
}

#[test]
fn a_process_that_has_beaten_once_and_falls_silent_has_its_app_started_again() {
    let mut bench = Bench::new(beating());
    bench.pass(5_000_000);
    assert_eq!(bench.status(), Status::Online, "who has never beaten is not judged");
    let leader = leader(bench.life());
    for _ in 0..100 {
        beat(&mut bench, &leader, Some("web"));
        assert_eq!(stops(&bench.pass(599_000)), 0);
    }
    let last = bench.at - 599_000;
    let effects = bench.pass(1_000_000);
    assert_eq!(stops(&effects), 1);
    let stopping = bench.slot().transitions.back().expect("a transition");
    assert_eq!(stopping.cause.to_string(), "no heartbeat for 600 s (pid 100)");
    // It is looked at whole intervals of the clock.
    assert_eq!(stopping.at.0, (last + 600_000).div_ceil(300_000) * 300_000);
    bench.end_and_run();
    assert_eq!((bench.view().restarts, names(&bench)), (1, Vec::new()), "a new life has not beaten yet");
    bench.pass(5_000_000);
    assert_eq!(bench.view().restarts, 1);
}

#[test]
fn a_child_that_has_beaten_is_judged_while_it_lives() {
    let mut bench = Bench::new(beating());
    let leader = leader(bench.life());
    beat(&mut bench, &leader, None);
    beat(&mut bench, &child(200), Some("helper"));
    assert_eq!(names(&bench), [(100, "web"), (200, "helper")]);
    let (id, incarnation) = (SLOT, bench.life());
    // Another process that has its pid is not it.
    bench.step(Event::BeaterGone { id, incarnation, process: Identity { start_time: 8, ..child(200) } });
    assert_eq!(names(&bench).len(), 2);
    bench.step(Event::BeaterGone { id, incarnation, process: child(200) });
    for _ in 0..10 {
        beat(&mut bench, &leader, None);
        bench.pass(500_000);
    }
    assert_eq!(bench.status(), Status::Online, "who has ended is not missed");
    beat(&mut bench, &child(201), Some("helper"));
    for _ in 0..2 {
        beat(&mut bench, &leader, None);
        bench.pass(500_000);
    }
    assert_eq!(bench.cause(), "no heartbeat for 600 s (pid 201)");
}

#[test]
fn of_one_name_no_more_processes_count_than_the_list_has_slots_of_it() {
    let mut bench = Bench::new(beating());
    let leader = leader(bench.life());
    beat(&mut bench, &leader, Some("web"));
    beat(&mut bench, &child(200), Some("web"));
    assert_eq!(names(&bench), [(100, "web")]);
    for pid in 300..500 {
        beat(&mut bench, &child(pid), Some("of no app"));
    }
    assert_eq!(names(&bench).len(), 64, "and there is an end to all");
}

#[test]
fn beats_are_kept_for_a_successor_of_the_daemon_and_time_begins_anew() {
    let mut bench = Bench::new(beating());
    let leader = leader(bench.life());
    beat(&mut bench, &leader, Some("web"));
    bench.world.touched.clear();
    beat(&mut bench, &leader, Some("web"));
    assert!(bench.world.touched.is_empty(), "a beat that is nothing new costs no record");
    let text = serde_json::to_string(&bench.world.instances).expect("records are plain data");
    let mut instances: BTreeMap<InstanceId, Instance> = serde_json::from_str(&text).expect("own records load");
    instances.get_mut(&SLOT).expect("the slot").spec = bench.slot().spec.clone();
    bench.world.instances = instances;
    bench.at += 10_000_000;
    let (id, incarnation) = (SLOT, bench.life());
    bench.step(Event::Recovered { id, incarnation, found: Found::Alive(leader.clone()) });
    assert_eq!((stops(&bench.pass(599_000)), names(&bench).len()), (0, 1));
    assert_eq!(stops(&bench.pass(301_000)), 1);
    assert_eq!(bench.cause(), "no heartbeat for 600 s (pid 100)");
}

#[test]
fn an_app_without_the_key_may_beat_in_vain() {
    let mut bench = Bench::new(AppSpec::default());
    let leader = leader(bench.life());
    beat(&mut bench, &leader, Some("web"));
    assert_eq!(names(&bench), []);
    let mut bench = Bench::new(beating());
    let (id, leader) = (SLOT, self::leader(bench.life()));
    bench.step(Event::Beat { id, incarnation: Incarnation(77), process: leader, name: None });
    assert_eq!(names(&bench), [], "nor does one of another life count");
}

proptest! {
    /// Whatever the answers: an app is ended exactly when as many failures in a row have counted as it allows.
    #[test]
    fn an_app_is_ended_when_enough_failures_have_counted_and_not_before(
        answers in prop::collection::vec((any::<bool>(), 0u64..6_000), 1..60),
        retries in 1u32..5,
        start_period in 0u64..40_000,
    ) {
        let start_period = Millis(start_period);
        let health = Health { retries, start_period, ..health(Remedy::Restart) };
        let mut bench = Bench::new(AppSpec { health: Some(health), min_uptime: Millis(0), ..AppSpec::default() });
        let (mut passed, mut failures) = (false, 0);
        for (well, takes) in answers {
            bench.probe(if well { Ok(()) } else { Err("x") }, takes);
            if well {
                (passed, failures) = (true, 0);
            } else if passed || bench.at >= 10_000 + start_period.0 {
                failures += 1;
            }
            let ended = bench.status() != Status::Online;
            prop_assert_eq!(ended, failures >= retries, "{} failures, {}", failures, bench.cause());
            if ended {
                let restart = matches!(&bench.slot().state, baton_core::world::State::Stopping { then: Then::Restart(_), .. });
                prop_assert_eq!(restart, passed, "only a life that was once well is no crash");
                bench.end_and_run();
                break;
            }
        }
    }
}
