//! Where this process is among the control groups, and whether it may make some there: read from the kernel's texts.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// The group beside those of the apps, for baton's own processes: a group that has groups with limits below it can't have
/// processes itself. (`DelegateSubgroup=` of the service that `startup` writes names it as well.)
pub const OWN: &str = "baton-own";

/// A mounted hierarchy of version 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The group that is seen at the mount point.
    pub(super) root: PathBuf,
    /// Where.
    pub(super) point: PathBuf,
}

/// The group that `/proc/<pid>/cgroup` tells, of version 2.
pub(super) fn path_in(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The hierarchies of version 2 in `/proc/self/mountinfo`.
pub(super) fn mounts_in(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        if !kind.starts_with("cgroup2 ") {
            return None;
        }
        let mut fields = place.split(' ').skip(3);
        Some(Mount { root: unescaped(fields.next()?), point: unescaped(fields.next()?) })
    };
    text.lines().filter_map(mount).collect()
}

/// A path of that file: `\040` is a space.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|digits| first == b'\\' && digits.iter().all(|d| (b'0'..b'8').contains(d)));
        match digits {
            Some(digits) => {
                bytes.push(digits.iter().fold(0_u8, |byte, digit| byte.wrapping_mul(8).wrapping_add(digit - b'0')));
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

/// The folder of a group. `None`: no mount shows it, or it is outside of what we are shown.
pub(super) fn folder(path: &str, mounts: &[Mount]) -> Option<PathBuf> {
    let path = Path::new(path);
    if path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    mounts.iter().find_map(|mount| match path.strip_prefix(&mount.root).ok()? {
        // Joining nothing would add a slash.
        top if top.as_os_str().is_empty() => Some(mount.point.clone()),
        below => Some(mount.point.join(below)),
    })
}

/// The group that was given to whoever is in this one: groups that a baton has made in it, for itself or for an app, do
/// not count. Also tells whether it is such a group of an app.
pub(super) fn given(path: &str) -> (&str, bool) {
    let mut at = 0;
    for part in path.split('/') {
        let end = at + part.len();
        if part == OWN || is_of_an_app(part) {
            let before = path[..at].strip_suffix('/').unwrap_or_default();
            return (if before.is_empty() { "/" } else { before }, part != OWN);
        }
        at = end + 1;
    }
    (path, false)
}

/// The name of the group of a life.
pub(super) fn name(tag: u32, id: u32, incarnation: u64) -> String {
    format!("baton-{tag:08x}-{id}-{incarnation}")
}

/// Which home, slot and life a name of a group is of.
pub(super) fn parse(name: &str) -> Option<(u32, u32, u64)> {
    let mut parts = name.strip_prefix("baton-")?.split('-');
    let (tag, id, incarnation) = (parts.next()?, parts.next()?, parts.next()?);
    let tag = u32::from_str_radix(tag, 16).ok().filter(|_| tag.len() == 8)?;
    let known = (tag, id.parse().ok()?, incarnation.parse().ok()?);
    parts.next().is_none().then_some(known)
}

fn is_of_an_app(name: &str) -> bool {
    parse(name).is_some()
}

/// Tells the groups of one home from those of another in the same place.
pub(super) fn tag(home: &Path) -> u32 {
    // FNV-1a: short, and the same in every version.
    home.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// What is known of the group that we were given, or may have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whether we are root.
    pub(super) root: bool,
    /// Whether we may make groups and move processes in it.
    pub(super) writable: bool,
    /// Whether systemd has marked it as delegated.
    pub(super) marked: bool,
    /// Whether the group above it is another user's, or is not to be seen.
    pub(super) top: bool,
    /// Whether systemd manages this machine, so that every group is its own unless it gave it away.
    pub(super) systemd: bool,
}

impl Facts {
    /// Whether the group is ours. As root nearly everything can be written to, and a user's own service manager owns the
    /// groups of that user; so being able to is not enough where systemd is.
    pub(super) fn is_ours(self) -> bool {
        self.writable && (!self.systemd || self.marked || (!self.root && self.top))
    }
}

/// Whether `cgroup.events` tells that something lives in a group or below it.
pub(super) fn populated_in(text: &str) -> Option<bool> {
    value_in(text, "populated").map(|value| value != 0)
}

/// A number of a file with lines of a key and a number.
pub(super) fn value_in(text: &str, key: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_a_process_is_the_line_of_version_2() {
        let hybrid = "9:name=systemd:/x\n4:memory:/y\n0::/system.slice/baton-deploy.service\n";
        assert_eq!(path_in(hybrid), Some("/system.slice/baton-deploy.service"));
        assert_eq!(path_in("4:memory:/y\n"), None);
    }

    #[test]
    fn mounts_are_found_with_their_roots_and_odd_names() {
        let text = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
                    31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                    32 24 0:26 /docker/1 /odd\\040name\\134 rw - cgroup2 none rw\n";
        let mount = |root: &str, point: &str| Mount { root: root.into(), point: point.into() };
        let mounts = mounts_in(text);
        assert_eq!(mounts, [mount("/", "/sys/fs/cgroup"), mount("/docker/1", "/odd name\\")]);
        assert_eq!(folder("/a/b", &mounts), Some("/sys/fs/cgroup/a/b".into()));
        assert_eq!(folder("/docker/1/x", &mounts[1..]), Some("/odd name\\/x".into()));
        assert_eq!(folder("/", &mounts).unwrap().as_os_str(), "/sys/fs/cgroup");
        assert_eq!(folder("/docker/2", &mounts[1..]), None, "not shown");
        assert_eq!(folder("/../outside", &mounts), None, "outside of our namespace");
        assert_eq!(folder("/", &[]), None);
    }

    #[test]
    fn groups_that_baton_made_are_no_place_that_it_was_given() {
        assert_eq!(given("/system.slice/baton-deploy.service"), ("/system.slice/baton-deploy.service", false));
        assert_eq!(given("/system.slice/b.service/baton-own"), ("/system.slice/b.service", false));
        assert_eq!(given("/b.service/baton-0123abcd-4-17/own/sub"), ("/b.service", true));
        assert_eq!(given("/baton-own"), ("/", false));
        assert_eq!(given("/openrc/baton"), ("/openrc/baton", false));
        assert_eq!(given("/"), ("/", false));
    }

    #[test]
    fn names_tell_home_slot_and_life() {
        let tag = tag(Path::new("/home/deploy/.baton"));
        assert_ne!(tag, super::tag(Path::new("/home/deploy/.pm2")));
        assert_eq!(parse(&name(tag, 3, 12)), Some((tag, 3, 12)));
        for other in
            ["baton-own", "baton-deploy.service", "baton-123-4-5", "baton-0123abcd-4", "baton-0123abcd-4-5-6", "x"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_can_be_written_to_is_ours_only_if_nobody_else_manages_it() {
        let plain = Facts { root: true, writable: true, marked: false, top: false, systemd: false };
        assert!(plain.is_ours(), "root, and no systemd");
        assert!(!Facts { writable: false, ..plain }.is_ours());
        let session = Facts { systemd: true, ..plain };
        assert!(!session.is_ours(), "a session of root under systemd");
        assert!(Facts { marked: true, ..session }.is_ours(), "a service with Delegate=yes");
        let user = Facts { root: false, systemd: true, ..plain };
        assert!(!user.is_ours(), "a scope of the user's own systemd");
        assert!(Facts { top: true, ..user }.is_ours(), "a service with User= that an older systemd gave to the user");
        assert!(!Facts { top: true, marked: true, writable: false, ..user }.is_ours());
    }

    #[test]
    fn the_files_of_a_group_are_read() {
        assert_eq!(populated_in("populated 1\nfrozen 0\n"), Some(true));
        assert_eq!(populated_in("populated 0\nfrozen 0\n"), Some(false));
        assert_eq!(populated_in(""), None);
        let events = "low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 1\n";
        assert_eq!((value_in(events, "oom"), value_in(events, "oom_kill")), (Some(2), Some(1)));
        assert_eq!(value_in(events, "oo"), None);
    }
}
