//! What is on disk, and how it is read back.
//!
//! * `state.json`: what is wished of every slot. Written durably before a reply tells of a change.
//! * `run/records` (see [`super::records`]): what each slot is, and every life of it whose output is not yet in its
//!   files. Written before the deeds that follow from a change, without waiting for the disk: a reboot voids it anyway.
//!
//! A record is newer than the state file wherever both know a slot. A file of a newer version is refused; one that
//! can't be read is set aside under another name and said so.

use super::records;
use crate::home::Home;
use baton_core::spec::AppSpec;
use baton_core::sync::Baseline;
use baton_core::units::{Incarnation, InstanceId};
use baton_core::world::{Identity, Instance, Record, World};
use baton_os::logs::{Channel, Format, Overflow, Route};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Version of both formats.
pub(super) const VERSION: u32 = 1;

/// What is wished of every slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StateFile {
    version: u32,
    /// The boot in which it was written.
    pub(super) boot_id: String,
    /// Number of the next slot.
    pub(super) next_id: u32,
    /// Number of the next life.
    pub(super) next_incarnation: u64,
    /// The slots.
    pub(super) records: Vec<Record>,
    /// What the last pass of each source made of its apps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) synced: BTreeMap<String, Baseline>,
}

impl StateFile {
    /// The world as a state file.
    pub(super) fn of(world: &World, boot_id: &str) -> StateFile {
        StateFile {
            version: VERSION,
            boot_id: boot_id.into(),
            next_id: world.next_id,
            next_incarnation: world.next_incarnation,
            records: world.instances.values().map(Instance::record).collect(),
            synced: world.synced.clone(),
        }
    }

    /// Its text. Definitions are maps with text keys, which JSON can always hold.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What one slot is.
#[derive(Debug, Deserialize)]
pub(super) struct RunRecord {
    /// The boot in which it was written.
    pub(super) boot_id: String,
    /// The slot; `None` when it was deleted and only its last output is left.
    pub(super) instance: Option<Instance>,
    /// Its definition.
    pub(super) spec: Option<Arc<AppSpec>>,
    /// Lives whose output may not be in their files yet.
    pub(super) lives: Vec<LifeRecord>,
}

/// What a successor must know of one life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LifeRecord {
    /// Which one.
    pub(super) incarnation: Incarnation,
    /// The mark in the environment of its processes.
    pub(super) mark: String,
    /// The leader, once it exists.
    pub(super) identity: Option<Identity>,
    /// Whether the leader was, or was about to be, told to run its program.
    pub(super) told_to_run: bool,
    /// Where its output goes.
    pub(super) routes: Routes,
    /// The folder of its control group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<PathBuf>,
}

/// Where the output of one life goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Routes {
    out: Option<String>,
    error: Option<String>,
    combined: Option<String>,
    date: Option<String>,
    json: bool,
    app_name: String,
    process_id: u32,
    copy: bool,
    overflow: Overflow,
    children_stay: bool,
}

impl Routes {
    /// The routes that a slot's definition asks for.
    pub(super) fn of(instance: &Instance) -> Routes {
        let spec = &instance.spec;
        let shorthand = spec.time.then(|| "YYYY-MM-DDTHH:mm:ss".to_owned());
        Routes {
            out: instance.files.out.clone(),
            error: instance.files.error.clone(),
            combined: instance.files.combined.clone(),
            date: spec.log_date_format.clone().or(shorthand),
            json: spec.log_type == baton_core::spec::LogType::Json,
            app_name: spec.name.clone(),
            process_id: instance.id.0,
            copy: spec.log_sync == "copy",
            overflow: if spec.log_overflow == "drop" { Overflow::Drop } else { Overflow::Block },
            children_stay: !spec.treekill,
        }
    }

    /// Whether children of the app live on after it (`treekill: false`) and may still write.
    pub(super) fn children_stay(&self) -> bool {
        self.children_stay
    }

    /// The route of one stream.
    pub(super) fn route(&self, channel: Channel) -> Route {
        let own = match channel {
            Channel::Out => &self.out,
            Channel::Err => &self.error,
        };
        Route {
            file: own.as_ref().map(PathBuf::from),
            combined: self.combined.as_ref().map(PathBuf::from),
            format: Format {
                date: self.date.clone(),
                json: self.json,
                app_name: self.app_name.clone(),
                process_id: self.process_id,
                copy: self.copy,
            },
            overflow: self.overflow,
        }
    }
}

