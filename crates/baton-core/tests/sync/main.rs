//! What following a source promises: afterwards the list is what the source says, whatever was edited, and what was not
//! edited keeps its process. The operating system here does everything at once; `simulation` looks at what may come
//! between.

mod guards;
mod machine;
mod property;

use baton_core::proto::{Action, Command, Done, Order, Patch, Refusal, Reply, Scale, Wait, Wish};
use baton_core::select::Selector;
use baton_core::spec::{AppSpec, Condition, Dependency};
use baton_core::step::{Effect, Event, step};
use baton_core::sync::{
    Deed, Desired, Drift, DriftRule, Fingerprints, Scope as Part, Sync, SyncError, Synced, drift, plan,
};
use baton_core::units::{Instant, Now, OpId, WallTime};
use baton_core::world::{Cause, Exit, State, Verb};
use machine::{Machine, SOURCE, acting, app, source, sync, with};
use std::collections::{BTreeMap, VecDeque};

#[test]
fn the_second_pass_has_nothing_to_do() {
    let mut machine = Machine::new();
    let desired = || source(vec![app("a"), app("b")]);
    machine.sync(desired()).expect("synced");
    let before = machine.pids();
    let second = machine.sync(desired()).expect("synced");
    assert!(second.plan.is_empty() && second.outcomes.is_empty(), "{second:?}");
    assert_eq!(machine.pids(), before);
}

#[test]
fn live_keys_leave_the_process_and_others_take_a_new_one() {
    let mut machine = Machine::new();
    machine.sync(source(vec![app("a"), app("b")])).expect("synced");
    let before = machine.pids();
    let desired = source(vec![
        with("a", |spec| spec.max_restarts = Some(3)),
        with("b", |spec| drop(spec.env.insert("X".into(), "1".into()))),
    ]);
    assert_eq!(machine.deeds(&desired), [("a".into(), Deed::Live), ("b".into(), Deed::Restart)]);
    machine.sync(desired).expect("synced");
    assert_eq!(machine.pids()["a"], before["a"]);
    assert_ne!(machine.pids()["b"], before["b"]);
    assert_eq!(machine.world.named("a").next().expect("a").spec.max_restarts, Some(3));
}

#[test]
fn what_is_gone_from_the_source_stays_until_it_is_pruned_and_what_was_started_by_hand_always() {
    let mut machine = Machine::new();
    machine.sync(source(vec![app("a"), app("b"), app("c")])).expect("synced");
    machine.command(Command::Define { apps: vec![app("mine")], order: Order::Dependencies, wait: Wait::Spawned });
    let less = || source(vec![app("a"), app("b")]);
    assert_eq!(machine.deeds(&less())[2], ("c".into(), Deed::Orphan));
    machine.sync(less()).expect("synced");
    assert!(machine.pids().contains_key("c"));
    machine.sync(Desired { prune: true, ..less() }).expect("synced");
    assert_eq!(machine.pids().into_keys().collect::<Vec<_>>(), ["a", "b", "mine"]);
    let one = Desired { prune: true, ..source(vec![app("z")]) };
    assert!(matches!(machine.sync(one.clone()), Err(Refusal::Sync(SyncError::TooMany { removed: 2, owned: 2, .. }))));
    // What would go is told all the same.
    let told = plan(&machine.world, &one).expect("a plan");
    assert_eq!((told.removed(), told.refusal.is_some()), (vec!["a", "b"], true));
    let none = Desired { prune: true, ..source(Vec::new()) };
    assert!(matches!(machine.sync(none), Err(Refusal::Sync(SyncError::Empty { owned: 2, .. }))));
    machine.sync(Desired { force: true, ..one }).expect("synced");
    assert_eq!(machine.pids().into_keys().collect::<Vec<_>>(), ["mine", "z"]);
}

#[test]
fn an_app_of_another_source_is_only_taken_over_by_force() {
    let mut machine = Machine::new();
    machine.sync(source(vec![app("a")])).expect("synced");
    let other = Desired { source: "/w/other".into(), ..source(vec![app("a")]) };
    let refused = machine.sync(other.clone()).expect_err("refused").to_string();
    assert!(refused.contains("`a` belongs to /w/ecosystems"), "{refused}");
    let before = machine.pids();
    machine.sync(Desired { force: true, ..other }).expect("synced");
    assert_eq!(machine.pids(), before, "it is the same app");
}

