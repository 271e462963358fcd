//! Control groups of version 2: one for each life of an app, below the group that this process was given.
//!
//! Who is in the group of a life belongs to it, whatever it did to get away: no sign that a process can shed is as sure.
//! The kernel ends all of a group in one step, counts what it ends for lack of memory, and keeps limits of the whole.
//!
//! ```text
//! <the group that we were given>/
//!   baton-own/                    our own processes, once an app has limits
//!   baton-<home>-<slot>-<life>/   a life
//! ```
//!
//! Groups are only made where they are ours to make (see `place`): a service with `Delegate=yes`, a container with a
//! hierarchy of its own, or a machine without systemd. Everywhere else there are none, and the other signs must do.

mod place;

pub use place::OWN;

use baton_core::spec::GroupLimits;
use baton_core::units::{Bytes, Incarnation, InstanceId};
use place::Facts;
use rustix::fs::{Access, Mode, OFlags, access};
use rustix::io::Errno;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why there are no groups to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The machine has no hierarchy of version 2, or shows us none.
    Hierarchy,
    /// This group is not ours to change.
    Delegation(PathBuf),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Hierarchy => f.write_str("there is no cgroup2 file system here to keep it with"),
            Lack::Delegation(folder) => write!(
                f,
                "the control group {} was not delegated to baton: run it as the service that `baton startup` writes \
                 (Delegate=yes), or in a container with a cgroup namespace of its own and /sys/fs/cgroup writable",
                folder.display()
            ),
        }
    }
}

/// The place where groups of one home are made.
#[derive(Clone, Debug)]
pub struct Groups(Arc<Place>);

#[derive(Debug)]
struct Place {
    folder: PathBuf,
    tag: u32,
    /// Whether it is the group of the whole machine.
    root: bool,
}

impl Groups {
    /// The place of this process, for the apps of `home`. With its `guard` it leaves the group of an app that it was started
    /// from.
    ///
    /// # Errors
    /// With the reason when there is none.
    pub fn find(home: &Path, guard: Option<u32>) -> Result<Groups, Lack> {
        let read = |path: &str| fs::read_to_string(path).map_err(|_| Lack::Hierarchy);
        let own = read("/proc/self/cgroup")?;
        let mounts = place::mounts_in(&read("/proc/self/mountinfo")?);
        let (given, in_app) = place::given(place::path_in(&own).ok_or(Lack::Hierarchy)?);
        let folder = place::folder(given, &mounts).ok_or(Lack::Hierarchy)?;
        let is_mount = mounts.iter().any(|mount| mount.point == folder);
        if !facts(&folder, is_mount).is_ours() {
            return Err(Lack::Delegation(folder));
        }
        // The only group without that file.
        let root = !folder.join("cgroup.events").exists();
        let groups = Groups(Arc::new(Place { folder, tag: place::tag(home), root }));
        if in_app {
            // Else we would end with an app of whoever manages it.
            let moved = groups.own_group().and_then(|own| {
                guard.into_iter().try_for_each(|pid| put(&own, pid))?;
                put(&own, std::process::id())
            });
            moved.map_err(|_| Lack::Delegation(groups.0.folder.clone()))?;
        }
        Ok(groups)
    }

    /// The folder of the group that they are made in.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Whether every app is to have a group. In the group of the whole machine, which nobody has given to us, only those
    /// with limits have one.
    pub fn are_for_all(&self) -> bool {
        !self.0.root
    }

    /// The group of a life.
    pub fn of(&self, id: InstanceId, incarnation: Incarnation) -> Group {
        Group { folder: self.0.folder.join(place::name(self.0.tag, id.0, incarnation.0)) }
    }

    /// Makes the group of a life with these limits, and opens it.
    ///
    /// # Errors
    /// When it can't be made, or a limit can't be set; then there is none.
    pub fn make(&self, group: &Group, limits: &GroupLimits) -> Result<OwnedFd, String> {
        if !limits.is_empty() {
            self.enable(&limits.controllers())?;
        }
        let failed = |error: io::Error| format!("{}: {error}", group.folder.display());
        match fs::create_dir(&group.folder) {
            // A start that a daemon before us did not live to see.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.map_err(failed)?,
        }
        let open = || {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(&group.folder, flags, Mode::empty()).map_err(|error| failed(error.into()))
        };
        let made = if limits.is_empty() { open() } else { self.limit(group, limits).and_then(|()| open()) };
        if made.is_err() {
            let _ = fs::remove_dir(&group.folder);
        }
        made
    }

