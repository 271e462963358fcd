//! Telling the init system of a service: systemd's notification socket.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    sendmsg_addr, socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};
use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// The variable that names the socket.
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// How long is waited until the init system has read what it was sent.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Sends assignments such as `READY=1`, one a line, to a notification socket (a path, or `@` and an abstract name), and
/// waits up to five seconds until they have been read: who is about to end would else no longer be known to belong to the service.
///
/// # Errors
/// When the socket can't be reached.
pub fn notify(socket: &OsStr, text: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        path => SocketAddrUnix::new(path)?,
    };
    let to = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    send(to.as_fd(), &address, text, &[])?;
    // The other side closes its copy when it comes to this message, and with that everything before it has been read.
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    send(to.as_fd(), &address, "BARRIER=1", &[writer.as_fd()])?;
    drop(writer);
    let mut fds = [PollFd::new(&reader, PollFlags::empty())];
    // It has been told; one that does not answer this in time may not know of it.
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&PATIENCE)))?;
    Ok(())
}

/// The variable that has the number of the descriptor by which an app says that it is ready.
pub const READY_FD: &str = "READY_FD";

/// Says by the descriptor of this number, which the process was given for it, that it is ready. To be called once.
///
/// # Errors
/// When it is none that can be written to.
pub fn say_ready(number: &str) -> io::Result<()> {
    let number = number.parse::<i32>().ok().filter(|number| *number > 2).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: the descriptor was made for this alone by whoever started the process, and nothing else in it knows of it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::write(&descriptor, b"\n")?;
    Ok(())
}

fn send(to: BorrowedFd<'_>, address: &SocketAddrUnix, text: &str, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    sendmsg_addr(to, address, &[IoSlice::new(text.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn it_waits_until_what_was_told_has_been_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 64];
            let read = socket.recv(&mut buffer).unwrap();
            let first = String::from_utf8(buffer[..read].to_vec()).unwrap();
            // Received without room for a descriptor, it is closed at once.
            let read = socket.recv(&mut buffer).unwrap();
            (first, String::from_utf8(buffer[..read].to_vec()).unwrap())
        });
        notify(path.as_os_str(), "READY=1\nMAINPID=7").unwrap();
        assert_eq!(reader.join().unwrap(), ("READY=1\nMAINPID=7".into(), "BARRIER=1".into()));
        std::fs::remove_file(&path).unwrap();
        assert!(notify(path.as_os_str(), "READY=1").is_err());
    }
}
