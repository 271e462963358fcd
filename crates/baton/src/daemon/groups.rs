//! The control groups of lives: what they are to keep, what they tell of an end, and that none is left behind.

use super::driver::Driver;
use super::journal;
use super::life::Key;
use baton_core::spec::GroupLimits;
use baton_core::units::InstanceId;
use baton_core::world::{Exit, Instance, State};
use baton_os::cgroup::{Group, Groups, sweep};
use std::collections::BTreeSet;
use std::path::Path;

impl Driver {
    /// Has the groups of these slots keep what their definitions say now.
    pub(super) fn follow_groups(&mut self, touched: &BTreeSet<InstanceId>) {
        for id in touched {
            let runs = |slot: &&Instance| {
                matches!(slot.state, State::Starting { .. } | State::Unready { .. } | State::Online { .. })
            };
            // The next life of any other begins with them.
            let Some(slot) = self.world.instances.get(id).filter(runs) else { continue };
            let (key, wished) = ((*id, slot.incarnation), slot.spec.group_limits());
            let Some(life) = self.lives.get_mut(key) else { continue };
            if life.limits.replace(wished).unwrap_or_default() == wished {
                continue;
            }
            life.unlimited = None;
            match (&life.group, &self.groups) {
                (Some(group), _) => self.spawner.limit(key, group.clone(), wished),
                (None, Ok(_)) => self.not_limited(key, "it has no control group before its next start"),
                (None, Err(lack)) => {
                    let why = lack.to_string();
                    self.not_limited(key, &why);
                }
            }
        }
    }

    /// The group that is to be made for a life.
    pub(super) fn group_for(&self, (id, incarnation): Key, limits: &GroupLimits) -> Option<Group> {
        let groups = self.groups.as_ref().ok().filter(|groups| groups.are_for_all() || !limits.is_empty())?;
        Some(groups.of(id, incarnation))
    }

    /// A life that runs does not have the limits that it should.
    pub(super) fn not_limited(&mut self, key: Key, why: &str) {
        let Some(slot) = self.world.current(key.0, key.1) else { return };
        let wished = slot.spec.group_limits();
        let Some(life) = self.lives.get_mut(key).filter(|_| !wished.is_empty()) else { return };
        let (keys, app) = (wished.keys().join(", "), &slot.spec.name);
        let text = format!("{app} ({}) runs without its new {keys}: {why}", key.0);
        journal::warn(&text);
        life.unlimited = Some(text);
    }

    /// Those that run without limits that they should have.
    pub(super) fn unlimited(&self) -> impl Iterator<Item = String> {
        self.lives.keys().filter_map(|key| self.lives.get(key)?.unlimited.clone())
    }

    /// How a leader has ended, with what its group tells.
    pub(super) fn explained(&self, key: Key, exit: Exit) -> Exit {
        let by_us = self
            .world
            .current(key.0, key.1)
            .is_some_and(|slot| matches!(slot.state, State::Stopping { killed: true, .. }));
        match self.lives.get(key).filter(|_| !by_us) {
            Some(life) => life.explained(exit),
            None => exit,
        }
    }

    /// Removes the group of a life that is over, and those of earlier ones in which nothing lives any more.
    pub(super) fn remove_group(&mut self, group: Option<Group>) {
        self.groups_left.extend(group);
        self.groups_left.retain(|group| !group.remove());
    }

    /// Removes what predecessors have left.
    pub(super) fn sweep_groups(&self) {
        let known: BTreeSet<&Group> = self.lives.keys().filter_map(|key| self.lives.get(key)?.group.as_ref()).collect();
        // A predecessor may have been given another place.
        let places: BTreeSet<&Path> = (known.iter().filter_map(|group| group.folder().parent()))
            .chain(self.groups.as_ref().ok().map(Groups::folder))
            .collect();
        for place in places {
            sweep(place, self.home.root(), |group| known.contains(group));
        }
    }
}
