//! What is: the process list and everything that is known of each slot.
//!
//! * `state` is the state of a slot and what follows from it.
//! * `cause` says why something happened; every transition carries one.
//! * `instance` is one slot, `beside` a second life in it during a reload.
//! * `alert` is what its hooks are told.
//! * `job` is what is known of it when its app is run at times.
//! * `telling` is what a program tells of itself.
//! * `care` is how well the life in it is.
//! * `view` is how the outside sees a slot, `unit` how it sees several as one.
//!
//! The world is owned by one task and changed by [`crate::step::step`] alone.

mod alert;
mod beside;
mod care;
mod cause;
mod instance;
mod job;
mod state;
mod telling;
mod unit;
mod view;

pub use alert::{Alert, Report};
pub use beside::{Beside, Phase};
pub use care::{Beat, Care, CareDeadlines, Well, Wellness};
pub use cause::{Cause, Exit, Signal, SpawnError, SpawnStage, Verb};
pub use instance::{Changed, Death, Identity, Instance, InstanceFiles, Record, Transition};
pub use job::{Due, Job, JobView, KeptJob, KeptJobs, Next, Outcome, RUNS, Run};
pub use state::{State, Then, Wanted};
pub use telling::Telling;
pub use unit::{DEFAULT_UNIT, UnitView, units};
pub use view::{Detail, InstanceView, Status};

use crate::spec::{AppSpec, Environment, External};
use crate::step::Pending;
use crate::sync::{Baseline, Turn};
use crate::units::{Incarnation, InstanceId, Instant, OpId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Everything the daemon supervises.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The slots by number.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// Number of the next slot. PM2 starts again at 0 when the list is empty, and tools rely on it.
    pub next_id: u32,
    /// Number of the next incarnation; never goes back.
    pub next_incarnation: u64,
    /// Counts every change that the outside can see.
    pub revision: u64,
    /// Requests that wait for slots to settle.
    pub pending: BTreeMap<OpId, Pending>,
    /// Slots changed since the daemon last wrote their records.
    pub touched: BTreeSet<InstanceId>,
    /// What others run and slots wait for, and how far that is.
    pub externals: BTreeMap<External, Reach>,
    /// Whether the daemon is to end: nothing new is begun.
    pub ending: bool,
    /// What the jitter of jobs is drawn from.
    pub seed: u64,
    /// What was known of jobs when the daemon before was ended with all apps.
    pub kept: KeptJobs,
    /// Where default log and pid files go.
    pub directories: Directories,
    /// What the last pass of each source made of its apps.
    pub synced: BTreeMap<String, Baseline>,
    /// Requests about a source that wait for the one under way.
    pub syncs: VecDeque<(OpId, Turn)>,
}

/// Whether something external is there. It counts for as long as a slot waits to start that depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Not yet; what the last look found.
    Open(Option<String>),
    /// It is there.
    Reached,
}

/// The folders that default file names are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directories {
    /// Folder of log files.
    pub logs: String,
    /// Folder of pid files.
    pub pids: String,
}

impl World {
    /// An empty world whose default files go to `directories`.
    pub fn new(directories: Directories) -> Self {
        World { next_incarnation: 1, directories, ..World::default() }
    }

    /// Has equal environments of definitions that were read one by one be one.
    pub fn share_environments(&mut self) {
        let mut known: BTreeSet<Arc<Environment>> = BTreeSet::new();
        for instance in self.instances.values_mut() {
            let spec = Arc::make_mut(&mut instance.spec);
            if let Some(same) = known.get(&spec.base_env) {
                spec.base_env = same.clone();
            }
            known.insert(spec.base_env.clone());
        }
    }

    /// The earliest moment at which a timer is due. Timers are not armed and disarmed: they follow from the states.
    pub fn next_deadline(&self) -> Option<Instant> {
        let slots = self.instances.values().filter_map(Instance::deadline);
        slots.chain(self.pending.values().filter_map(|pending| pending.deadline)).min()
    }

    /// The slots whose timer is due.
    pub fn due(&self, now: Instant) -> Vec<InstanceId> {
        self.instances
            .values()
            .filter(|instance| instance.deadline().is_some_and(|at| at <= now))
            .map(|instance| instance.id)
            .collect()
    }

    /// The slot in which `incarnation` lives now, if it is the current one.
    pub fn current(&self, id: InstanceId, incarnation: Incarnation) -> Option<&Instance> {
        self.instances.get(&id).filter(|instance| instance.incarnation == incarnation)
    }

    /// Whether `incarnation` lives in the slot, be it the current life or one beside it.
    pub fn lives(&self, id: InstanceId, incarnation: Incarnation) -> bool {
        let lives = |slot: &Instance| {
            slot.incarnation == incarnation || slot.beside.iter().any(|beside| beside.incarnation == incarnation)
        };
        self.instances.get(&id).is_some_and(lives)
    }

    /// The definition that this life of the slot runs, or ran last.
    pub fn spec_of(&self, id: InstanceId, incarnation: Incarnation) -> Option<&Arc<AppSpec>> {
        let slot = self.instances.get(&id)?;
        let beside = slot.beside.iter().find(|beside| beside.incarnation == incarnation);
        match beside {
            Some(beside) => Some(&beside.spec),
            None => (slot.incarnation == incarnation).then_some(&slot.spec),
        }
    }

    /// The slot as this life of it is defined: with the definition and the files of that life, be it the current one or
    /// one beside it.
    pub fn as_of(&self, id: InstanceId, incarnation: Incarnation) -> Option<Instance> {
        let spec = self.spec_of(id, incarnation)?.clone();
        let slot = self.instances.get(&id)?;
        let files = InstanceFiles::of(&spec, id, &self.directories);
        Some(Instance { spec, files, incarnation, ..slot.clone() })
    }

    /// The slots of one app, in the order of their numbers.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Instance> {
        self.instances.values().filter(move |instance| instance.spec.name == name)
    }
}
