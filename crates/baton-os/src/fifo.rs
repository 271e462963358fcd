//! The FIFOs that apps write their output to, and read their input from.
//!
//! An app opens its end for reading and writing, so it is its own reader: the death of whoever reads on our side
//! neither ends it (SIGPIPE) nor drops what is in the pipe. In the same way it is its own writer of its input, which
//! so never ends, and for which nobody else has to hold anything.

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, chmodat, chownat, fstat, mkfifoat, open, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::pipe::fcntl_setpipe_size;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// How much an app's input holds (bytes): a page, and what one write puts there whole.
const INPUT: usize = 4096;

/// Makes a FIFO that only its owner (uid, gid; us when `None`) may open. One that lies there from an earlier life is
/// replaced: its bytes and whoever holds it have nothing to do with the new one.
pub fn make(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    match mkfifoat(CWD, path, mode) {
        Err(Errno::EXIST) => {
            unlinkat(CWD, path, AtFlags::empty())?;
            mkfifoat(CWD, path, mode)?;
        }
        other => other?,
    }
    // The umask may have taken bits. To look costs less than to set them once more.
    if statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?.st_mode & 0o7777 != mode.as_raw_mode() {
        chmodat(CWD, path, mode, AtFlags::empty())?;
    }
    if let Some((uid, gid)) = owner {
        chownat(CWD, path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// Our end: non-blocking, so it opens without a writer and reads only what is there. Fails when the path is no FIFO.
pub fn open_reader(path: &Path) -> io::Result<OwnedFd> {
    open_fifo(path, OFlags::RDONLY | OFlags::NONBLOCK)
}

/// The app's end: for reading and writing, blocking. Fails when the path is no FIFO.
pub fn open_app_end(path: &Path) -> io::Result<OwnedFd> {
    open_fifo(path, OFlags::RDWR)
}

/// The app's end of its input. A page has room for what people type, and what pipes take of a user's share stays for the
/// output.
pub fn open_input(path: &Path) -> io::Result<OwnedFd> {
    let input = open_app_end(path)?;
    // A larger one does as well.
    let _ = fcntl_setpipe_size(&input, INPUT);
    Ok(input)
}

/// Our end of an app's input: non-blocking. Fails (ENXIO) when nobody has it open, and when the path is no FIFO.
pub fn open_writer(path: &Path) -> io::Result<OwnedFd> {
    open_fifo(path, OFlags::WRONLY | OFlags::NONBLOCK)
}

fn open_fifo(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let fd = open(path, flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NOFOLLOW, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::Fifo {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not a FIFO", path.display())));
    }
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{read, write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn bytes_outlive_the_reader_while_the_app_holds_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.out");
        make(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let first_reader = open_reader(&path).unwrap();
        let app = open_app_end(&path).unwrap();
        drop(first_reader);
        write(&app, b"last words").unwrap();
        let second_reader = open_reader(&path).unwrap();
        drop(app);
        let mut buffer = [0; 32];
        let count = read(&second_reader, &mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"last words");
        assert_eq!(read(&second_reader, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn an_input_waits_for_its_reader_and_never_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.in");
        make(&path, None).unwrap();
        assert_eq!(open_writer(&path).unwrap_err().raw_os_error(), Some(Errno::NXIO.raw_os_error()));
        let app = open_input(&path).unwrap();
        let writer = open_writer(&path).unwrap();
        assert_eq!(write(&writer, b"one").unwrap(), 3);
        drop(writer);
        let writer = open_writer(&path).unwrap();
        assert_eq!(write(&writer, b"two").unwrap(), 3);
        drop(writer);
        let mut buffer = [0; 32];
        let count = read(&app, &mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"onetwo");
        rustix::io::ioctl_fionbio(&app, true).unwrap();
        assert_eq!(read(&app, &mut buffer).unwrap_err(), Errno::AGAIN, "no end of file");
    }

    #[test]
    fn a_stale_fifo_is_replaced_and_a_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1.out");
        make(&path, None).unwrap();
        let stale = open_app_end(&path).unwrap();
        write(&stale, b"stale").unwrap();
        make(&path, None).unwrap();
        let _app = open_app_end(&path).unwrap();
        let reader = open_reader(&path).unwrap();
        assert_eq!(read(&reader, &mut [0; 8]).unwrap_err(), Errno::AGAIN);
        let file = directory.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(open_reader(&file).is_err());
    }
}
