//! What a pass tells and refuses before anything is changed.

use crate::failed;
use crate::machine::{Machine, SOURCE, app, source, sync, with};
use baton_core::proto::{Action, Command, Order, Refusal, Reply, Wait};
use baton_core::sync::{Deed, Desired, Fingerprints, Scope as Part, Sync, SyncError, Taken, drift, plan};
use std::collections::BTreeMap;

#[test]
fn however_its_apps_were_chosen_a_source_does_not_lose_most_of_them_by_accident() {
    let mut machine = Machine::new();
    machine.sync(source(vec![app("a"), app("b"), app("c")])).expect("synced");
    let gone = |names: &[&str]| Desired {
        scope: Part::Some,
        prune: true,
        gone: names.iter().map(|name| (*name).to_owned()).collect(),
        ..source(Vec::new())
    };
    // Of what it owns, not of what was chosen.
    let refused = machine.sync(gone(&["a", "b"])).expect_err("refused");
    assert!(matches!(refused, Refusal::Sync(SyncError::TooMany { removed: 2, owned: 3, .. })), "{refused}");
    // One without any app is broken, whichever were asked for.
    let refused = machine.sync(Desired { empty: true, ..gone(&["a"]) }).expect_err("refused");
    assert!(matches!(refused, Refusal::Sync(SyncError::Empty { owned: 3, .. })), "{refused}");
    assert_eq!(machine.pids().len(), 3);
    machine.sync(Desired { force: true, ..gone(&["a", "b"]) }).expect("synced");
    assert_eq!(machine.pids().into_keys().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn no_more_is_removed_than_somebody_has_agreed_to() {
    let mut machine = Machine::new();
    machine.sync(source(["a", "b", "c", "d"].map(app).into())).expect("synced");
    let desired = || Desired { prune: true, ..source(["a", "b"].map(app).into()) };
    let mut ask = |agreed: &[&str]| {
        let agreed = Some(agreed.iter().map(|name| (*name).to_owned()).collect());
        machine.command(Command::Sync(Box::new(Sync { agreed, ..sync(desired()) })))
    };
    let Some(Reply::Refused(refusal)) = ask(&["c"]) else { panic!("refused") };
    assert!(refusal.to_string().contains("meanwhile d would be removed, too"), "{refusal}");
    assert!(matches!(ask(&["c", "d"]), Some(Reply::Synced(_))));
    assert_eq!(machine.pids().into_keys().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn what_can_t_be_run_ends_nothing_that_runs_and_is_had_again_when_it_can() {
    let edited = |name: &str| with(name, |spec| spec.args = vec!["x".into()]);
    let bad = |names: &[&str]| {
        let why = |name: &&str| ((*name).to_owned(), "script /w/x is missing".to_owned());
        names.iter().map(why).collect::<BTreeMap<_, _>>()
    };
    for (go_on, touched) in [(false, "a"), (true, "ac")] {
        let mut machine = Machine::new();
        machine.sync(source(["a", "b", "c"].map(app).into())).expect("synced");
        let before = machine.pids();
        let desired = || source(["a", "b", "c"].map(edited).into());
        let broken = Desired { unrunnable: bad(&["b"]), ..desired() };
        let Some(Reply::Synced(synced)) = machine.command(Command::Sync(Box::new(Sync { go_on, ..sync(broken) })))
        else {
            panic!("no answer")
        };
        assert_eq!(failed(&synced), ["b"], "{synced:?}");
        let after = machine.pids();
        let new: String = ["a", "b", "c"].into_iter().filter(|name| before[*name] != after[*name]).collect();
        assert_eq!(new, touched, "what comes before it, and the rest where it goes on");
        assert!(machine.world.named("b").next().expect("b").spec.args.is_empty(), "its definition stays, too");
        assert!(drift(&machine.world, &mut Fingerprints::default()).is_empty());
        machine.sync(desired()).expect("synced");
        assert!(machine.world.instances.values().all(|slot| slot.spec.args == ["x"]));
        assert!(machine.sync(desired()).expect("synced").plan.is_empty());
    }
    // A new name is one, too; what is down has nothing to lose, and live keys end nothing.
    let mut machine = Machine::new();
    machine.sync(source(["a", "b", "c"].map(app).into())).expect("synced");
    machine.act(Action::Stop, "b");
    let before = machine.pids();
    let renamed = with("z", |spec| (spec.script, spec.args) = ("/w/a".into(), Vec::new()));
    let live = with("c", |spec| spec.max_restarts = Some(3));
    let desired = || source(vec![renamed.clone(), edited("b"), live.clone()]);
    let synced = machine.sync(Desired { unrunnable: bad(&["z", "b", "c"]), ..desired() }).expect("synced");
    assert_eq!(failed(&synced), ["z"], "{synced:?}");
    assert_eq!(machine.pids(), before);
    assert_eq!(machine.world.named("b").next().expect("b").spec.args, ["x"]);
    assert_eq!(machine.world.named("c").next().expect("c").spec.max_restarts, Some(3));
    machine.sync(desired()).expect("synced");
    assert_eq!(machine.pids().into_keys().collect::<Vec<_>>(), ["b", "c", "z"]);
}

#[test]
fn what_a_source_takes_is_told() {
    let mut machine = Machine::new();
    machine.command(Command::Define {
        apps: vec![app("a"), app("b")],
        order: Order::Dependencies,
        wait: Wait::Spawned,
    });
    let before = machine.pids();
    let desired = || source(vec![app("a"), with("b", |spec| spec.args = vec!["x".into()])]);
    let told = |machine: &Machine, desired: &Desired| {
        let steps = plan(&machine.world, desired).expect("a plan").steps.into_iter();
        steps.map(|step| (step.deed, step.taken)).collect::<Vec<_>>()
    };
    let nobody = Some(Taken::FromNobody);
    assert_eq!(told(&machine, &desired()), [(Deed::Keep, nobody.clone()), (Deed::Restart, nobody)]);
    let synced = machine.sync(source(vec![app("a")])).expect("synced");
    assert!(!synced.plan.is_empty() && synced.outcomes.is_empty() && machine.pids() == before, "{synced:?}");
    assert!(machine.sync(source(vec![app("a")])).expect("synced").plan.is_empty(), "it is the source's now");
    let other = Desired { source: "/w/other".into(), force: true, ..source(vec![app("a")]) };
    assert_eq!(told(&machine, &other), [(Deed::Keep, Some(Taken::From(SOURCE.into())))]);
}