/// Why the files of a home can't be used.
#[derive(Debug, Error)]
pub(super) enum StorageError {
    /// A newer baton wrote it.
    #[error("{} is of version {found}, this program reads up to {VERSION}: use the newer baton", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The operating system said no.
    #[error("could not read {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it answered.
        error: io::Error,
    },
}

/// What the files say.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// The state file, when there is a readable one.
    pub(super) state: Option<StateFile>,
    /// The records by slot.
    pub(super) runs: BTreeMap<InstanceId, RunRecord>,
    /// Their lines as they were written.
    pub(super) lines: Vec<u8>,
    /// What an operator should know.
    pub(super) notices: Vec<String>,
}

/// Reads everything that a predecessor left. Files that can't be understood are set aside.
///
/// # Errors
/// When a newer version wrote one, or the folder can't be read.
pub(super) fn load(home: &Home) -> Result<Loaded, StorageError> {
    let mut loaded = Loaded::default();
    loaded.state = read(&home.state(), &mut loaded.notices)?;
    records::load(home, &mut loaded)?;
    Ok(loaded)
}

#[derive(Deserialize)]
struct Probe {
    version: u32,
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path, notices: &mut Vec<String>) -> Result<Option<T>, StorageError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::Io { path: path.into(), error }),
    };
    let parsed = match serde_json::from_slice::<Probe>(&bytes) {
        Ok(Probe { version }) if version > VERSION => {
            return Err(StorageError::Newer { path: path.into(), found: version });
        }
        Ok(_) => serde_json::from_slice(&bytes),
        Err(error) => Err(error),
    };
    match parsed {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            set_aside(path, &error, notices)?;
            Ok(None)
        }
    }
}

/// Keeps a file that can't be read under another name, and says so.
///
/// # Errors
/// When it can't be renamed.
pub(super) fn set_aside(
    path: &Path,
    reason: &serde_json::Error,
    notices: &mut Vec<String>,
) -> Result<(), StorageError> {
    let aside = free_name(path);
    fs::rename(path, &aside).map_err(|error| StorageError::Io { path: path.into(), error })?;
    notices.push(format!("{} could not be read ({reason}); it was set aside as {}", path.display(), aside.display()));
    Ok(())
}

/// `<path>.broken-<n>` with the first n that is free.
fn free_name(path: &Path) -> PathBuf {
    let mut count = 1_u32;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".broken-{count}"));
        let candidate = PathBuf::from(name);
        if !candidate.exists() {
            return candidate;
        }
        count += 1;
    }
}

