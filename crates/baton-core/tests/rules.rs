//! The rules, one by one: what follows an exit, which slots a word means, which files a slot has, what a change needs.

use baton_core::policy::{after_exit, after_spawn_failure};
use baton_core::proto::{Action, Command, Order, Patch, Wait, Wish};
use baton_core::select::{SelectError, Selector};
use baton_core::spec::{AppSpec, ChangeClass, FIELDS, Field, Instances, LATER};
use baton_core::step::{Effect, Event, Found, Scope, step};
use baton_core::units::{Bytes, Incarnation, InstanceId, Instant, Millis, Now, OpId, WallTime};
use baton_core::world::{
    Cause, Detail, Directories, Exit, Identity, Instance, InstanceFiles, InstanceView, Signal, SpawnError, SpawnStage,
    State, Status, Then, Transition, Verb, World, units,
};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Arc;

const NOW: Instant = Instant(1_000_000);

fn directories() -> Directories {
    Directories { logs: "/h/logs".into(), pids: "/h/pids".into() }
}

fn instance(spec: AppSpec) -> Instance {
    Instance::new(InstanceId(3), 0, Arc::new(spec), WallTime(0), &directories())
}

/// The pauses of an app that crashes at once, until it is given up or 40 are seen.
fn pauses(spec: AppSpec, uptime: Millis) -> (Vec<u64>, bool) {
    let mut instance = instance(spec);
    let mut seen = Vec::new();
    for _ in 0..40 {
        let verdict = after_exit(&instance, Exit::Code(1), uptime, NOW);
        instance.unstable = verdict.unstable;
        instance.last_delay = verdict.last_delay;
        match verdict.then {
            Then::Respawn { at, delay, .. } => {
                assert_eq!(at, NOW + delay);
                seen.push(delay.0);
            }
            Then::GiveUp(Cause::CrashLoop(..)) => return (seen, true),
            other => panic!("{other:?}"),
        }
    }
    (seen, false)
}

#[test]
fn a_crash_loop_is_given_up_at_the_sixteenth_unstable_exit() {
    let (seen, given_up) = pauses(AppSpec::default(), Millis(10));
    assert_eq!((seen.len(), given_up), (15, true));
}

#[test]
fn max_restarts_is_a_number_of_unstable_exits_in_a_row() {
    let (seen, given_up) = pauses(AppSpec { max_restarts: Some(3), ..AppSpec::default() }, Millis(999));
    assert_eq!((seen.len(), given_up), (2, true));
    let (seen, given_up) = pauses(AppSpec { max_restarts: Some(0), ..AppSpec::default() }, Millis(0));
    assert_eq!((seen.len(), given_up), (0, true));
    // A life of min_uptime is stable, and stable exits are not counted.
    let (seen, given_up) = pauses(AppSpec { max_restarts: Some(3), ..AppSpec::default() }, Millis(1000));
    assert_eq!((seen.len(), given_up), (40, false));
}

#[test]
fn the_growing_series_is_pm2s_and_has_no_end_of_its_own() {
    let spec = AppSpec { exp_backoff_restart_delay: Millis(100), ..AppSpec::default() };
    let (seen, given_up) = pauses(spec.clone(), Millis(10));
    assert!(!given_up);
    assert_eq!(seen[..9], [100, 150, 225, 337, 505, 757, 1135, 1702, 2553]);
    assert_eq!(seen.iter().max(), Some(&15_000));
    // Half a minute of uptime begins it anew.
    let mut healthy = instance(spec.clone());
    healthy.last_delay = Millis(757);
    assert_eq!(after_exit(&healthy, Exit::Code(1), Millis(30_001), NOW).last_delay, Millis(100));
    assert_eq!(after_exit(&healthy, Exit::Code(1), Millis(30_000), NOW).last_delay, Millis(1135));
    // The growing series wins over a fixed pause.
    let (seen, _) = pauses(AppSpec { restart_delay: Millis(7), ..spec.clone() }, Millis(10));
    assert_eq!(seen[0], 100);
    let (seen, given_up) = pauses(AppSpec { max_restarts: Some(4), ..spec }, Millis(10));
    assert_eq!((seen.len(), given_up), (3, true));
}