    /// Sets the limits of a group that is there, and takes back those that are no more.
    ///
    /// # Errors
    /// With the one that can't be set, and why.
    pub fn limit(&self, group: &Group, limits: &GroupLimits) -> Result<(), String> {
        self.enable(&limits.controllers())?;
        let controllers = read(&group.folder.join("cgroup.controllers"));
        let has = |name: &str| words(&controllers).any(|there| there == name);
        if let Some(name) = limits.controllers().into_iter().find(|name| !has(name)) {
            // One that was made in another place than ours.
            return Err(format!("the control group {} has no controller `{name}`", group.folder.display()));
        }
        for (file, value) in limits.settings(has) {
            match fs::write(group.folder.join(file), &value) {
                // Before Linux 4.19 one process of the group was ended.
                Err(error) if error.kind() == io::ErrorKind::NotFound && file == "memory.oom.group" => {}
                Err(error) => return Err(format!("{file} can't be set to {value}: {error}")),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Gives the groups of lives these controllers. Processes of this program go out of their way.
    ///
    /// # Errors
    /// With the reason and, where there is something, what to do.
    pub fn enable(&self, controllers: &[&str]) -> Result<(), String> {
        let folder = &self.0.folder;
        let enabled = read(&folder.join("cgroup.subtree_control"));
        let missing: Vec<&&str> =
            controllers.iter().filter(|name| !words(&enabled).any(|there| there == **name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let there = read(&folder.join("cgroup.controllers"));
        if let Some(name) = missing.iter().find(|name| !words(&there).any(|there| there == ***name)) {
            let text = format!("the control group {} has no controller `{name}`", folder.display());
            return Err(if is_of_version_1(name, &read(Path::new("/proc/cgroups"))) {
                format!(
                    "{text}: this machine has it in cgroups of version 1 (systemd.unified_cgroup_hierarchy=1 at boot)"
                )
            } else {
                format!("{text}: it was not delegated, or the kernel lacks it")
            });
        }
        let order: String = missing.iter().map(|name| format!("+{name} ")).collect();
        let write = || fs::write(folder.join("cgroup.subtree_control"), order.trim_end());
        let done = match write() {
            // Processes and groups with limits can't be side by side.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => self.make_room().and_then(|()| write()),
            result => result,
        };
        done.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::BUSY) => format!(
                "the control group {} has processes that are not baton's, and can have no groups with limits beside them",
                folder.display()
            ),
            _ => format!("{} of {}: {error}", order.trim_end(), folder.display()),
        })
    }

    /// Moves baton's own processes out of the group that is to have only groups in it.
    fn make_room(&self) -> io::Result<()> {
        let own = self.own_group()?;
        let program = fs::metadata("/proc/self/exe")?;
        for pid in Group::at(&self.0.folder).direct() {
            let runs = fs::metadata(format!("/proc/{pid}/exe"));
            if runs.is_ok_and(|runs| (runs.dev(), runs.ino()) == (program.dev(), program.ino())) {
                match put(&own, pid) {
                    // It has ended.
                    Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {}
                    result => result?,
                }
            }
        }
        Ok(())
    }

    fn own_group(&self) -> io::Result<PathBuf> {
        let own = self.0.folder.join(OWN);
        match fs::create_dir(&own) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(own),
        }
    }
}

/// Removes the groups of `home` in this folder in which nothing lives, and that are none of `known`.
pub fn sweep(folder: &Path, home: &Path, known: impl Fn(&Group) -> bool) {
    let tag = place::tag(home);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let group = Group { folder: entry.path() };
        if name.to_str().and_then(place::parse).is_some_and(|(of, ..)| of == tag) && !known(&group) {
            group.remove();
        }
    }
}

/// The group of one life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    folder: PathBuf,
}