#[test]
fn what_was_changed_by_hand_is_told_and_stays_until_it_is_reset() {
    let mut machine = Machine::new();
    let desired = || source(vec![app("a"), app("b"), app("c"), app("d")]);
    machine.sync(desired()).expect("synced");
    machine.act(Action::Stop, "a");
    machine.command(Command::Scale { app: "b".into(), to: Scale::To(3), wait: Wait::Spawned });
    let fields = BTreeMap::from([("max_restarts".to_owned(), 4.into())]);
    let targets = vec![Selector::new("c")];
    let patch = Patch { fields, base_env: Some(std::sync::Arc::new([("NEW".to_owned(), "1".to_owned())].into())) };
    let (order, wait) = (Order::Dependencies, Wait::Spawned);
    machine.command(Command::Act { action: Action::Restart, targets, patch, order, wait });
    machine.act(Action::Delete, "d");
    let watched = plan(&machine.world, &Desired { drift: DriftRule::LeaveAll, ..desired() }).expect("a plan");
    assert!(watched.is_empty(), "{watched:?}");
    let found: Vec<&[Drift]> = watched.steps.iter().map(|step| step.drift.as_slice()).collect();
    let fields = Drift::Fields(vec!["max_restarts".into()]);
    assert_eq!(found, [&[Drift::Stopped][..], &[Drift::Scaled], &[Drift::Shell, fields], &[Drift::Deleted]]);
    // The list tells it without the files, but for which keys of a definition.
    let mut fingerprints = Fingerprints::default();
    for _ in 0..2 {
        let told: Vec<Vec<Drift>> = drift(&machine.world, &mut fingerprints)[SOURCE].values().cloned().collect();
        let definition = Drift::Fields(Vec::new());
        assert_eq!(
            told,
            [vec![Drift::Stopped], vec![Drift::Scaled], vec![Drift::Shell, definition], vec![Drift::Deleted]]
        );
    }
    // A single pass brings back what was deleted, and leaves the rest.
    machine.sync(desired()).expect("synced");
    assert_eq!((machine.pids()["a"].clone(), machine.pids()["b"].len(), machine.pids()["d"].len()), (vec![0], 3, 1));
    machine.sync(Desired { drift: DriftRule::Reset, ..desired() }).expect("synced");
    let pids = machine.pids();
    assert!(pids["a"] != [0] && pids["b"].len() == 1, "{pids:?}");
    assert_eq!(machine.world.named("c").next().expect("c").spec.max_restarts, None);
    assert!(plan(&machine.world, &desired()).expect("a plan").steps.iter().all(|step| step.drift.is_empty()));
    assert!(drift(&machine.world, &mut fingerprints).is_empty());
}

#[test]
fn what_was_stopped_by_hand_is_updated_and_stays_down() {
    let mut machine = Machine::new();
    machine.sync(source(vec![app("a"), app("b")])).expect("synced");
    machine.act(Action::Stop, "a");
    machine.sync(source(vec![with("a", |spec| spec.args = vec!["x".into()]), app("b")])).expect("synced");
    assert_eq!(machine.pids()["a"], [0]);
    assert_eq!(machine.world.named("a").next().expect("a").spec.args, ["x"]);
}

#[test]
fn what_somebody_asks_of_an_app_before_its_turn_is_no_failure_of_the_pass() {
    let edited = || {
        let apps = ["a", "b", "c", "d"].map(|name| with(name, |spec| spec.args = vec!["x".into()]));
        source(apps.into())
    };
    let mut machine = Machine::new();
    machine.sync(source(["a", "b", "c", "d"].map(app).into())).expect("synced");
    let before = machine.pids();
    let sync = Command::Sync(Box::new(sync(edited())));
    // `a` has its turn already when it is stopped.
    let commands = [(Action::Stop, "a"), (Action::Stop, "b"), (Action::Restart, "c"), (Action::Delete, "d")]
        .map(|(action, name)| acting(action, name));
    let answers = machine.at_once(std::iter::once(sync).chain(commands));
    let Some(Reply::Synced(synced)) = &answers[0] else { panic!("{answers:?}") };
    let mut done: Vec<(&str, &Done)> = synced.outcomes.iter().map(|one| (one.name.as_str(), &one.done)).collect();
    done.sort_unstable_by_key(|(name, _)| *name);
    let wanted = [("a", &Done::Stopped), ("b", &Done::Stopped), ("c", &Done::RestartedInstead), ("d", &Done::Deleted)];
    assert_eq!(done, wanted);
    let pids = machine.pids();
    assert!(pids["a"] == [0] && pids["b"] == [0] && pids["c"] != before["c"] && !pids.contains_key("d"), "{pids:?}");
    assert!(machine.world.instances.values().all(|slot| slot.spec.args == ["x"]));
    let watched = plan(&machine.world, &Desired { drift: DriftRule::LeaveAll, ..edited() }).expect("a plan");
    assert!(watched.is_empty(), "{watched:?}");
}

