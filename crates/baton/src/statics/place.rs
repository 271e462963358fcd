//! The file that a path means: always one below the folder, whatever links say, and never one whose name begins with a
//! dot.

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The one name with a dot in front that is for others to see (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// What is at a place.
#[derive(Debug)]
pub(super) enum Found {
    /// A file, open, with its extension in lower case.
    File(File, Metadata, String),
    /// A folder, with the path that it really has.
    Folder(PathBuf),
    /// Nothing, or nothing that is shown.
    Nothing,
    /// Something that may not be read, or is outside.
    Forbidden,
    /// It could not be looked at.
    Trouble(io::Error),
}

/// Whether a name is shown.
pub(super) fn is_shown(name: &[u8]) -> bool {
    !name.starts_with(b".") || name == WELL_KNOWN
}

/// What these names below a folder mean.
pub(super) fn find<N: AsRef<[u8]>>(root: &Path, names: &[N]) -> Found {
    if !names.iter().all(|name| is_shown(name.as_ref())) {
        return Found::Nothing;
    }
    look(root, names).unwrap_or_else(|error| match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Found::Nothing,
        // The last two: a socket, and a device that is not there.
        Some(Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV) => Found::Forbidden,
        Some(_) | None => Found::Trouble(error),
    })
}

fn look<N: AsRef<[u8]>>(root: &Path, names: &[N]) -> io::Result<Found> {
    let root = root.canonicalize()?;
    let named: PathBuf = names.iter().map(|name| OsStr::from_bytes(name.as_ref())).collect();
    // Links may lead anywhere within the folder.
    let real = match root.join(&named).canonicalize() {
        // Nor is it told what there is outside.
        Err(_) if leads_out(&root, &named) => return Ok(Found::Forbidden),
        real => real?,
    };
    let Ok(below) = real.strip_prefix(&root) else { return Ok(Found::Forbidden) };
    let Some(file) = open_below(&root, below)? else { return Ok(Found::Forbidden) };
    let data = file.metadata()?;
    Ok(if data.is_dir() {
        Found::Folder(real)
    } else if data.is_file() {
        let extension = real.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        Found::File(file, data, extension)
    } else {
        Found::Forbidden
    })
}

/// Whether a folder on the way to a path that is not there is outside.
fn leads_out(root: &Path, named: &Path) -> bool {
    let there = named.ancestors().skip(1).find_map(|above| root.join(above).canonicalize().ok());
    there.is_some_and(|real| !real.starts_with(root))
}

/// Opens a path without links; `None` when somebody has put one there since it was looked at.
fn open_below(root: &Path, below: &Path) -> io::Result<Option<File>> {
    // A FIFO must not hold us up.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let folder = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let name = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let only_below = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(&folder, name, flags, Mode::empty(), only_below) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::LOOP | Errno::XDEV) => Ok(None),
        // Before Linux 5.6, or forbidden by a filter of system calls.
        Err(Errno::NOSYS | Errno::PERM) => {
            Ok(Some(open(root.join(below), flags | OFlags::NOFOLLOW, Mode::empty())?.into()))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    fn content(found: Found) -> String {
        let Found::File(mut file, ..) = found else { panic!("{found:?}") };
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn links_lead_anywhere_within_the_folder_and_nowhere_else() {
        let around = tempfile::tempdir().unwrap();
        let root = around.path().join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(around.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("a.TXT"), "a").unwrap();
        symlink(around.path().join("secret"), root.join("out")).unwrap();
        symlink("../../secret", root.join("sub/relative")).unwrap();
        symlink(around.path(), root.join("up")).unwrap();
        symlink(root.join("a.TXT"), root.join("sub/in")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(content(find(&root, &["a.TXT"])), "a");
        assert_eq!(content(find(&root, &["sub", "in"])), "a");
        for outside in [
            &["out"][..],
            &["sub", "relative"],
            &["up"],
            &["up", "secret"],
            &["up", "nothing"],
            &["up", "nothing", "deep"],
        ] {
            assert!(matches!(find(&root, outside), Found::Forbidden), "{outside:?}");
        }
        for nothing in [&["nothing"][..], &["loop"], &["a.TXT", "below"]] {
            assert!(matches!(find(&root, nothing), Found::Nothing), "{nothing:?}");
        }
        let long = "x".repeat(300);
        assert!(matches!(find(&root, &[long]), Found::Nothing));
        let Found::File(_, _, extension) = find(&root, &["a.TXT"]) else { panic!("a file") };
        assert_eq!(extension, "txt");
    }

    #[test]
    fn names_with_a_dot_in_front_are_not_there() {
        let root = tempfile::tempdir().unwrap();
        for name in [".env", ".git/config", ".well-known/acme", "x/.y"] {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let none: [&str; 0] = [];
        assert!(matches!(find(root.path(), &none), Found::Folder(_)));
        for hidden in [&[".env"][..], &[".git", "config"], &["x", ".y"]] {
            assert!(matches!(find(root.path(), hidden), Found::Nothing), "{hidden:?}");
        }
        assert_eq!(content(find(root.path(), &[".well-known", "acme"])), "x");
    }

    #[test]
    fn the_folder_may_be_a_link_that_is_turned() {
        let around = tempfile::tempdir().unwrap();
        for release in ["1", "2"] {
            std::fs::create_dir(around.path().join(release)).unwrap();
            std::fs::write(around.path().join(release).join("version"), release).unwrap();
        }
        let current = around.path().join("current");
        symlink("1", &current).unwrap();
        assert_eq!(content(find(&current, &["version"])), "1");
        std::fs::remove_file(&current).unwrap();
        symlink("2", &current).unwrap();
        assert_eq!(content(find(&current, &["version"])), "2");
    }

    #[test]
    fn what_is_no_file_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        baton_os::fifo::make(&root.path().join("fifo"), None).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        for other in ["fifo", "socket"] {
            assert!(matches!(find(root.path(), &[other]), Found::Forbidden), "{other}");
        }
    }
}
