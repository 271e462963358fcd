//! How the outside sees a unit: several apps under one name.
//!
//! A unit is nothing of its own in the world. Its members are the slots whose definition names it, so it comes with its
//! first app and goes with its last.

use super::cause::Cause;
use super::view::{InstanceView, Status};
use crate::units::{Bytes, InstanceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the unit of apps that name none (PM2's word).
pub const DEFAULT_UNIT: &str = "default";

/// One unit at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitView {
    /// Its name.
    pub name: String,
    /// The worst state among its slots.
    pub status: Status,
    /// Whether each slot is online, or has ended by itself with success and is to stay so.
    pub healthy: bool,
    /// Slots that are online.
    pub online: usize,
    /// All slots.
    pub total: usize,
    /// Starts of its slots beyond the first ones.
    pub restarts: u64,
    /// Slots that are jobs between two runs.
    pub idle: usize,
    /// Memory of all its processes, when it was asked for and something runs.
    pub memory: Option<Bytes>,
    /// Processor share of all its processes in percent of one processor, when it was asked for and something runs.
    pub cpu: Option<f64>,
    /// Its apps, each once, in the order of their numbers.
    pub apps: Vec<String>,
    /// Numbers of its slots in ascending order.
    pub ids: Vec<InstanceId>,
}

impl UnitView {
    /// The unit of these slots; `None` when there are none.
    fn of(name: &str, slots: &[&InstanceView]) -> Option<UnitView> {
        let mut apps: Vec<String> = Vec::new();
        for slot in slots {
            if !apps.contains(&slot.name) {
                apps.push(slot.name.clone());
            }
        }
        Some(UnitView {
            name: name.into(),
            status: slots.iter().max_by_key(|slot| (!slot.is_idle(), severity(slot.status)))?.status,
            healthy: slots.iter().all(|slot| is_healthy(slot)),
            online: slots.iter().filter(|slot| slot.status == Status::Online).count(),
            total: slots.len(),
            idle: slots.iter().filter(|slot| slot.is_idle()).count(),
            restarts: slots.iter().map(|slot| u64::from(slot.restarts)).sum(),
            memory: slots.iter().filter_map(|slot| slot.memory).reduce(|a, b| Bytes(a.0.saturating_add(b.0))),
            cpu: slots.iter().filter_map(|slot| slot.cpu).reduce(|a, b| a + b),
            apps,
            ids: slots.iter().map(|slot| slot.id).collect(),
        })
    }
}

/// The units of a list, by name; the apps that name no unit come last.
pub fn units(slots: &[InstanceView]) -> Vec<UnitView> {
    let mut members: BTreeMap<(bool, &str), Vec<&InstanceView>> = BTreeMap::new();
    for slot in slots {
        members.entry((slot.namespace == DEFAULT_UNIT, &slot.namespace)).or_default().push(slot);
    }
    members
        .into_iter()
        .filter_map(|((_, name), mut slots)| {
            slots.sort_by_key(|slot| slot.id);
            UnitView::of(name, &slots)
        })
        .collect()
}

/// How bad a state is for a unit: what has been given up is worse than what will be tried again, and both are worse than
/// what someone ended.
fn severity(status: Status) -> u8 {
    match status {
        Status::Online => 0,
        Status::Launching => 1,
        Status::Stopping => 2,
        Status::Stopped => 3,
        Status::WaitingRestart => 4,
        Status::Errored => 5,
    }
}

/// Whether nobody needs to look at a slot.
fn is_healthy(slot: &InstanceView) -> bool {
    if let Some(job) = slot.job.as_deref().filter(|job| job.idle) {
        return !job.has_failed();
    }
    match slot.status {
        Status::Online => !slot.is_degraded(),
        Status::Stopped => {
            slot.last.as_ref().is_some_and(|last| matches!(last.cause, Cause::Exited(exit) if exit.is_success()))
        }
        Status::Launching | Status::Stopping | Status::WaitingRestart | Status::Errored => false,
    }
}
