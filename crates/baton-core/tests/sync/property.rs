//! Over random edits of the files, changes by hand and deaths of the daemon: afterwards the list is what the source says,
//! and what nobody touched kept its process.

use crate::machine::{Machine, app, source, sync};
use baton_core::proto::{Action, Command, Done, Order, Patch, Scale, Wait, Wish};
use baton_core::select::Selector;
use baton_core::sync::{Desired, DriftRule, Fingerprints, Sync, Synced, drift, plan};
use baton_core::world::{Cause, State, Verb};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An edit of the files, or something done by hand.
#[derive(Clone, Debug)]
enum Edit {
    Env(usize, u8),
    Live(usize, u8),
    Count(usize, u32),
    Drop(usize),
    Add(usize),
    /// The same program under another name.
    Rename(usize, usize),
    /// All apps change places.
    Reverse,
    /// Somebody does it, whatever the files say.
    Hand(usize, Hand),
    /// The daemon dies after so many effects of the next pass.
    Die(usize),
}

#[derive(Clone, Debug)]
enum Hand {
    Stop,
    Delete,
    Scale(u32),
    /// `restart --update-env`.
    Shell(u8),
}

fn hand() -> impl Strategy<Value = Hand> {
    prop_oneof![
        Just(Hand::Stop),
        Just(Hand::Delete),
        (1..4_u32).prop_map(Hand::Scale),
        any::<u8>().prop_map(Hand::Shell),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..6_usize, any::<u8>()).prop_map(|(at, value)| Edit::Env(at, value)),
        (0..6_usize, any::<u8>()).prop_map(|(at, value)| Edit::Live(at, value)),
        (0..6_usize, 1..4_u32).prop_map(|(at, count)| Edit::Count(at, count)),
        (0..6_usize).prop_map(Edit::Drop),
        (0..6_usize).prop_map(Edit::Add),
        (0..6_usize, 0..6_usize).prop_map(|(at, to)| Edit::Rename(at, to)),
        Just(Edit::Reverse),
        (0..6_usize, hand()).prop_map(|(at, hand)| Edit::Hand(at, hand)),
        (0..6_usize, hand()).prop_map(|(at, hand)| Edit::Hand(at, hand)),
        (0..30_usize).prop_map(Edit::Die),
    ]
}

fn name(at: usize) -> String {
    format!("app{at}")
}

impl Edit {
    /// Does it; a change by hand tells whose.
    fn carry_out(self, apps: &mut Vec<Wish>, machine: &mut Machine) -> Option<String> {
        let found = |at: usize, apps: &[Wish]| apps.iter().position(|wish| wish.spec.name == name(at));
        match self {
            Edit::Env(n, value) => {
                if let Some(at) = found(n, apps) {
                    apps[at].spec.env.insert("V".into(), value.to_string());
                }
            }
            Edit::Live(n, value) => {
                if let Some(at) = found(n, apps) {
                    apps[at].spec.max_restarts = Some(value.into());
                }
            }
            Edit::Count(n, count) => {
                if let Some(at) = found(n, apps) {
                    apps[at].count = count;
                }
            }
            Edit::Drop(n) => apps.retain(|wish| wish.spec.name != name(n)),
            Edit::Add(n) => {
                if found(n, apps).is_none() {
                    apps.push(app(&name(n)));
                }
            }
            Edit::Rename(n, to) => {
                if let (Some(at), None) = (found(n, apps), found(to, apps)) {
                    apps[at].spec.name = name(to);
                }
            }
            Edit::Reverse => apps.reverse(),
            Edit::Hand(n, hand) => return hand.carry_out(&name(n), machine),
            Edit::Die(_) => {}
        }
        None
    }
}

impl Hand {
    fn carry_out(self, name: &str, machine: &mut Machine) -> Option<String> {
        machine.world.named(name).next()?;
        match self {
            Hand::Stop => machine.act(Action::Stop, name),
            Hand::Delete => machine.act(Action::Delete, name),
            Hand::Scale(to) => {
                machine.command(Command::Scale { app: name.into(), to: Scale::To(to), wait: Wait::Spawned });
            }
            Hand::Shell(value) => {
                let base_env = Some(Arc::new([("SHELL_V".to_owned(), value.to_string())].into()));
                let patch = Patch { base_env, ..Patch::default() };
                let (targets, order) = (vec![Selector::new(name)], Order::Dependencies);
                machine.command(Command::Act { action: Action::Restart, targets, patch, order, wait: Wait::Spawned });
            }
        }
        Some(name.into())
    }
}

fn desired(apps: &[Wish]) -> Desired {
    Desired { prune: true, force: true, ..source(apps.to_vec()) }
}