/// The FIFO of one stream.
pub(super) fn fifo_path(home: &Home, incarnation: Incarnation, channel: Channel) -> PathBuf {
    home.run().join(format!("{incarnation}.{}", channel.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::records::Records;
    use baton_core::units::WallTime;
    use baton_core::world::{Cause, Directories, State, Verb, Wanted};

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        home.create().unwrap();
        (dir, home)
    }

    fn world() -> World {
        let mut world = World::new(Directories { logs: "/h/logs".into(), pids: "/h/pids".into() });
        let spec = Arc::new(AppSpec { name: "api".into(), script: "/w/api.js".into(), ..AppSpec::default() });
        let mut instance = Instance::new(InstanceId(3), 0, spec, WallTime(5), &world.directories);
        instance.state = State::Stopped { why: Cause::Operator(Verb::Stop) };
        world.instances.insert(instance.id, instance);
        (world.next_id, world.next_incarnation) = (4, 9);
        world
    }

    #[test]
    fn what_was_written_is_read_back() {
        let (_dir, home) = home();
        let world = world();
        let state = StateFile::of(&world, "boot");
        fs::write(home.state(), state.encode()).unwrap();
        let life = LifeRecord {
            incarnation: Incarnation(8),
            mark: "m".into(),
            identity: None,
            told_to_run: true,
            routes: Routes::of(&world.instances[&InstanceId(3)]),
            group: Some("/sys/fs/cgroup/x".into()),
        };
        let mut records = Records::begin(&home, "boot", b"").unwrap();
        let written = world.instances.get(&InstanceId(3));
        let entries = [(InstanceId(3), written, vec![]), (InstanceId(3), written, vec![life.clone()])];
        records.append(entries.into_iter()).unwrap();
        records.append([(InstanceId(7), None, vec![])].into_iter()).unwrap();
        let loaded = load(&home).unwrap();
        assert_eq!(loaded.state, Some(state));
        assert_eq!(loaded.notices, Vec::<String>::new());
        let run = &loaded.runs[&InstanceId(3)];
        assert_eq!(run.lives, [life]);
        assert_eq!(run.spec.as_ref(), Some(&world.instances[&InstanceId(3)].spec));
        assert_eq!(run.instance.as_ref().unwrap().state, world.instances[&InstanceId(3)].state);
        assert!(loaded.runs[&InstanceId(7)].instance.is_none());
    }

    #[test]
    fn the_state_file_of_the_first_release_loads() {
        let (_dir, home) = home();
        fs::write(home.state(), include_str!("golden/state-1.json")).unwrap();
        fs::write(home.run().join("records"), include_str!("golden/records-1")).unwrap();
        let loaded = load(&home).unwrap();
        assert_eq!(loaded.notices, Vec::<String>::new());
        let state = loaded.state.unwrap();
        assert_eq!((state.next_id, state.next_incarnation), (2, 7));
        let wanted: Vec<_> = state.records.iter().map(|record| (record.spec.name.as_str(), record.wanted)).collect();
        assert_eq!(wanted, [("api", Wanted::Up), ("job", Wanted::Down)]);
        assert_eq!(state.records[0].spec.env["PORT"], "8080");
        let run = &loaded.runs[&InstanceId(0)];
        assert_eq!(run.lives[0].identity.as_ref().unwrap().pid, 4242);
        assert_eq!(run.instance.as_ref().unwrap().restarts, 2);
    }

    #[test]
    fn garbage_is_set_aside_and_named() {
        let (_dir, home) = home();
        for garbage in ["", "{", "null", "{\"version\":1}", "\u{0}\u{0}"] {
            fs::write(home.state(), garbage).unwrap();
            let loaded = load(&home).unwrap();
            assert!(loaded.state.is_none(), "{garbage:?}");
            assert_eq!(loaded.notices.len(), 1, "{garbage:?}");
        }
        assert!(!home.state().exists());
        assert_eq!(fs::read_to_string(home.root().join("state.json.broken-2")).unwrap(), "{");
    }

    #[test]
    fn a_line_cut_off_by_a_kill_is_passed_over_and_one_in_the_midst_is_named() {
        let (_dir, home) = home();
        let world = world();
        let path = home.run().join("records");
        let mut records = Records::begin(&home, "boot", b"").unwrap();
        let entry = || [(InstanceId(3), world.instances.get(&InstanceId(3)), vec![])].into_iter();
        records.append(entry()).unwrap();
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, [&whole[..], &whole[..cut]].concat()).unwrap();
            let loaded = load(&home).unwrap();
            assert_eq!((loaded.lines, loaded.notices.len(), loaded.runs.len()), (whole.clone(), 0, 1), "{cut}");
        }
        fs::write(&path, [&whole[..9], b"\n", &whole[..]].concat()).unwrap();
        let loaded = load(&home).unwrap();
        assert_eq!((loaded.lines, loaded.runs.len()), (whole, 1));
        assert!(loaded.notices[0].contains("records.broken-1"), "{:?}", loaded.notices);
    }

    #[test]
    fn records_are_written_anew_when_most_are_out_of_date() {
        let (_dir, home) = home();
        let world = world();
        let entry = || [(InstanceId(3), world.instances.get(&InstanceId(3)), vec![])].into_iter();
        let mut records = Records::begin(&home, "boot", b"").unwrap();
        let mut written = 0;
        while !records.is_stale() {
            records.append(entry()).unwrap();
            written += 1;
        }
        assert!(written > 1_000, "{written}");
        records.rewrite(entry()).unwrap();
        assert!(!records.is_stale());
        records.append(entry()).unwrap();
        assert_eq!(fs::read_to_string(home.run().join("records")).unwrap().lines().count(), 2);
        assert_eq!(load(&home).unwrap().runs.len(), 1);
    }

    #[test]
    fn a_newer_version_is_refused_by_name_and_left_alone() {
        let (_dir, home) = home();
        fs::write(home.state(), "{\"version\":2,\"unknown\":[]}").unwrap();
        let text = load(&home).unwrap_err().to_string();
        assert!(text.contains("state.json is of version 2") && text.contains("reads up to 1"), "{text}");
        assert!(home.state().exists());
        fs::remove_file(home.state()).unwrap();
        fs::write(home.run().join("records"), "{\"version\":2,\"id\":0}\n").unwrap();
        let text = load(&home).unwrap_err().to_string();
        assert!(text.contains("records is of version 2"), "{text}");
    }
}
