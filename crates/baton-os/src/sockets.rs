//! Listening sockets that outlive the programs that accept connections on them, and who has accepted a connection.

use crate::procfs::{self, Table};
use baton_core::world::Identity;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_reuseaddr, set_socket_reuseport, set_tcp_nodelay, socket_peercred,
};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, connect, getsockname, listen, shutdown,
};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// How many connections may wait to be accepted; the kernel takes its own limit (`net.core.somaxconn`) when that is less.
const BACKLOG: i32 = 4096;

/// Opens a socket and listens: at `host:port`, `[host]:port` or the absolute path of a unix socket. `[::]` takes IPv4 too,
/// and is `0.0.0.0` on a machine without IPv6. Of the addresses of a name the first one counts that the machine has.
///
/// The file of a unix socket at which nobody listens any more is replaced.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when somebody has the address (see [`unix_holder`]), and what the system says.
pub fn open(at: &str, reuseport: bool) -> io::Result<OwnedFd> {
    if at.starts_with('/') {
        return open_unix(Path::new(at));
    }
    let mut result = Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no address of that name"));
    for address in at.to_socket_addrs()? {
        result = open_tcp(address, reuseport);
        let Err(error) = &result else { break };
        match Errno::from_io_error(error) {
            Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT) if address.ip() == Ipv6Addr::UNSPECIFIED => {
                result = open_tcp((Ipv4Addr::UNSPECIFIED, address.port()).into(), reuseport);
            }
            Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT) => {}
            _ => break,
        }
    }
    result
}

fn open_tcp(address: SocketAddr, reuseport: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_reuseaddr(&socket, true)?;
    if reuseport {
        set_socket_reuseport(&socket, true)?;
    }
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        set_ipv6_v6only(&socket, false)?;
    }
    // Accepted connections inherit it. Programs that take the socket for one of another kind would leave it out.
    set_tcp_nodelay(&socket, true)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn open_unix(path: &Path) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE) if remove_stale(path) => bind(&socket, &address)?,
        bound => bound?,
    }
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Removes the file of a unix socket at which nobody listens; false when it is anything else.
pub fn remove_stale(path: &Path) -> bool {
    let is_socket = path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket());
    is_socket && visit(path).err() == Some(Errno::CONNREFUSED) && std::fs::remove_file(path).is_ok()
}

/// Connects to a unix socket without waiting: a program that accepts nothing any more would hold us up for ever. With no
/// room for one more that waits the error is [`Errno::AGAIN`].
fn visit(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// The path at which a unix socket is bound.
pub fn path_of(socket: &OwnedFd) -> Option<PathBuf> {
    let address = SocketAddrUnix::try_from(getsockname(socket).ok()?).ok()?;
    Some(OsStr::from_bytes(address.path()?.to_bytes()).into())
}

/// The process that listens at the path of a unix socket.
pub fn unix_holder(path: &str) -> Option<u32> {
    let holder = socket_peercred(visit(Path::new(path)).ok()?).ok()?;
    Some(holder.pid.as_raw_nonzero().get().cast_unsigned())
}

/// Ends a socket for all who have it, so that its address is free; the file of a unix socket goes unless it is another's.
pub fn close(socket: &OwnedFd, at: &str) {
    // It was shut down already, perhaps by who held it beside us.
    let _ = shutdown(socket, Shutdown::Both);
    if at.starts_with('/') {
        remove_stale(Path::new(at));
    }
}

/// Makes a socket one that its user waits at. The flag is shared by all who have the socket: a program that does not wait
/// has set it for those who come after it.
///
/// # Errors
/// What the system says.
pub fn set_blocking(socket: &OwnedFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(socket)?;
    Ok(rustix::fs::fcntl_setfl(socket, flags - OFlags::NONBLOCK)?)
}

/// Who has taken a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taker {
    /// Nobody yet: it waits in the queue of the socket.
    Nobody,
    /// A process of the tree that was asked about.
    Tree,
    /// Somebody else, as far as we may see.
    Other,
}

/// Who has taken the other end of this connection, which must be on this machine: the tree of `leader` (its session,
/// group and descendants) or another process. A program that was given its socket by us shares it with others, so
/// that an answer alone does not tell whose it is.
///
/// # Errors
/// When `/proc` can't be read.
pub fn taker(connection: &TcpStream, leader: &Identity) -> io::Result<Taker> {
    let (ours, theirs) = (connection.local_addr()?, connection.peer_addr()?);
    let mut inode = None;
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let Ok(text) = std::fs::read_to_string(table) else { continue };
        inode = inode.or_else(|| text.lines().find_map(|line| inode_of(line, theirs.port(), ours.port())));
    }
    let Some(inode) = inode.filter(|inode| *inode != "0") else { return Ok(Taker::Nobody) };
    let link = format!("socket:[{inode}]");
    let (table, _) = procfs::table_after(&Table::new(), |_| false)?;
    let is_theirs = members(&table, leader).into_iter().any(|pid| has_open(pid, &link));
    Ok(if is_theirs { Taker::Tree } else { Taker::Other })
}