#[test]
fn a_new_name_for_the_same_program_takes_the_place_of_the_old_one_after_it_has_ended() {
    let mut machine = Machine::new();
    machine.sync(source(vec![app("a"), app("b")])).expect("synced");
    let (id, before) = machine.world.named("a").map(|slot| (slot.id, slot.incarnation)).next().expect("a");
    let desired = source(vec![with("a", |spec| spec.name = "renamed".into()), app("b")]);
    assert_eq!(machine.deeds(&desired)[0], ("renamed".into(), Deed::Rename { from: "a".into() }));
    machine.sync(desired.clone()).expect("synced");
    let slot = &machine.world.instances[&id];
    assert!(slot.spec.name == "renamed" && slot.incarnation > before && machine.world.instances.len() == 2);
    assert!(machine.sync(desired).expect("synced").plan.is_empty());
}

#[test]
fn a_new_name_and_other_words_are_a_new_name_for_a_program_of_the_app_s_own_alone() {
    let program = |name: &str, script: &str, word: &str| {
        with(name, |spec| (spec.script, spec.cwd, spec.args) = (script.into(), "/w/p".into(), vec![word.into()]))
    };
    for (script, deed) in [("/w/p/app.js", Deed::Rename { from: "a".into() }), ("/usr/bin/npm", Deed::Create)] {
        let mut machine = Machine::new();
        machine.sync(source(vec![program("a", script, "x"), app("b")])).expect("synced");
        let desired = source(vec![program("new", script, "y"), app("b")]);
        assert_eq!(machine.deeds(&desired)[0], ("new".into(), deed));
    }
    // Of two that run it, the one with the same words.
    let mut machine = Machine::new();
    let two = |first: &str, second: &str, more: &str| {
        source(vec![program(first, "/w/p/app.js", "x"), program(second, "/w/p/app.js", more)])
    };
    machine.sync(two("a", "b", "y")).expect("synced");
    let renamed = |from: &str| Deed::Rename { from: from.into() };
    let wanted = [("c".into(), renamed("a")), ("d".into(), renamed("b"))];
    assert_eq!(machine.deeds(&two("c", "d", "z")), wanted);
}

#[test]
fn the_first_failure_ends_a_pass_unless_it_is_to_go_on() {
    let edited = || {
        let edit = |spec: &mut AppSpec| spec.args = vec!["x".into()];
        let needs = Dependency { on: "c".into(), condition: Condition::Started, timeout: None, external: None };
        let a = with("a", |spec| (spec.args, spec.depends_on) = (vec!["x".into()], vec![needs]));
        source(vec![a, with("b", edit), with("c", edit)])
    };
    for (go_on, touched) in [(false, "b"), (true, "abc")] {
        let mut machine = Machine::new();
        machine.sync(source(vec![app("a"), app("b"), app("c")])).expect("synced");
        let before = machine.pids();
        machine.broken.insert("b".into());
        let sync = Sync { go_on, ..sync(edited()) };
        let Some(Reply::Synced(synced)) = machine.command(Command::Sync(Box::new(sync))) else { panic!("no answer") };
        let left = synced.outcomes.iter().filter(|outcome| matches!(outcome.done, Done::Left(_)));
        let left: String = left.map(|outcome| outcome.name.as_str()).collect();
        assert_eq!((failed(&synced), left.as_str()), (vec!["b"], if go_on { "" } else { "ac" }), "{synced:?}");
        let after = machine.pids();
        let new: String = ["a", "b", "c"].into_iter().filter(|name| before[*name] != after[*name]).collect();
        assert_eq!(new, touched);
        // What is left is done when it is repaired.
        machine.broken.clear();
        machine.act(Action::Restart, "b");
        machine.sync(edited()).expect("synced");
        assert!(machine.sync(edited()).expect("synced").plan.is_empty());
    }
}

