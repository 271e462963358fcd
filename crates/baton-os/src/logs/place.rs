//! Opening a log file without being led elsewhere.
//!
//! A daemon of root also writes the logs of apps that run as another user, often into folders of that user. A symbolic
//! link there could have root write to any file, or empty it. So when we are root, a link counts only if it is root's, or
//! if what it names belongs to the link's owner, who could write there anyway.

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, lstat, open as open_plainly, openat2};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

const ROOT: u32 = 0;
/// As many links as the kernel follows.
const LINKS_MAX: u32 = 40;

/// Opens the file at `path`, making it (0600) when the flags say so.
///
/// # Errors
/// What opening gives; for root also a link of another user on the way.
pub(super) fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    if rustix::process::geteuid().is_root() {
        return open_trusting(path, flags, ROOT);
    }
    Ok(open_plainly(path, flags, mode(flags))?)
}

/// Makes a folder and those above it, for their owner alone: logs hold secrets.
///
/// # Errors
/// As for [`open`].
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    if rustix::process::geteuid().is_root() {
        return builder.create(resolve(path, ROOT)?);
    }
    builder.create(path)
}

/// `path` without links: where the file really is, or would be. For root the links on the way are those that [`open`]
/// would follow.
///
/// # Errors
/// A link on the way leads nowhere, or may not be followed.
pub(super) fn real(path: &Path) -> io::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return resolve(path, ROOT);
    }
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    // Not there yet. Its folder may be.
    let whole = std::path::absolute(path)?;
    let folder = whole.parent().and_then(|folder| fs::canonicalize(folder).ok());
    Ok(folder.zip(whole.file_name()).map(|(folder, name)| folder.join(name)).unwrap_or(whole))
}

/// Only a new file has a mode; the newer call insists on that.
fn mode(flags: OFlags) -> Mode {
    if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() }
}

/// Opens `path`, following only links of `trusted` and those that stay with their owner.
fn open_trusting(path: &Path, flags: OFlags, trusted: u32) -> io::Result<OwnedFd> {
    let without_links = |path: &Path| openat2(CWD, path, flags, mode(flags), ResolveFlags::NO_SYMLINKS);
    match without_links(path) {
        Err(Errno::LOOP | Errno::NOSYS | Errno::PERM) => {}
        other => return Ok(other?),
    }
    let real = resolve(path, trusted)?;
    // The kernel's own links name no path: `/dev/stdout` leads to one.
    if real.starts_with("/proc") {
        return Ok(open_plainly(&real, flags, mode(flags))?);
    }
    match without_links(&real) {
        // Before Linux 5.6, or forbidden by a filter: a folder on the way may be replaced by a link meanwhile.
        Err(Errno::NOSYS | Errno::PERM) => Ok(open_plainly(&real, flags | OFlags::NOFOLLOW, mode(flags))?),
        other => Ok(other?),
    }
}

/// `path` with the links in it replaced by what they name. What does not exist is kept as it is.
fn resolve(path: &Path, trusted: u32) -> io::Result<PathBuf> {
    let mut real = PathBuf::new();
    let mut ahead: Vec<OsString> = Vec::new();
    let parts = |path: &Path| path.components().rev().map(|part| part.as_os_str().to_owned()).collect::<Vec<_>>();
    ahead.extend(parts(&std::path::absolute(path)?));
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        if part == *Component::ParentDir.as_os_str() {
            real.pop();
            continue;
        }
        let folder = real.clone();
        real.push(&part);
        if real.starts_with("/proc") {
            continue;
        }
        match lstat(&real) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Errno::LOOP.into());
                }
                let target = fs::read_link(&real)?;
                let owner = |path: &Path| rustix::fs::stat(path).map(|stat| stat.st_uid);
                if stat.st_uid != trusted && owner(&folder.join(&target)) != Ok(stat.st_uid) {
                    let text = format!("{} is another user's link to what is not theirs", real.display());
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
                }
                ahead.extend(parts(&target));
                // An absolute link begins with the root again, which replaces the rest.
                real = folder;
            }
            Ok(_) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A link of a user who is not the one that is trusted, to something of root's. Returns who is trusted.
    fn foreign_link(target: &Path, link: &Path) -> u32 {
        symlink(target, link).expect("a link");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(link, Some(65_534), None).expect("root may");
        }
        ROOT
    }

    #[test]
    fn a_link_to_what_is_not_its_owners_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        for (name, target, below) in
            [("out.log", "/etc/passwd", ""), ("logs", "/etc", "passwd"), ("new", "/etc/none", "")]
        {
            let trusted = foreign_link(target.as_ref(), &path(name));
            let error = open_trusting(&path(name).join(below), flags, trusted).expect_err("refused");
            assert!(error.to_string().ends_with("is another user's link to what is not theirs"), "{error}");
            assert!(resolve(&path(name).join("deep/er"), trusted).is_err(), "no folder is made there");
        }
    }

    #[test]
    fn folders_for_logs_belong_to_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        make_folder(&folder.path().join("a/b")).expect("made");
        make_folder(&folder.path().join("a/b")).expect("it is there");
        for name in ["a", "a/b"] {
            let mode = fs::metadata(folder.path().join(name)).expect("made").permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{name}");
        }
    }

    #[test]
    fn a_link_that_stays_with_its_owner_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let stranger = rustix::process::geteuid().as_raw() + 1;
        fs::create_dir_all(path("releases/5")).expect("a folder");
        symlink("releases/../releases/5", path("current")).expect("a link");
        symlink(path("current"), path("again")).expect("a link");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        assert!(open_trusting(&path("again/out.log"), flags, stranger).is_ok());
        assert!(path("releases/5/out.log").exists());
        symlink("round", path("round")).expect("a link");
        let me = rustix::process::geteuid().as_raw();
        assert_eq!(open_trusting(&path("round"), flags, me).expect_err("a ring").raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn the_kernels_own_links_lead_where_they_lead() {
        let root = lstat("/dev/fd").expect("a link").st_uid;
        let file = tempfile::tempfile().expect("a file");
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        assert!(open_trusting(Path::new(&path), OFlags::WRONLY, root).is_ok());
    }
}