#[test]
fn some_exits_are_the_end_of_the_work() {
    let then = |spec: AppSpec, exit: Exit| after_exit(&instance(spec), exit, Millis(5), NOW).then;
    let listed = AppSpec { stop_exit_codes: vec![0, 42], ..AppSpec::default() };
    assert_eq!(then(listed.clone(), Exit::Code(42)), Then::Stop(Cause::Exited(Exit::Code(42))));
    assert_eq!(then(listed.clone(), Exit::Code(0)), Then::Stop(Cause::Exited(Exit::Code(0))));
    assert!(matches!(then(listed.clone(), Exit::Code(1)), Then::Respawn { .. }));
    // A signal is no exit code, though PM2 records it as 0.
    assert!(matches!(then(listed, Exit::Signal(Signal::KILL)), Then::Respawn { .. }));
    let once = AppSpec { autorestart: false, restart_delay: Millis(1000), ..AppSpec::default() };
    assert!(matches!(then(once, Exit::Unknown), Then::Stop(_)));
}

fn world() -> World {
    let mut world = World::new(directories());
    for (id, (name, unit, script)) in [
        ("web", "front", "/w/web.js"),
        ("web", "front", "/w/web.js"),
        ("1", "back", "/w/one.js"),
        ("db", "7", "/w/db.sh"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = InstanceId(u32::try_from(id).expect("small"));
        let spec = AppSpec { name: name.into(), namespace: unit.into(), script: script.into(), ..AppSpec::default() };
        world.instances.insert(id, Instance::new(id, 0, Arc::new(spec), WallTime(0), &directories()));
    }
    world
}

fn chosen(text: &str) -> Result<Vec<u32>, SelectError> {
    Selector::new(text).resolve(&world()).map(|ids| ids.into_iter().map(|id| id.0).collect())
}

#[test]
fn a_word_means_what_it_means_under_pm2() {
    assert_eq!(chosen("all"), Ok(vec![0, 1, 2, 3]));
    assert_eq!(chosen("web"), Ok(vec![0, 1]));
    assert_eq!(chosen("front"), Ok(vec![0, 1]));
    assert_eq!(chosen("1"), Ok(vec![2]), "a name before a number");
    assert_eq!(chosen("7"), Ok(vec![3]), "a unit before a number");
    assert_eq!(chosen("0"), Ok(vec![0]));
    assert_eq!(chosen("/^w/"), Ok(vec![0, 1]));
    assert_eq!(chosen("/[wd]b/"), Ok(vec![3]));
    assert_eq!(chosen("99"), Err(SelectError::NoId("99".into())));
    assert_eq!(chosen("nobody"), Err(SelectError::NoName("nobody".into())));
    assert_eq!(chosen("/nobody/"), Err(SelectError::Nothing));
    assert!(matches!(chosen("/(/"), Err(SelectError::BadPattern(..))));
    let by_path = Selector { text: "db.sh".into(), path: Some("/w/db.sh".into()), id: None };
    assert_eq!(by_path.resolve(&world()), Ok(vec![InstanceId(3)]));
    assert_eq!(Selector::new("all").resolve(&World::default()), Err(SelectError::Nothing));
}

#[test]
fn files_are_named_as_pm2_names_them() {
    let files = |spec: AppSpec| InstanceFiles::of(&spec, InstanceId(9), &directories());
    let plain = files(AppSpec { name: "my_app é".into(), ..AppSpec::default() });
    assert_eq!(plain.out.as_deref(), Some("/h/logs/my-app---out.log"));
    assert_eq!(plain.error.as_deref(), Some("/h/logs/my-app---error.log"));
    assert_eq!(plain.combined, None);
    assert_eq!(files(AppSpec { name: "app-1".into(), ..AppSpec::default() }).pid, "/h/pids/app-9.pid");
    let apart = files(AppSpec {
        name: "a".into(),
        merge_logs: false,
        out_file: Some("/x/out-2.log".into()),
        error_file: Some("/x/err.txt".into()),
        log_file: Some("/x/all.log".into()),
        ..AppSpec::default()
    });
    assert_eq!(apart.out.as_deref(), Some("/x/out-9.log"));
    assert_eq!(apart.error.as_deref(), Some("/x/err.txt"));
    assert_eq!(apart.combined.as_deref(), Some("/x/all-9.log"));
    let none =
        files(AppSpec { out_file: Some("/dev/null".into()), error_file: Some("NULL".into()), ..AppSpec::default() });
    assert_eq!((none.out, none.error), (None, None));
    assert_eq!(files(AppSpec { disable_logs: true, ..AppSpec::default() }).out, None);
}

#[test]
fn instances_are_counted_as_pm2_counts_them() {
    let counts: Vec<u32> = [4, 1, 0, -1, -3, -9].into_iter().map(|n| Instances(n).count(4)).collect();
    assert_eq!(counts, [4, 1, 4, 3, 1, 1]);
}

#[test]
fn a_change_is_named_with_what_it_needs() {
    let now = AppSpec { name: "a".into(), ..AppSpec::default() };
    let then = AppSpec {
        kill_timeout: Millis(9),
        instances: Instances(2),
        args: vec!["x".into()],
        username: "someone else".into(),
        ..now.clone()
    };
    let changes: Vec<(String, ChangeClass)> =
        now.changes(&then).into_iter().map(|change| (change.field, change.class)).collect();
    assert_eq!(
        changes,
        [
            ("args".into(), ChangeClass::Restart),
            ("instances".into(), ChangeClass::Scale),
            ("kill_timeout".into(), ChangeClass::Live),
        ]
    );
    assert_ne!(now.hash(), then.hash());
    let elsewhere =
        AppSpec { username: "x".into(), base_env: Arc::new([("A".into(), "1".into())].into()), ..now.clone() };
    assert_eq!(now.hash(), elsewhere.hash(), "where it was started is no part of the definition");
}

#[test]
fn every_key_has_one_row() {
    let mut seen = std::collections::BTreeSet::new();
    for field in FIELDS.iter().chain(LATER) {
        for key in std::iter::once(&field.name).chain(field.aliases) {
            assert!(seen.insert(*key), "{key} stands twice");
            assert_eq!(Field::find(key).map(|found| found.name), Some(field.name));
        }
        assert!(!field.doc.trim().is_empty(), "{} has no documentation", field.name);
    }
    let serde_json::Value::Object(map) = serde_json::to_value(AppSpec::default()).expect("json") else { panic!() };
    // What the core can decide by, and no key sets yet, stands behind the rows.
    let waits = |key: &&String| LATER.iter().any(|field| field.name == key.as_str());
    let stored: Vec<&String> = map.keys().filter(|key| !waits(key)).collect();
    let rows: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(stored, rows, "a row is stored under its own name");
}

#[test]
fn signals_go_by_name_and_number() {
    assert_eq!(Signal::parse("SIGTERM"), Some(Signal::TERM));
    assert_eq!(Signal::parse("int"), Some(Signal::INT));
    assert_eq!(Signal::parse("9"), Some(Signal::KILL));
    assert_eq!(Signal::parse("SIGNONSENSE"), None);
    assert_eq!(Signal::parse("0"), None);
    assert_eq!(Signal(15).to_string(), "SIGTERM");
    assert_eq!(Exit::Signal(Signal(11)).to_string(), "was ended by SIGSEGV");
}

proptest! {
    #[test]
    fn a_definition_survives_its_way_over_the_wire(name in ".*", args in prop::collection::vec(".*", 0..4), n in -8i32..8) {
        let spec = AppSpec { name, args, instances: Instances(n), ..AppSpec::default() };
        let text = serde_json::to_string(&spec).expect("json");
        let back: AppSpec = serde_json::from_str(&text).expect("own json");
        prop_assert_eq!(back.hash(), spec.hash());
        prop_assert_eq!(back, spec);
    }

    #[test]
    fn a_pause_is_never_longer_than_the_longest(first in 1u64..20_000, last in 0u64..20_000, uptime in 0u64..60_000) {
        let mut instance = instance(AppSpec { exp_backoff_restart_delay: Millis(first), ..AppSpec::default() });
        instance.last_delay = Millis(last);
        let delay = after_exit(&instance, Exit::Code(1), Millis(uptime), NOW).last_delay;
        prop_assert!(delay == Millis(first) || (delay <= Millis(15_000) && delay >= Millis(last.min(15_000))));
    }
}

#[test]
fn a_patch_reaches_the_keys_that_are_only_kept() {
    let mut world = world();
    let reset = |world: &mut World, fields: serde_json::Value| {
        let patch = Patch { fields: serde_json::from_value(fields).expect("a map"), base_env: None };
        let command = Command::Act {
            action: Action::Reset,
            targets: vec![Selector::new("db")],
            patch,
            order: Order::default(),
            wait: Wait::default(),
        };
        step(world, Now::default(), Event::Command { op: OpId(1), command });
        Arc::clone(&world.instances[&InstanceId(3)].spec)
    };
    let spec = reset(&mut world, json!({"trace": true, "io": "x", "max_restarts": 4}));
    assert_eq!(spec.declared.keys().collect::<Vec<_>>(), ["io", "trace"]);
    assert_eq!(spec.max_restarts, Some(4));
    let spec = reset(&mut world, json!({"trace": null, "max_restarts": null}));
    assert_eq!(spec.declared.keys().collect::<Vec<_>>(), ["io"]);
    assert_eq!(spec.max_restarts, None);
}

#[test]
fn a_successor_kills_what_its_predecessor_died_before_it_could_kill() {
    let mut world = World::new(directories());
    let mut at = |ms, event| step(&mut world, Now { instant: Instant(ms), wall: WallTime(ms) }, event);
    let (id, incarnation) = (InstanceId(0), Incarnation(1));
    let app = Box::new(Wish { spec: AppSpec { name: "a".into(), ..AppSpec::default() }, count: 1, brought: false });
    at(0, Event::Command { op: OpId(1), command: Command::Launch { app, force: false, wait: Wait::Spawned } });
    let identity = Identity { pid: 7, start_time: 7, boot_id: "b".into() };
    at(1, Event::Prepared { id, incarnation, identity });
    at(2, Event::Spawned { id, incarnation });
    // Its children ignore what they are sent.
    at(3, Event::Exited { id, incarnation, exit: Exit::Code(1) });
    let sent =
        |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Kill { scope: Scope::Tree, .. }));
    assert!(sent(&at(2000, Event::Timer)));
    assert!(sent(&at(2001, Event::Recovered { id, incarnation, found: Found::Ended(Exit::Code(1)) })));
}