fn needs(on: &str, condition: Condition) -> Dependency {
    Dependency { on: on.into(), condition, timeout: None, external: None }
}

/// A one-shot, and what needs that it has done its work.
fn migrated() -> Vec<Wish> {
    let api = with("api", |spec| spec.depends_on = vec![needs("migrate", Condition::Exited)]);
    vec![with("migrate", |spec| spec.oneshot = true), api]
}

pub(crate) fn failed(synced: &Synced) -> Vec<&str> {
    let failures = synced.outcomes.iter().filter(|outcome| matches!(outcome.done, Done::Failed(_)));
    failures.map(|outcome| outcome.name.as_str()).collect()
}

impl Machine {
    fn is_errored(&self, name: &str) -> bool {
        self.world.named(name).all(|slot| matches!(slot.state, State::Errored { .. }))
    }

    /// Whether an app runs, or has done its work.
    fn is_well(&self, name: &str) -> bool {
        self.world.named(name).all(|slot| match &slot.state {
            State::Stopped { why } => why.is_success(),
            state => matches!(state, State::Online { ready: true, .. }),
        })
    }
}

#[test]
fn what_failed_in_a_pass_is_started_by_the_next_and_fails_it_while_it_is_broken() {
    let mut machine = Machine::new();
    machine.broken.insert("migrate".into());
    for _ in 0..2 {
        assert_eq!(failed(&machine.sync(source(migrated())).expect("synced")), ["migrate", "api"]);
        assert!(machine.is_errored("migrate") && machine.is_errored("api"));
    }
    machine.broken.clear();
    let start = |name: &str| (name.to_owned(), Deed::Start);
    assert_eq!(machine.deeds(&source(migrated())), [start("migrate"), start("api")]);
    assert!(failed(&machine.sync(source(migrated())).expect("synced")).is_empty());
    assert!(machine.is_well("api"));
    assert!(machine.sync(source(migrated())).expect("synced").plan.is_empty());
}

#[test]
fn what_could_not_start_for_what_it_needs_starts_when_that_is_mended_by_an_edit() {
    let mut machine = Machine::new();
    let apps = |mend: &str| {
        let mut apps = migrated();
        apps[0].spec.args = vec![mend.into()];
        source(apps)
    };
    assert_eq!(failed(&machine.sync(apps("broken")).expect("synced")), ["migrate", "api"]);
    assert!(failed(&machine.sync(apps("mended")).expect("synced")).is_empty());
    assert!(machine.is_well("api"));
    // It had been applied, and then what it needs was lost.
    let mut machine = Machine::new();
    machine.sync(apps("mended")).expect("synced");
    machine.sync(apps("broken")).expect("synced");
    machine.act(Action::Restart, "api");
    assert!(machine.is_errored("api"));
    assert!(failed(&machine.sync(apps("mended")).expect("synced")).is_empty());
    assert!(machine.is_well("api"));
}

#[test]
fn a_turn_that_failed_is_had_again_though_the_definition_is_in_place() {
    let mut machine = Machine::new();
    let edited = || source(vec![with("a", |spec| spec.args = vec!["x".into()]), app("b")]);
    machine.sync(source(vec![app("a"), app("b")])).expect("synced");
    machine.broken.insert("a".into());
    assert_eq!(failed(&machine.sync(edited()).expect("synced")), ["a"]);
    // Before it is given up it may still come up by itself: that is not remembered as done.
    machine.sync(edited()).expect("synced");
    assert!(!machine.world.synced[SOURCE].apps.contains_key("a"));
    while !machine.is_errored("a") {
        machine.at = machine.world.next_deadline().map_or(machine.at + 1, |at| at.0);
        machine.run(Event::Timer);
    }
    machine.broken.clear();
    assert_eq!(machine.deeds(&edited())[0], ("a".into(), Deed::Start));
    assert!(failed(&machine.sync(edited()).expect("synced")).is_empty());
    assert!(machine.is_well("a"));
}

