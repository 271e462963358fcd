//! What was made the truth before: an entry for each pass that did something, with the whole resolved state.
//!
//! Entries hold the values of all variables, secrets included, and so are readable by their owner only. The last
//! [`KEPT`] are kept.

use super::{show, source::Reading};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use baton_core::proto::Done;
use baton_core::sync::{Deed, Desired, Plan, Scope, Step, Synced, between};
use baton_core::units::WallTime;
use baton_os::clock;
use baton_os::files::write_atomic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How many entries are kept.
const KEPT: usize = 100;
/// Version of an entry.
const VERSION: u32 = 1;

/// One pass that did something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    version: u32,
    /// Its number; the first is 1.
    pub(crate) number: u64,
    /// When.
    pub(crate) at: WallTime,
    /// Who: the name of the user.
    pub(crate) user: String,
    /// Which files were read; none for a rollback.
    pub(crate) files: Vec<PathBuf>,
    /// The entry that was applied again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rollback: Option<u64>,
    /// What was done.
    pub(crate) plan: Plan,
    /// Apps that failed.
    pub(crate) failed: BTreeSet<String>,
    /// Apps that were not attempted, because another had failed before.
    #[serde(default)]
    pub(crate) left: BTreeSet<String>,
    /// Whether who asked for it did not live to its end, or the daemon: how much of the plan was done is not known.
    #[serde(default)]
    pub(crate) unfinished: bool,
    /// What was to be.
    pub(crate) desired: Desired,
}

/// What is about to be done, for the entry.
pub(super) struct Draft {
    desired: Desired,
    files: Vec<PathBuf>,
    rollback: Option<u64>,
}

impl Draft {
    /// For a source that was read.
    pub(super) fn of(reading: &Reading) -> Draft {
        Draft { desired: reading.desired.clone(), files: reading.loaded.inputs.clone(), rollback: None }
    }

    /// For an entry that is applied again.
    pub(super) fn again(number: u64, desired: Desired) -> Draft {
        Draft { desired, files: Vec::new(), rollback: Some(number) }
    }

    /// Writes the entry of what is about to be done, when that is anything: whoever asks for it may not live to its end.
    /// That it could not be written hinders nothing, and is told.
    pub(super) fn begin(self, plan: &Plan, session: &Session) -> Begun {
        let folder = session.home.history();
        let mut begun = Begun { folder, entry: None };
        if !plan.is_empty() {
            let user = baton_config::user_name(&session.environment());
            let made = self.try_begin(plan.clone(), user, &begun.folder);
            begun.entry = made.map_err(|error| begun.tell(&error, session)).ok();
        }
        begun
    }

    fn try_begin(mut self, plan: Plan, user: String, folder: &Path) -> io::Result<Entry> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let numbers = numbers(folder)?;
        if self.desired.scope == Scope::Some {
            let known = numbers.iter().rev().filter_map(|number| read(folder, *number));
            if let Some(last) = known.into_iter().find(|entry| entry.desired.source == self.desired.source) {
                self.desired = over(last.desired, self.desired);
            }
        }
        let mut number = numbers.last().map_or(1, |last| last + 1);
        // Whoever makes the file has the number.
        while let Err(error) = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path(folder, number)) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            number += 1;
        }
        let Draft { desired, files, rollback } = self;
        let (at, failed, left) = (clock::now().wall, BTreeSet::new(), BTreeSet::new());
        let entry = Entry {
            version: VERSION,
            number,
            at,
            user,
            files,
            rollback,
            plan,
            failed,
            left,
            unfinished: true,
            desired,
        };
        entry.write(folder)?;
        Ok(entry)
    }
}

/// What a pass over some apps leaves: those, and the others as the pass before it had them.
fn over(before: Desired, mut some: Desired) -> Desired {
    let mut apps = before.apps;
    apps.retain(|old| !some.gone.contains(&old.spec.name));
    for wish in std::mem::take(&mut some.apps) {
        match apps.iter_mut().find(|old| old.spec.name == wish.spec.name) {
            Some(old) => *old = wish,
            None => apps.push(wish),
        }
    }
    let variables = before.variables.into_iter().chain(some.variables).collect();
    Desired { apps, variables, scope: before.scope, gone: Vec::new(), ..some }
}