impl Group {
    /// The one with this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Group {
        Group { folder: folder.into() }
    }

    /// The one that this process is in, if it is that of a life of `home`.
    pub fn of_process(pid: u32, home: &Path) -> Option<Group> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mounts = place::mounts_in(&fs::read_to_string("/proc/self/mountinfo").ok()?);
        let path = place::path_in(&text)?;
        let last = path.rsplit('/').next()?;
        place::parse(last).filter(|(tag, ..)| *tag == place::tag(home))?;
        place::folder(path, &mounts).map(Group::at)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether something lives in it or below it.
    pub fn is_populated(&self) -> bool {
        place::populated_in(&read(&self.folder.join("cgroup.events"))) == Some(true)
    }

    /// Every process in it and below it.
    pub fn members(&self) -> Vec<u32> {
        let mut all = self.direct();
        for below in self.below() {
            all.extend(below.members());
        }
        all
    }

    fn direct(&self) -> Vec<u32> {
        let text = read(&self.folder.join("cgroup.procs"));
        // 0 is one that we are not shown.
        text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid != 0).collect()
    }

    fn below(&self) -> Vec<Group> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.map(|entry| Group { folder: entry.path() }).collect()
    }

    /// Has the kernel end everything in it and below it, and whatever is being started there. Nothing is done where one
    /// of `spared` is in it.
    ///
    /// # Errors
    /// Before Linux 5.14, and when it is not ours.
    pub fn kill(&self, spared: &[u32]) -> io::Result<()> {
        if self.members().iter().any(|pid| spared.contains(pid)) {
            return Err(Errno::PERM.into());
        }
        fs::write(self.folder.join("cgroup.kill"), "1")
    }

    /// Whether the kernel has ended all of it because memory was short. `None` also where it does not count that, and
    /// where it would have ended one process of it only, for then it can't be told which.
    pub fn out_of_memory(&self) -> Option<OutOfMemory> {
        let events = read(&self.folder.join("memory.events"));
        place::value_in(&events, "oom_kill").filter(|kills| *kills > 0)?;
        if read(&self.folder.join("memory.oom.group")).trim() != "1" {
            return None;
        }
        let own = place::value_in(&events, "oom").is_some_and(|times| times > 0);
        let limit = read(&self.folder.join("memory.max")).trim().parse().ok().map(Bytes);
        Some(OutOfMemory { limit: limit.filter(|_| own) })
    }

    /// Removes it, with the groups that the app has made in it. `false`: something lives in it.
    pub fn remove(&self) -> bool {
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(_) => {
                // An empty one that is refused has groups in it.
                !self.is_populated() && self.below().iter().all(Group::remove) && fs::remove_dir(&self.folder).is_ok()
            }
            Ok(()) => true,
        }
    }
}

/// The kernel has ended a group because memory was short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Its own limit, where it was that which left no memory; else it was the machine, or a group above.
    pub limit: Option<Bytes>,
}

/// Whether two processes are of one service: in the same group that was given to it.
pub fn are_together(one: u32, other: u32) -> bool {
    let of = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        // Where version 1 has the controllers, systemd has its services in a hierarchy without any.
        let lines = text.lines().filter(|line| line.starts_with("0::") || line.contains(":name=systemd:"));
        Some(lines.map(|line| place::given(line).0.trim_end_matches('/').to_owned()).collect::<Vec<_>>())
    };
    of(one).is_some_and(|groups| Some(groups) == of(other))
}

fn facts(folder: &Path, is_mount: bool) -> Facts {
    let may = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    let owner = |path: &Path| fs::metadata(path).ok().map(|data| data.uid());
    let us = rustix::process::geteuid().as_raw();
    let above = folder.parent().and_then(owner);
    let is_marked = |name: &str| {
        let mut value = [0_u8; 8];
        rustix::fs::getxattr(folder, name, &mut value[..]).is_ok_and(|length| value[..length] == *b"1")
    };
    Facts {
        root: us == 0,
        writable: may(folder) && may(&folder.join("cgroup.procs")),
        marked: is_marked("user.delegate") || is_marked("trusted.delegate"),
        top: is_mount || above != Some(us),
        systemd: Path::new("/run/systemd/system").exists(),
    }
}

/// Puts a process into a group.
fn put(group: &Path, pid: u32) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), pid.to_string())
}

/// A file of the kernel; empty when it is not there.
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace()
}