#[test]
fn an_edit_that_failed_is_taken_back_by_the_files() {
    let mut machine = Machine::new();
    let apps = |args: &str| source(vec![with("a", |spec| spec.args = vec![args.into()]), app("b")]);
    machine.sync(apps("good")).expect("synced");
    assert_eq!(failed(&machine.sync(apps("broken")).expect("synced")), ["a"]);
    assert_eq!(machine.deeds(&apps("good"))[0], ("a".into(), Deed::Restart));
    assert!(failed(&machine.sync(apps("good")).expect("synced")).is_empty());
    assert!(machine.is_well("a"));
}

#[test]
fn what_crashed_after_it_was_applied_and_what_lacks_an_app_that_was_stopped_by_hand_is_left() {
    let mut machine = Machine::new();
    let apps = || source(vec![app("db"), with("api", |spec| spec.depends_on = vec![needs("db", Condition::Ready)])]);
    machine.sync(apps()).expect("synced");
    for slot in machine.world.instances.values_mut() {
        slot.state = match slot.spec.name.as_str() {
            "db" => State::Stopped { why: Cause::Operator(Verb::Stop) },
            _ => State::Errored { why: Cause::DependencyDown("db".into(), Box::new(Cause::Operator(Verb::Stop))) },
        };
    }
    assert!(plan(&machine.world, &apps()).expect("a plan").is_empty());
    machine.act(Action::Start, "db");
    assert_eq!(machine.deeds(&apps())[1], ("api".into(), Deed::Start));
    let crashed = Cause::CrashLoop(16, Exit::Code(1));
    machine.world.instances.values_mut().for_each(|slot| slot.state = State::Errored { why: crashed.clone() });
    assert!(plan(&machine.world, &apps()).expect("a plan").is_empty());
}

#[test]
fn what_is_down_starts_with_its_new_definition_for_what_needs_it() {
    let mut machine = Machine::new();
    let db = |args: &str| with("db", |spec| (spec.args, spec.oneshot) = (vec![args.into()], true));
    assert_eq!(failed(&machine.sync(source(vec![db("broken")])).expect("synced")), ["db"]);
    let api = with("api", |spec| spec.depends_on = vec![needs("db", Condition::Started)]);
    let synced = machine.sync(source(vec![db("mended"), api])).expect("synced");
    assert!(failed(&synced).is_empty(), "{synced:?}");
    assert_eq!(synced.outcomes.len(), 2, "each started once: {synced:?}");
    assert!(machine.is_well("api") && machine.is_well("db"));
}

#[test]
fn what_is_down_has_its_turn_after_what_it_needs() {
    let mut machine = Machine::new();
    let apps = |args: &str| {
        let needs = vec![needs("db", Condition::Ready)];
        let api = with("api", |spec| (spec.args, spec.oneshot, spec.depends_on) = (vec![args.into()], true, needs));
        source(vec![with("db", |spec| spec.args = vec![format!("for {args}")]), api])
    };
    assert_eq!(failed(&machine.sync(apps("broken")).expect("synced")), ["api"]);
    // What is wrong with it is in what it needs: its own turn alone would fail again.
    machine.broken.insert("db".into());
    let before = machine.world.named("api").next().expect("api").incarnation;
    assert_eq!(failed(&machine.sync(apps("mended")).expect("synced")), ["db"]);
    assert_eq!(machine.world.named("api").next().expect("api").incarnation, before);
    machine.broken.clear();
    machine.act(Action::Restart, "db");
    assert!(failed(&machine.sync(apps("mended")).expect("synced")).is_empty());
    assert!(machine.is_well("api"));
}