#[test]
fn an_app_that_is_being_deleted_can_be_started_anew() {
    let mut world = World::new(directories());
    let wish = || Wish { spec: AppSpec { name: "a".into(), ..AppSpec::default() }, count: 1, brought: false };
    let define = || Command::Define { apps: vec![wish()], order: Order::Dependencies, wait: Wait::Spawned };
    let delete = Command::Act {
        action: Action::Delete,
        targets: vec![Selector::new("a")],
        patch: Patch::default(),
        order: Order::default(),
        wait: Wait::default(),
    };
    let mut at = |event| step(&mut world, Now::default(), event);
    let identity = Identity { pid: 7, start_time: 7, boot_id: "b".into() };
    at(Event::Command { op: OpId(1), command: define() });
    at(Event::Prepared { id: InstanceId(0), incarnation: Incarnation(1), identity });
    at(Event::Spawned { id: InstanceId(0), incarnation: Incarnation(1) });
    // It takes its time to end.
    at(Event::Command { op: OpId(2), command: delete });
    let effects = at(Event::Command { op: OpId(3), command: define() });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Spawn { id: InstanceId(1), .. })), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Reply { .. })), "{effects:?}");
    assert_eq!(world.instances[&InstanceId(1)].number, 0);
}

/// A slot as the outside sees it: its app, its unit, and its state with the reason.
fn slot(id: u32, name: &str, unit: &str, state: State, why: Cause) -> InstanceView {
    let spec = AppSpec { name: name.into(), namespace: unit.into(), ..AppSpec::default() };
    let mut instance = Instance::new(InstanceId(id), 0, Arc::new(spec), WallTime(0), &directories());
    instance.state = state;
    instance.restarts = id;
    let mut view = instance.view(Now { instant: NOW, wall: WallTime(0) }, Detail::Row);
    view.last = Some(Transition { at: WallTime(0), to: view.status.as_str().into(), cause: why });
    view
}