/// Whether `/proc/cgroups` tells that a controller is used by version 1.
fn is_of_version_1(controller: &str, text: &str) -> bool {
    let name = if controller == "io" { "blkio" } else { controller };
    text.lines().any(|line| {
        let mut fields = words(line);
        fields.next() == Some(name) && fields.next().is_some_and(|hierarchy| hierarchy != "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with files as the kernel has them in a group.
    fn group(files: &[(&str, &str)]) -> (tempfile::TempDir, Group) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let group = Group::at(folder.path());
        (folder, group)
    }

    #[test]
    fn members_are_those_of_the_groups_below_as_well() {
        let (_folder, group) = group(&[
            ("cgroup.procs", "12\n0\n13\n"),
            ("own/cgroup.procs", "14\n"),
            ("own/deep/cgroup.procs", "15\n"),
            ("cgroup.events", "populated 1\nfrozen 0\n"),
        ]);
        let mut members = group.members();
        members.sort_unstable();
        assert_eq!(members, [12, 13, 14, 15]);
        assert!(group.is_populated());
        assert!(!Group::at("/nowhere").is_populated() && Group::at("/nowhere").remove());
        assert!(group.kill(&[15]).is_err(), "not with us in it");
        assert!(!group.folder().join("cgroup.kill").exists());
    }

    #[test]
    fn only_what_the_kernel_counted_is_a_lack_of_memory() {
        let with = |events: &str, whole: &str| {
            let files = [("memory.events", events), ("memory.oom.group", whole), ("memory.max", "209715200\n")];
            let (_folder, group) = group(&files);
            group.out_of_memory().map(|found| found.limit)
        };
        assert_eq!(with("max 9\noom 1\noom_kill 1\n", "1\n"), Some(Some(Bytes(200 << 20))));
        assert_eq!(with("max 0\noom 0\noom_kill 1\n", "1\n"), Some(None), "the machine had none left");
        assert_eq!(with("max 9\noom 1\noom_kill 0\n", "1\n"), None, "it was not ended by that");
        assert_eq!(with("max 9\noom 1\noom_kill 1\n", "0\n"), None, "it may have been another of the group");
        let (_folder, without) = group(&[]);
        assert_eq!(without.out_of_memory(), None, "nobody counts");
    }

    #[test]
    fn limits_are_written_where_the_group_can_keep_them_and_refused_where_not() {
        let (folder, _) = group(&[("cgroup.subtree_control", "cpu memory pids\n"), ("cgroup.events", "populated 1\n")]);
        let groups = Groups(Arc::new(Place { folder: folder.path().into(), tag: 7, root: false }));
        let group = groups.of(InstanceId(3), Incarnation(5));
        assert_eq!(group.folder().file_name().unwrap(), "baton-00000007-3-5");
        fs::create_dir(group.folder()).unwrap();
        let tasks = GroupLimits { tasks: Some(9), ..GroupLimits::default() };
        let refused = groups.limit(&group, &tasks).unwrap_err();
        assert!(refused.ends_with("baton-00000007-3-5 has no controller `pids`"), "{refused}");
        fs::write(group.folder().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        let limits = GroupLimits { memory: Some(Bytes(4096)), cpu: baton_core::spec::Cpus::of(0.5), ..tasks };
        groups.limit(&group, &limits).unwrap();
        let said = |name: &str| fs::read_to_string(group.folder().join(name)).unwrap();
        let files = ["memory.max", "memory.oom.group", "cpu.max", "pids.max"];
        assert_eq!(files.map(said), ["4096", "1", "50000 100000", "9"]);
        groups.limit(&group, &tasks).unwrap();
        assert_eq!(files.map(said), ["max", "0", "max 100000", "9"], "what is no more is taken back");
        // Neither here nor above: nothing is left of a start that can't have it.
        fs::write(folder.path().join("cgroup.subtree_control"), "pids\n").unwrap();
        let other = groups.of(InstanceId(3), Incarnation(6));
        assert!(groups.make(&other, &limits).unwrap_err().contains("has no controller `memory`"));
        assert!(!other.folder().exists());
    }

    #[test]
    fn a_controller_of_version_1_is_known() {
        let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t45\t1\nhugetlb\t0\t3\t1\n";
        assert!(is_of_version_1("memory", text));
        assert!(!is_of_version_1("hugetlb", text) && !is_of_version_1("pids", text));
    }
}