/// The apps that somebody has stopped, whole.
fn stopped(machine: &Machine) -> BTreeSet<String> {
    let mut all: BTreeMap<String, bool> = BTreeMap::new();
    for slot in machine.world.instances.values() {
        let is_stopped = matches!(&slot.state, State::Stopped { why: Cause::Operator(Verb::Stop) });
        *all.entry(slot.spec.name.clone()).or_insert(true) &= is_stopped;
    }
    all.into_iter().filter(|(_, stopped)| *stopped).map(|(name, _)| name).collect()
}

fn is_good(synced: &Synced) -> bool {
    !synced.outcomes.iter().any(|outcome| matches!(outcome.done, Done::Failed(_)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn after_each_pass_the_list_is_the_source_and_the_rest_was_not_touched(edits in prop::collection::vec(prop::collection::vec(edit(), 1..5), 1..8)) {
        let mut machine = Machine::new();
        machine.command(Command::Define { apps: vec![app("mine")], order: Order::Dependencies, wait: Wait::Spawned });
        let mut apps: Vec<Wish> = (0..4).map(|at| app(&name(at))).collect();
        machine.sync(desired(&apps)).expect("synced");
        for pass in edits {
            let (before, old) = (machine.pids(), apps.clone());
            let mut by_hand = BTreeSet::new();
            let dies = pass.iter().find_map(|edit| if let Edit::Die(after) = edit { Some(*after) } else { None });
            for edit in pass {
                by_hand.extend(edit.carry_out(&mut apps, &mut machine));
            }
            let held = stopped(&machine);
            if let Some(after) = dies {
                machine.dies_after = Some(after);
                machine.command(Command::Sync(Box::new(Sync { parallel: 2, ..sync(desired(&apps)) })));
                machine.dies_after = None;
            }
            // What was not edited kept its processes, in both passes.
            let is_untouched = |wish: &Wish| {
                let same = old.iter().find(|known| known.spec.name == wish.spec.name);
                let same = same.is_some_and(|same| {
                    (&same.spec.script, &same.spec.env, same.count) == (&wish.spec.script, &wish.spec.env, wish.count)
                });
                same && !by_hand.contains(&wish.spec.name)
            };
            let kept = |machine: &Machine, apps: &[Wish]| -> Vec<String> {
                let after = machine.pids();
                let lost = apps.iter().filter(|wish| is_untouched(wish));
                let lost = lost.filter(|wish| after[&wish.spec.name] != before[&wish.spec.name]);
                lost.map(|wish| wish.spec.name.clone()).collect()
            };
            let wished = || apps.iter().map(|wish| wish.spec.name.clone()).chain(["mine".to_owned()]).collect::<BTreeSet<_>>();

            // A pass leaves what was changed by hand, but for what was deleted.
            let synced = machine.sync(desired(&apps)).expect("synced");
            prop_assert!(is_good(&synced), "{:?}", synced);
            prop_assert_eq!(machine.pids().into_keys().collect::<BTreeSet<_>>(), wished());
            prop_assert_eq!(kept(&machine, &apps), Vec::<String>::new());
            prop_assert_eq!(&machine.pids()["mine"], &before["mine"]);
            for wish in &apps {
                let slots: Vec<_> = machine.world.named(&wish.spec.name).collect();
                prop_assert!(slots.iter().all(|slot| slot.spec.changes(&wish.spec).is_empty()), "{}", wish.spec.name);
                if held.contains(&wish.spec.name) {
                    prop_assert!(slots.iter().all(|slot| !slot.state.has_process()), "{} stays down", wish.spec.name);
                }
            }
            prop_assert!(machine.sync(desired(&apps)).expect("synced").plan.is_empty());

            // And when that is undone, the list is the source.
            let synced = machine.sync(Desired { drift: DriftRule::Reset, ..desired(&apps) }).expect("synced");
            prop_assert!(is_good(&synced), "{:?}", synced);
            prop_assert_eq!(kept(&machine, &apps), Vec::<String>::new());
            for wish in &apps {
                let slots: Vec<_> = machine.world.named(&wish.spec.name).collect();
                prop_assert_eq!(slots.len(), wish.count as usize);
                let good = slots.iter().all(|slot| {
                    slot.spec.changes(&wish.spec).is_empty()
                        && slot.spec.base_env == wish.spec.base_env
                        && matches!(slot.state, State::Online { .. })
                });
                prop_assert!(good, "{:?}", slots);
            }
            prop_assert!(drift(&machine.world, &mut Fingerprints::default()).is_empty());
            let left = plan(&machine.world, &desired(&apps)).expect("a plan");
            prop_assert!(left.is_empty() && left.steps.iter().all(|step| step.drift.is_empty()), "{:?}", left);
        }
    }
}