fn up(id: u32, name: &str, unit: &str) -> InstanceView {
    slot(id, name, unit, State::Online { since: NOW, ready: true }, Cause::Spawned)
}

fn down(id: u32, unit: &str, why: Cause) -> InstanceView {
    slot(id, "job", unit, State::Stopped { why: why.clone() }, why)
}

#[test]
fn a_unit_is_as_bad_as_the_worst_of_its_slots() {
    let waiting = || State::Backoff { until: NOW, delay: Millis(1) };
    let crashed = Cause::Exited(Exit::Code(1));
    let status = |slots: &[InstanceView]| units(slots)[0].status;
    assert_eq!(status(&[up(0, "a", "u"), up(1, "b", "u")]), Status::Online);
    let stopped = down(2, "u", Cause::Operator(Verb::Stop));
    assert_eq!(status(&[up(0, "a", "u"), stopped.clone()]), Status::Stopped);
    let waits = slot(3, "w", "u", waiting(), crashed.clone());
    assert_eq!(status(&[waits.clone(), stopped.clone()]), Status::WaitingRestart);
    let errored = slot(4, "e", "u", State::Errored { why: crashed.clone() }, crashed);
    assert_eq!(status(&[errored, waits, stopped]), Status::Errored);
}

#[test]
fn a_unit_counts_its_slots_and_sums_what_they_use() {
    let mut slots = [up(5, "web", "duck"), up(2, "db", "duck"), up(3, "web", "duck"), up(4, "alone", "default")];
    slots[0].memory = Some(Bytes(100));
    slots[1].memory = Some(Bytes(20));
    let found = units(&slots);
    assert_eq!(found.iter().map(|unit| unit.name.as_str()).collect::<Vec<_>>(), ["duck", "default"]);
    let duck = &found[0];
    assert_eq!((duck.online, duck.total, duck.restarts), (3, 3, 10));
    assert_eq!((duck.memory, found[1].memory), (Some(Bytes(120)), None));
    assert_eq!(duck.apps, ["db", "web"]);
    assert_eq!(duck.ids, [InstanceId(2), InstanceId(3), InstanceId(5)]);
    assert!(units(&[]).is_empty());
}

