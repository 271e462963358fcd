//! Sockets that a cluster's workers ask for, opened as Node's own primary would.

use baton_node::cluster::{AddressType, Bound, Query};
use baton_os::sockets::{path_of, remove_stale};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, getsockname, listen, socket_with,
    sockopt,
};
use std::fs::Permissions;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// libuv's flag for IPv6 alone.
const V6_ONLY: u32 = 1;
/// libuv's flag for datagram sockets that share an address.
const REUSE_ADDRESS: u32 = 4;

/// How a socket is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Others will be bound to the same port.
    pub(super) reuseport: bool,
    /// Whether it takes connections at once.
    pub(super) listen: bool,
}

/// Opens a socket. It never blocks: workers would not expect it to.
///
/// # Errors
/// The system's error, as a number of libuv.
pub(super) fn open(query: &Query, how: How) -> Result<(OwnedFd, Bound), i32> {
    let opened = match (query.kind, &query.address) {
        (AddressType::Unix, path) => unix(query, path.as_deref().unwrap_or_default(), how),
        // Without an address a server is there for both families where that can be.
        (AddressType::Tcp4 | AddressType::Tcp6, None) => internet(query, Ipv6Addr::UNSPECIFIED.into(), how)
            .or_else(|_| internet(query, Ipv4Addr::UNSPECIFIED.into(), how)),
        (AddressType::Udp4, None) => internet(query, Ipv4Addr::UNSPECIFIED.into(), how),
        (AddressType::Udp6, None) => internet(query, Ipv6Addr::UNSPECIFIED.into(), how),
        (_, Some(address)) => match address.parse() {
            Ok(address) => internet(query, address, how),
            Err(_) => Err(Errno::INVAL),
        },
    };
    opened.map_err(|error| -error.raw_os_error())
}

fn internet(query: &Query, address: IpAddr, how: How) -> Result<(OwnedFd, Bound), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let datagram = query.kind.is_datagram();
    let kind = if datagram { SocketType::DGRAM } else { SocketType::STREAM };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if !datagram || query.flags & REUSE_ADDRESS != 0 {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if how.reuseport {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, query.flags & V6_ONLY != 0)?;
    }
    bind(&socket, &SocketAddr::new(address, query.port))?;
    if how.listen && !datagram {
        listen(&socket, backlog(query))?;
    }
    let local = SocketAddr::try_from(getsockname(&socket)?)?;
    let family = if local.is_ipv4() { "IPv4" } else { "IPv6" };
    Ok((socket, Bound { address: Some(local.ip().to_string()), family: family.into(), port: local.port() }))
}

fn unix(query: &Query, path: &str, how: How) -> Result<(OwnedFd, Bound), Errno> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match bind(&socket, &address) {
        // Left by somebody who is no more.
        Err(Errno::ADDRINUSE) if remove_stale(Path::new(path)) => bind(&socket, &address)?,
        bound => bound?,
    }
    let more = if query.readable_all { 0o444 } else { 0 } | if query.writable_all { 0o222 } else { 0 };
    if more != 0 {
        let mode = std::fs::metadata(path).map_or(0o700, |of| of.permissions().mode() & 0o777);
        std::fs::set_permissions(path, Permissions::from_mode(mode | more)).map_err(|_| Errno::PERM)?;
    }
    if how.listen {
        listen(&socket, backlog(query))?;
    }
    Ok((socket, Bound { address: None, family: String::new(), port: 0 }))
}

fn backlog(query: &Query) -> i32 {
    i32::try_from(query.backlog).unwrap_or(i32::MAX)
}

/// Removes the path of a socket, if it has one.
pub(super) fn remove_path(socket: &OwnedFd) {
    if let Some(path) = path_of(socket) {
        // It may have been removed, and nobody relies on its absence.
        let _ = std::fs::remove_file(path);
    }
}

/// What accepting gave.
pub(super) enum Accepted {
    /// A connection.
    One(OwnedFd),
    /// There is none now.
    None,
    /// There is one, and nothing to hold it by: to be tried again after a pause.
    Later,
}

/// Takes one connection.
pub(super) fn accept(socket: &OwnedFd) -> Accepted {
    loop {
        return match accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(connection) => Accepted::One(connection),
            // It has gone while it waited.
            Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => continue,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Accepted::Later,
            Err(_) => Accepted::None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::net::UnixStream;

    fn query(value: serde_json::Value) -> Query {
        Query::read(value.as_object().expect("a map")).expect("a query")
    }

    fn tcp(port: u16, address: Option<&str>) -> Query {
        query(json!({ "address": address, "port": port, "addressType": 4 }))
    }

    const LISTENS: How = How { reuseport: false, listen: true };

    #[test]
    fn an_address_that_is_taken_or_is_not_here_is_the_systems_error() {
        let (first, bound) = open(&tcp(0, Some("127.0.0.1")), LISTENS).unwrap();
        assert_eq!((bound.address.as_deref(), bound.family.as_str()), (Some("127.0.0.1"), "IPv4"));
        assert_eq!(open(&tcp(bound.port, Some("127.0.0.1")), LISTENS).unwrap_err(), -98);
        assert_eq!(open(&tcp(0, Some("192.0.2.1")), LISTENS).unwrap_err(), -99);
        assert_eq!(open(&tcp(0, Some("nowhere")), LISTENS).unwrap_err(), -22);
        drop(first);
        open(&tcp(bound.port, Some("127.0.0.1")), LISTENS).unwrap();
    }

    #[test]
    fn sockets_of_their_own_share_a_port() {
        let how = How { reuseport: true, listen: true };
        let (first, bound) = open(&tcp(0, None), how).unwrap();
        let (second, _) = open(&tcp(bound.port, None), how).unwrap();
        drop((first, second));
    }

    #[test]
    fn a_stale_path_is_taken_over_and_one_in_use_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let wanted = query(json!({ "address": path, "port": -1, "addressType": -1, "writableAll": true }));
        let (socket, _) = open(&wanted, LISTENS).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o222, 0o222);
        assert_eq!(open(&wanted, LISTENS).unwrap_err(), -98);
        drop(socket);
        let (socket, _) = open(&wanted, LISTENS).unwrap();
        UnixStream::connect(&path).unwrap();
        assert!(matches!(accept(&socket), Accepted::One(_)));
        assert!(matches!(accept(&socket), Accepted::None));
        remove_path(&socket);
        assert!(!path.exists());
    }

    #[test]
    fn datagram_sockets_are_bound() {
        let (_socket, bound) =
            open(&query(json!({ "address": null, "port": 0, "addressType": "udp4" })), LISTENS).unwrap();
        assert_eq!(bound.address.as_deref(), Some("0.0.0.0"));
    }
}