/// The inode in a line of the kernel's table, when it is of the connection between these ports.
fn inode_of(line: &str, local: u16, remote: u16) -> Option<String> {
    let mut fields = line.split_whitespace().skip(1);
    let port = |field: &str| u16::from_str_radix(field.rsplit(':').next()?, 16).ok();
    let ends = (port(fields.next()?)?, port(fields.next()?)?);
    (ends == (local, remote)).then(|| fields.nth(6).map(str::to_owned))?
}

/// The living processes of a tree.
fn members(table: &Table, leader: &Identity) -> HashSet<u32> {
    let mut members = HashSet::new();
    loop {
        let before = members.len();
        for stat in table.values().filter(|stat| stat.start_time >= leader.start_time) {
            let is_leader = stat.pid == leader.pid && stat.start_time == leader.start_time;
            let is_near = stat.session == leader.pid || stat.pgrp == leader.pid || members.contains(&stat.ppid);
            if is_leader || is_near {
                members.insert(stat.pid);
            }
        }
        if members.len() == before {
            return members;
        }
    }
}

fn has_open(pid: u32, link: &str) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    open.flatten().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == link))
}

/// Whether a socket still listens: a duplicate may have been shut down by another who has it.
pub fn is_listening(socket: impl AsFd) -> bool {
    rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;
    use std::net::TcpListener;

    fn port(socket: &OwnedFd) -> u16 {
        TcpListener::from(socket.try_clone().unwrap()).local_addr().unwrap().port()
    }

    fn me() -> Identity {
        Process::identify(std::process::id()).unwrap().unwrap().identity().clone()
    }

    #[test]
    fn a_socket_takes_connections_of_both_families_and_its_address_is_free_after_it() {
        let socket = open("[::]:0", false).unwrap();
        let at = format!("[::]:{}", port(&socket));
        for host in ["127.0.0.1", "::1"] {
            TcpStream::connect((host, port(&socket))).unwrap();
        }
        assert_eq!(open(&at, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let copy = socket.try_clone().unwrap();
        close(&socket, &at);
        drop(socket);
        assert!(!is_listening(&copy));
        assert!(is_listening(open(&at, false).unwrap()), "a copy elsewhere keeps nobody from the address");
    }

    #[test]
    fn several_sockets_share_an_address_where_all_ask_for_it() {
        let first = open("127.0.0.1:0", true).unwrap();
        let at = format!("127.0.0.1:{}", port(&first));
        open(&at, true).unwrap();
        assert_eq!(open(&at, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn the_file_of_a_dead_socket_is_replaced_and_that_of_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let at = path.to_str().unwrap();
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = open(at, false).unwrap();
        assert_eq!(open(at, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(unix_holder(at), Some(std::process::id()));
        close(&socket, at);
        assert!(!path.exists());
        std::fs::write(&path, "a file of someone").unwrap();
        assert_eq!(open(at, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        close(&socket, at);
        assert!(path.exists());
        let long = format!("/{}", "x".repeat(200));
        assert!(open(&long, false).is_err());
    }

    #[test]
    fn a_socket_whose_queue_is_full_is_alive_and_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&socket, 0).unwrap();
        let waiting: Vec<OwnedFd> = std::iter::from_fn(|| visit(&path).ok()).collect();
        assert_eq!(visit(&path).unwrap_err(), Errno::AGAIN);
        assert!(!remove_stale(&path) && path.exists());
        assert_eq!(unix_holder(path.to_str().unwrap()), None);
        drop((waiting, socket));
        assert!(remove_stale(&path));
    }

    #[test]
    fn a_connection_tells_who_has_taken_it() {
        let socket = open("[::]:0", false).unwrap();
        let connection = TcpStream::connect(("127.0.0.1", port(&socket))).unwrap();
        assert_eq!(taker(&connection, &me()).unwrap(), Taker::Nobody);
        let accepted = TcpListener::from(socket).accept().unwrap();
        assert_eq!(taker(&connection, &me()).unwrap(), Taker::Tree);
        let nobody = Identity { pid: u32::MAX, ..me() };
        assert_eq!(taker(&connection, &nobody).unwrap(), Taker::Other);
        drop(accepted);
    }

    #[test]
    fn a_socket_waits_again_for_who_comes_next() {
        let socket = open("127.0.0.1:0", false).unwrap();
        rustix::io::ioctl_fionbio(&socket, true).unwrap();
        set_blocking(&socket).unwrap();
        assert!(!rustix::fs::fcntl_getfl(&socket).unwrap().contains(OFlags::NONBLOCK));
    }
}
