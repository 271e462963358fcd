//! How far the list has gone away from what the last pass of each source made of it.

use super::applied::{Applied, digest};
use super::plan::{Drift, is_stopped_by_hand};
use crate::spec::{AppSpec, SpecHash};
use crate::world::{Instance, World};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was changed by hand of the apps of one source, by name.
pub type Drifted = BTreeMap<String, Vec<Drift>>;

/// Definitions with their fingerprints, so that looking again costs nothing.
#[derive(Debug, Default)]
pub struct Fingerprints {
    /// By the address of the definition, which is kept alive by this.
    known: BTreeMap<usize, (Arc<AppSpec>, SpecHash, String)>,
}

impl Fingerprints {
    fn is_of(&mut self, applied: &Applied, spec: &Arc<AppSpec>) -> (bool, bool) {
        let made = || (spec.clone(), spec.hash(), digest(&spec.base_env));
        let (_, hash, shell) = self.known.entry(Arc::as_ptr(spec).addr()).or_insert_with(made);
        (*hash == applied.hash, *shell == applied.shell)
    }

    /// Forgets definitions that nobody else holds.
    fn tidy(&mut self) {
        self.known.retain(|_, (spec, ..)| Arc::strong_count(spec) > 1);
    }
}

/// What was changed by hand since the last pass of each source that has apps in the list.
pub fn drift<'w>(world: &'w World, fingerprints: &mut Fingerprints) -> BTreeMap<&'w str, Drifted> {
    fingerprints.tidy();
    let mut owned: BTreeMap<(&str, &str), Vec<&Instance>> = BTreeMap::new();
    for slot in world.instances.values() {
        if let Some(owner) = slot.owner.as_deref() {
            owned.entry((owner, &slot.spec.name)).or_default().push(slot);
        }
    }
    let mut all: BTreeMap<&str, Drifted> = BTreeMap::new();
    for (source, baseline) in &world.synced {
        // What somebody deleted as a whole has no list to differ from.
        if !owned.keys().any(|(owner, _)| owner == source) {
            continue;
        }
        for (name, applied) in &baseline.apps {
            let slots = owned.get(&(source.as_str(), name.as_str())).map_or(&[][..], Vec::as_slice);
            // A pass has it in hand, or the source does not have it any more.
            if applied.changing || slots.iter().any(|slot| slot.orphan) {
                continue;
            }
            let found = of(applied, slots, fingerprints);
            if !found.is_empty() {
                all.entry(source).or_default().insert(name.clone(), found);
            }
        }
    }
    all
}

fn of(applied: &Applied, slots: &[&Instance], fingerprints: &mut Fingerprints) -> Vec<Drift> {
    if slots.is_empty() {
        return if applied.count > 0 { vec![Drift::Deleted] } else { Vec::new() };
    }
    let mut drift = Vec::new();
    if slots.iter().any(|slot| is_stopped_by_hand(slot)) {
        drift.push(Drift::Stopped);
    }
    if slots.len() != applied.count as usize {
        drift.push(Drift::Scaled);
    }
    let same: Vec<(bool, bool)> = slots.iter().map(|slot| fingerprints.is_of(applied, &slot.spec)).collect();
    if same.iter().any(|(_, shell)| !shell) {
        drift.push(Drift::Shell);
    }
    if same.iter().any(|(definition, _)| !definition) {
        drift.push(Drift::Fields(Vec::new()));
    }
    drift
}
