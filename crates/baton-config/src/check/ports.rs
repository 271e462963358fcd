//! The ports of an app: which they are, whether they are free, and who has them.

use baton_core::spec::AppSpec;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

/// The TCP ports that an app is going to listen on, as far as its definition tells: `port`, the variable PORT, `listen`.
pub(super) fn of(app: &AppSpec) -> BTreeSet<u16> {
    let variable = app.env.get("PORT").and_then(|text| text.parse().ok());
    let field = app.port.and_then(|port| u16::try_from(port).ok());
    let sockets = app.listen.iter().map(|socket| socket.at.as_str()).filter(|at| !at.starts_with('/'));
    let sockets = sockets.filter_map(|at| at.rsplit(':').next()?.parse().ok());
    variable.into_iter().chain(field).chain(sockets).filter(|port| *port != 0).collect()
}

/// Why a port cannot be listened on; reads after "port N".
pub(super) fn trouble(port: u16) -> Option<String> {
    let four = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    let wrong = match four {
        Err(wrong) => wrong,
        // Without IPv6 there is nothing more to know.
        Ok(listener) => {
            drop(listener);
            TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
                .err()
                .filter(|wrong| wrong.kind() == ErrorKind::AddrInUse)?
        }
    };
    Some(match wrong.kind() {
        ErrorKind::AddrInUse => match holder(port) {
            Some((pid, name)) => format!("is in use by {name} (pid {pid})"),
            None => "is in use".into(),
        },
        ErrorKind::PermissionDenied => "needs more rights than this user has".into(),
        _ => format!("cannot be used: {wrong}"),
    })
}

/// The process that listens on a port, where it can be seen.
pub fn holder(port: u16) -> Option<(u32, String)> {
    let inodes: BTreeSet<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(|line| listening(line, port)).collect::<Vec<_>>())
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let pids = std::fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().find_map(|pid: u32| {
        let held = |entry: std::fs::DirEntry| {
            std::fs::read_link(entry.path()).is_ok_and(|link| inodes.contains(&*link.to_string_lossy()))
        };
        let holds = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten().any(held);
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        holds.then(|| (pid, name.trim().to_owned()))
    })
}

/// The inode of a line of `/proc/net/tcp` whose socket listens on the port.
fn listening(line: &str, port: u16) -> Option<String> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?.rsplit(':').next()?;
    let is_listening = fields.nth(1)? == "0A";
    (is_listening && u16::from_str_radix(local, 16) == Ok(port)).then(|| fields.nth(5).map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::Listen;

    #[test]
    fn ports_are_found_in_every_notation() {
        let mut app = AppSpec { port: Some(1), ..AppSpec::default() };
        app.env.insert("PORT".into(), "2".into());
        let listen = |at: &str| Listen { name: "web".into(), at: at.into(), reuseport: false };
        app.listen = ["127.0.0.1:3", "[::1]:4", "/run/a.sock:5", "localhost:0"].map(listen).into();
        assert_eq!(of(&app).into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
        app.env.insert("PORT".into(), "no number".into());
        assert!(!of(&app).contains(&2));
    }

    #[test]
    fn a_taken_port_names_who_has_it() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let taken = TcpListener::bind(address).expect("a port");
            let port = taken.local_addr().expect("an address").port();
            let text = trouble(port).expect("taken");
            assert!(
                text.starts_with("is in use by ") && text.ends_with(&format!("(pid {})", std::process::id())),
                "{text}"
            );
        }
    }
}