/// An entry of a pass that is under way.
pub(super) struct Begun {
    folder: PathBuf,
    entry: Option<Entry>,
}

impl Begun {
    /// The pass is done: the entry says what it did, and goes when that was nothing.
    pub(super) fn end(mut self, synced: &Synced, session: &Session) {
        if synced.plan.is_empty() {
            return self.cancel();
        }
        let Some(mut entry) = self.entry.take() else { return };
        let apps = |of: fn(&Done) -> bool| {
            let those = synced.outcomes.iter().filter(|outcome| of(&outcome.done));
            those.map(|outcome| outcome.name.clone()).collect()
        };
        entry.plan = synced.plan.clone();
        entry.failed = apps(|done| matches!(done, Done::Failed(_)));
        entry.left = apps(|done| matches!(done, Done::Left(_)));
        entry.unfinished = false;
        if let Err(error) = entry.write(&self.folder).and_then(|()| self.drop_old()) {
            self.tell(&error, session);
        }
    }

    /// Nothing was done.
    pub(super) fn cancel(self) {
        if let Some(entry) = self.entry {
            // One that stays says that it was not finished.
            let _ = fs::remove_file(path(&self.folder, entry.number));
        }
    }

    fn drop_old(&self) -> io::Result<()> {
        let numbers = numbers(&self.folder)?;
        numbers[..numbers.len().saturating_sub(KEPT)]
            .iter()
            .try_for_each(|old| fs::remove_file(path(&self.folder, *old)))
    }

    fn tell(&self, error: &io::Error, session: &Session) {
        session.warn(&format!("could not keep what was done in {}: {error}", self.folder.display()));
    }
}

impl Entry {
    fn write(&self, folder: &Path) -> io::Result<()> {
        write_atomic(&path(folder, self.number), &serde_json::to_vec(self)?, 0o600)
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number}.json"))
}

/// The numbers of all entries, in order; none when there is no folder.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for file in files {
        let name = file?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// All entries, oldest first. One that is being written, or can't be understood, is passed over.
///
/// # Errors
/// When the folder can't be read.
pub(crate) fn all(session: &Session) -> Result<Vec<Entry>, Failure> {
    let folder = session.home.history();
    let numbers = numbers(&folder).map_err(Failure::system(folder.display().to_string()))?;
    Ok(numbers.into_iter().filter_map(|number| read(&folder, number)).collect())
}

fn read(folder: &Path, number: u64) -> Option<Entry> {
    let entry: Entry = serde_json::from_slice(&fs::read(path(folder, number)).ok()?).ok()?;
    (entry.version == VERSION).then_some(entry)
}

/// The entry of a number.
///
/// # Errors
/// When there is none.
pub(crate) fn one(number: u64, session: &Session) -> Result<Entry, Failure> {
    let unknown = || Failure::Usage(format!("there is no entry {number}: `history` shows those that are kept"));
    read(&session.home.history(), number).ok_or_else(unknown)
}

/// What differs between two entries, as a plan from the first to the second.
pub(crate) fn difference(from: &Entry, to: &Entry) -> Plan {
    let step = |app: &str, deed, fields, have, want| Step {
        app: app.into(),
        deed,
        fields,
        have,
        want,
        drift: Vec::new(),
        stays_down: false,
        taken: None,
        refused: None,
    };
    let mut steps = Vec::new();
    for wish in &to.desired.apps {
        let name = wish.spec.name.as_str();
        match from.desired.apps.iter().find(|old| old.spec.name == name) {
            None => steps.push(step(name, Deed::Create, Vec::new(), 0, wish.count)),
            Some(old) => {
                let fields = between(&old.spec, &wish.spec);
                let deed = show::deed_of(&fields, old.count != wish.count);
                if deed != Deed::Keep {
                    steps.push(step(name, deed, fields, old.count, wish.count));
                }
            }
        }
    }
    let gone = |name: &str| !to.desired.apps.iter().any(|wish| wish.spec.name == name);
    let gone = from.desired.apps.iter().filter(|old| gone(&old.spec.name));
    steps.extend(gone.map(|old| step(&old.spec.name, Deed::Remove, Vec::new(), old.count, 0)));
    Plan { source: to.desired.source.clone(), steps, refusal: None }
}
