//! What the kernel tells of watched folders and files.

use rustix::fs::inotify::{ReadFlags, Reader};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

/// One notification of `inotify`.
#[derive(Debug)]
pub(crate) struct Notification {
    /// The watch that it is of; -1 when notifications were lost.
    pub(crate) watch: i32,
    pub(crate) flags: ReadFlags,
    /// The name in the watched folder; none when it is of what is watched itself.
    pub(crate) name: Option<OsString>,
}

/// Gives each notification there is, without waiting for more. When `each` breaks, no more are asked of the kernel; those
/// that it has handed over already are given all the same.
///
/// # Errors
/// When the descriptor, which must not block, can't be read.
pub(crate) fn drain(inotify: impl AsFd, mut each: impl FnMut(Notification) -> ControlFlow<()>) -> io::Result<()> {
    let mut buffer = [const { MaybeUninit::uninit() }; 64 * 1024];
    let mut events = Reader::new(inotify, &mut buffer);
    let mut enough = false;
    while !(enough && events.is_buffer_empty()) {
        match events.next() {
            Ok(event) => {
                let name = event.file_name().map(|name| OsString::from_vec(name.to_bytes().to_vec()));
                enough |= each(Notification { watch: event.wd(), flags: event.events(), name }).is_break();
            }
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

    #[test]
    fn none_is_lost_when_enough_have_come() {
        let folder = tempfile::tempdir().expect("a folder");
        let inotify = inotify::init(CreateFlags::NONBLOCK).expect("a descriptor");
        inotify::add_watch(&inotify, folder.path(), WatchFlags::CREATE).expect("a watch");
        for number in 0..3000 {
            std::fs::write(folder.path().join(number.to_string()), "").expect("a file");
        }
        let mut names = std::collections::BTreeSet::new();
        let mut rounds = 0;
        while names.len() < 3000 {
            drain(&inotify, |notification| {
                names.extend(notification.name);
                if names.len() % 100 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .expect("notifications");
            rounds += 1;
            assert!(rounds <= 30, "{} of 3000", names.len());
        }
        assert!(rounds > 1, "nothing was left for later");
    }
}