#[test]
fn a_second_request_waits_for_the_first() {
    let mut machine = Machine::new();
    let now = Now { instant: Instant(1), wall: WallTime(1) };
    let command = |apps| Command::Sync(Box::new(sync(source(apps))));
    let first = step(&mut machine.world, now, Event::Command { op: OpId(1), command: command(vec![app("a")]) });
    let second = step(&mut machine.world, now, Event::Command { op: OpId(2), command: command(vec![app("b")]) });
    assert!(first.iter().any(|effect| matches!(effect, Effect::Spawn { .. })));
    assert!(!second.iter().any(|effect| matches!(effect, Effect::Spawn { .. } | Effect::Reply { .. })), "{second:?}");
    // Whoever wants to know what is to be done then waits, too.
    let desired = Box::new(source(vec![app("b"), app("c")]));
    let third = step(&mut machine.world, now, Event::PlanAsked { op: OpId(3), desired });
    assert!(!third.iter().any(|effect| matches!(effect, Effect::Reply { .. })), "{third:?}");
    assert_eq!(machine.world.syncs.len(), 2);
    let mut mail = VecDeque::new();
    first.into_iter().for_each(|effect| machine.carry_out(effect, &mut mail));
    machine.run(mail.pop_front().expect("prepared"));
    assert!(
        matches!(machine.replies[&OpId(1)], Reply::Synced(_)) && matches!(machine.replies[&OpId(2)], Reply::Synced(_))
    );
    assert_eq!(machine.pids().into_keys().collect::<Vec<_>>(), ["a", "b"]);
    let Reply::Plan(plan) = &machine.replies[&OpId(3)] else { panic!("{:?}", machine.replies) };
    let deeds: Vec<(&str, &Deed)> = plan.steps.iter().map(|step| (step.app.as_str(), &step.deed)).collect();
    assert_eq!(deeds, [("b", &Deed::Keep), ("c", &Deed::Create), ("a", &Deed::Orphan)], "of the list as it is then");
}

#[test]
fn what_comes_along_for_one_app_is_left_as_it_runs() {
    let mut machine = Machine::new();
    let needs = || Dependency { on: "a".into(), condition: Condition::Started, timeout: None, external: None };
    let c = |args: &str| with("c", |spec| (spec.depends_on, spec.args) = (vec![needs()], vec![args.into()]));
    let a = |args: &str| with("a", |spec| spec.args = vec![args.into()]);
    machine.sync(source(vec![a("1"), c("1")])).expect("synced");
    let before = machine.pids();
    let brought = Wish { brought: true, ..a("2") };
    let some = Desired { scope: Part::Some, ..source(vec![brought, c("2")]) };
    assert_eq!(machine.deeds(&some), [("a".into(), Deed::Keep), ("c".into(), Deed::Restart)]);
    machine.sync(some).expect("synced");
    assert!(machine.pids()["a"] == before["a"] && machine.pids()["c"] != before["c"]);
    // It is still a change for the source.
    assert_eq!(machine.deeds(&source(vec![a("2"), c("2")])), [("a".into(), Deed::Restart), ("c".into(), Deed::Keep)]);
}

#[test]
fn who_takes_an_app_back_makes_it_what_his_files_say() {
    let mut machine = Machine::new();
    let of = |name: &str, args: &str| Desired {
        source: name.into(),
        force: true,
        ..source(vec![with("a", |spec| spec.args = vec![args.into()])])
    };
    machine.sync(of("/one", "1")).expect("synced");
    machine.sync(of("/two", "2")).expect("synced");
    assert!(drift(&machine.world, &mut Fingerprints::default()).is_empty());
    machine.sync(of("/one", "1")).expect("synced");
    assert_eq!(machine.world.named("a").next().expect("a").spec.args, ["1"]);
}

#[test]
fn an_orphan_and_what_a_pass_has_in_hand_are_no_drift() {
    let mut machine = Machine::new();
    machine.sync(source(vec![app("a"), app("b")])).expect("synced");
    machine.sync(source(vec![app("a")])).expect("synced");
    assert!(drift(&machine.world, &mut Fingerprints::default()).is_empty(), "an orphan was not deleted");
    // The daemon dies when a has its new definition.
    machine.dies_after = Some(2);
    let edited = || source(vec![with("a", |spec| spec.args = vec!["x".into()])]);
    let sync = sync(edited());
    machine.command(Command::Sync(Box::new(sync)));
    assert_eq!(machine.world.named("a").next().expect("a").spec.args, ["x"]);
    assert!(drift(&machine.world, &mut Fingerprints::default()).is_empty(), "nobody has changed it by hand");
    machine.sync(edited()).expect("synced");
    machine.act(Action::Stop, "a");
    assert_eq!(drift(&machine.world, &mut Fingerprints::default())[SOURCE]["a"], [Drift::Stopped]);
}