#[test]
fn a_unit_is_healthy_when_all_of_it_runs_or_has_done_its_work() {
    let healthy = |slots: &[InstanceView]| units(slots)[0].healthy;
    assert!(healthy(&[up(0, "a", "u"), down(1, "u", Cause::Exited(Exit::Code(0)))]));
    for why in [Cause::Exited(Exit::Code(1)), Cause::Exited(Exit::Unknown), Cause::Operator(Verb::Stop), Cause::Reboot]
    {
        assert!(!healthy(&[up(0, "a", "u"), down(1, "u", why.clone())]), "{why}");
    }
    assert!(!healthy(&[slot(0, "a", "u", State::Starting { since: NOW }, Cause::Operator(Verb::Start))]));
}

#[test]
fn what_the_machine_is_short_of_is_waited_for_and_anything_else_is_the_end() {
    let error = |errno| SpawnError { stage: SpawnStage::Fork, errno, message: "no".into() };
    let mut slot = instance(AppSpec::default());
    let mut seen = Vec::new();
    for _ in 0..9 {
        let verdict = after_spawn_failure(&slot, error(11), NOW);
        slot.last_delay = verdict.last_delay;
        let Then::Respawn { at, delay, why } = verdict.then else { panic!("{:?}", verdict.then) };
        assert_eq!((at, why), (NOW + delay, Cause::SpawnFailed(error(11))));
        seen.push(delay.0);
    }
    assert_eq!(seen, [1000, 1500, 2250, 3375, 5062, 7593, 11_389, 15_000, 15_000]);
    let given_up = |spec: AppSpec, errno| {
        after_spawn_failure(&instance(spec), error(errno), NOW).then == Then::GiveUp(Cause::SpawnFailed(error(errno)))
    };
    assert!(given_up(AppSpec::default(), 2));
    assert!(given_up(AppSpec { oneshot: true, ..AppSpec::default() }, 11));
    assert!(given_up(AppSpec { autorestart: false, ..AppSpec::default() }, 24));
}