#[test]
fn one_instance_that_was_stopped_by_hand_stays_so_though_updated() {
    let mut machine = Machine::new();
    let two = |args: &str| source(vec![Wish { count: 2, ..with("a", |spec| spec.args = vec![args.into()]) }]);
    machine.sync(two("1")).expect("synced");
    machine.act(Action::Stop, "0");
    let step = &plan(&machine.world, &two("1")).expect("a plan").steps[0];
    assert_eq!((&step.deed, &step.drift), (&Deed::Keep, &vec![Drift::Stopped]));
    machine.sync(two("2")).expect("synced");
    let pids = machine.pids()["a"].clone();
    assert!(pids[0] == 0 && pids[1] != 0, "{pids:?}");
    assert!(machine.world.named("a").all(|slot| slot.spec.args == ["2"]));
    machine.sync(Desired { drift: DriftRule::Reset, ..two("2") }).expect("synced");
    assert!(!machine.pids()["a"].contains(&0));
}

#[test]
fn another_number_of_instances_is_told_as_such() {
    let mut machine = Machine::new();
    let count = |count: u32| {
        let set =
            |spec: &mut AppSpec| spec.instances = baton_core::spec::Instances(i32::try_from(count).expect("small"));
        source(vec![Wish { count, ..with("a", set) }])
    };
    machine.sync(count(2)).expect("synced");
    let before = machine.pids()["a"].clone();
    assert_eq!(machine.deeds(&count(3)), [("a".into(), Deed::Scale)]);
    machine.sync(count(3)).expect("synced");
    assert_eq!((machine.pids()["a"].len(), &machine.pids()["a"][..2]), (3, &before[..]));
    assert!(plan(&machine.world, &count(3)).expect("a plan").is_empty());
}

#[test]
fn two_new_names_for_the_same_program_are_told_apart_by_their_variables() {
    let mut machine = Machine::new();
    let of = |name: &str, value: &str| {
        with(name, |spec| {
            spec.script = "/w/run".into();
            spec.env.insert("PORT".into(), value.into());
        })
    };
    machine.sync(source(vec![of("a", "1"), of("b", "2")])).expect("synced");
    let renamed = source(vec![of("y", "2"), of("x", "1")]);
    let from = |name: &str| Deed::Rename { from: name.into() };
    assert_eq!(machine.deeds(&renamed), [("y".into(), from("b")), ("x".into(), from("a"))]);
}

#[test]
fn an_app_that_was_chosen_and_is_gone_from_the_source_can_be_pruned_alone() {
    let mut machine = Machine::new();
    machine.sync(source(vec![app("a"), app("b"), app("c")])).expect("synced");
    let some =
        |prune: bool| Desired { scope: Part::Some, prune, gone: vec!["b".into(), "z".into()], ..source(Vec::new()) };
    assert_eq!(machine.deeds(&some(false)), [("b".into(), Deed::Orphan)]);
    machine.sync(some(true)).expect("synced");
    assert_eq!(machine.pids().into_keys().collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn some_apps_of_a_source_leave_the_others_alone() {
    let mut machine = Machine::new();
    machine.sync(source(vec![app("a"), app("b")])).expect("synced");
    let some =
        Desired { scope: Part::Some, prune: true, ..source(vec![with("a", |spec| spec.args = vec!["x".into()])]) };
    assert_eq!(machine.deeds(&some), [("a".into(), Deed::Restart)]);
    machine.sync(some).expect("synced");
    assert!(machine.world.synced[SOURCE].apps.contains_key("b"));
}

#[test]
fn edited_files_of_variables_take_a_new_process() {
    let mut machine = Machine::new();
    let desired = |digest: &str| Desired {
        variables: BTreeMap::from([("a".to_owned(), digest.to_owned())]),
        ..source(vec![app("a"), app("b")])
    };
    machine.sync(desired("1")).expect("synced");
    let before = machine.pids();
    machine.sync(desired("2")).expect("synced");
    assert!(machine.pids()["a"] != before["a"] && machine.pids()["b"] == before["b"]);
    assert!(machine.sync(desired("2")).expect("synced").plan.is_empty());
}
