//! Users and groups, from `/etc/passwd` and `/etc/group`. A user that only a directory service knows is given by
//! number.

use baton_core::world::{SpawnError, SpawnStage};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name, or the number as text when no name is known.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory, `/` when no entry tells it.
    pub home: PathBuf,
}

/// As whom a program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// What the user was called, for messages.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
}

/// The user with this name or number. A number without an entry is its own group. `None`: no such name. Fails when
/// `/etc/passwd` exists and can't be read.
pub fn lookup_user(name_or_number: &str) -> io::Result<Option<User>> {
    Ok(find_user(&database("/etc/passwd")?, name_or_number))
}

/// The id of the group with this name or number. `None`: no such name. Fails when `/etc/group` exists and can't be
/// read.
pub fn lookup_group(name_or_number: &str) -> io::Result<Option<u32>> {
    Ok(find_group(&database("/etc/group")?, name_or_number))
}

/// The home directory of a user id, `None` when there is no entry. Fails as [`lookup_user`].
pub fn home_dir(uid: u32) -> io::Result<Option<PathBuf>> {
    Ok(users(&database("/etc/passwd")?).find(|user| user.uid == uid).map(|user| user.home))
}

/// As whom to run for the options `uid` and `gid` (names or numbers). `None`: as ourselves, when neither is given.
/// With a user alone, the groups are the user's; with a group alone, the user is ours. Fails with a message for
/// people when a name is unknown.
pub fn credentials(user: Option<&str>, group: Option<&str>) -> Result<Option<Credentials>, SpawnError> {
    let read = |path: &'static str| {
        database(path)
            .map_err(|error| refused(error.raw_os_error().unwrap_or(0), format!("cannot read {path}: {error}")))
    };
    if user.is_none() && group.is_none() {
        return Ok(None);
    }
    let (passwd, groups) = (read("/etc/passwd")?, read("/etc/group")?);
    let own = rustix::process::geteuid().as_raw().to_string();
    let chosen = choose(&passwd, &groups, user.unwrap_or(&own), group)?;
    if !rustix::process::geteuid().is_root() {
        if !is_ours(&chosen) {
            let text = "only root may run programs as another user or group: start the daemon as root, or leave out uid and gid";
            return Err(refused(rustix::io::Errno::PERM.raw_os_error(), text.into()));
        }
        // To set what is set already is not allowed either.
        return Ok(None);
    }
    Ok(Some(chosen))
}

/// Whether a process of ours runs so anyway.
fn is_ours(chosen: &Credentials) -> bool {
    chosen.uid == rustix::process::geteuid().as_raw() && chosen.gid == rustix::process::getegid().as_raw()
}

fn choose(passwd: &[u8], groups: &[u8], user: &str, group: Option<&str>) -> Result<Credentials, SpawnError> {
    let user = find_user(passwd, user).ok_or_else(|| refused(0, format!("there is no user {user}")))?;
    let gid = match group {
        Some(group) => find_group(groups, group).ok_or_else(|| refused(0, format!("there is no group {group}")))?,
        None => user.gid,
    };
    let mut all = vec![gid];
    all.extend(groups_with_member(groups, &user.name).filter(|other| *other != gid));
    Ok(Credentials { name: user.name, uid: user.uid, gid, groups: all })
}

fn refused(errno: i32, message: String) -> SpawnError {
    SpawnError { stage: SpawnStage::User, errno, message }
}

/// A missing file is an empty one: containers often have none, and numbers still work.
fn database(path: &str) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn find_user(passwd: &[u8], wanted: &str) -> Option<User> {
    if let Some(user) = users(passwd).find(|user| user.name == wanted) {
        return Some(user);
    }
    let uid = wanted.parse().ok()?;
    let unnamed = || User { name: wanted.into(), uid, gid: uid, home: "/".into() };
    Some(users(passwd).find(|user| user.uid == uid).unwrap_or_else(unnamed))
}

fn find_group(groups: &[u8], wanted: &str) -> Option<u32> {
    let named = records(groups).find(|fields| fields.first() == Some(&wanted.as_bytes()));
    named.and_then(|fields| number(fields.get(2)?)).or_else(|| wanted.parse().ok())
}

fn groups_with_member<'a>(groups: &'a [u8], name: &'a str) -> impl Iterator<Item = u32> + 'a {
    records(groups).filter_map(move |fields| {
        let mut members = fields.get(3)?.split(|&b| b == b',');
        members.any(|member| member == name.as_bytes()).then(|| number(fields.get(2)?)).flatten()
    })
}

fn users(passwd: &[u8]) -> impl Iterator<Item = User> {
    records(passwd).filter_map(|fields| {
        Some(User {
            name: std::str::from_utf8(fields.first()?).ok()?.into(),
            uid: number(fields.get(2)?)?,
            gid: number(fields.get(3)?)?,
            home: OsStr::from_bytes(fields.get(5)?).into(),
        })
    })
}

fn records(database: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    database.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(|line| line.split(|&b| b == b':').collect())
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\nann:x:1001:100::/home/ann:/bin/sh\nbroken\n7:x:77:7::/seven:\n";
    const GROUP: &[u8] = b"root:x:0:\nusers:x:100:\naudio:x:29:bob,ann\nann2:x:30:annabel\nusers2:x:100:ann\n";

    #[test]
    fn a_user_is_found_by_name_then_by_number() {
        assert_eq!(find_user(PASSWD, "ann").unwrap().uid, 1001);
        assert_eq!(find_user(PASSWD, "1001").unwrap().name, "ann");
        assert_eq!(find_user(PASSWD, "7").unwrap().uid, 77, "a name of digits is a name first");
        let unnamed = User { name: "4242".into(), uid: 4242, gid: 4242, home: "/".into() };
        assert_eq!(find_user(PASSWD, "4242"), Some(unnamed));
        assert_eq!(find_user(PASSWD, "nobody-here"), None);
    }

    #[test]
    fn credentials_carry_the_groups_of_the_user() {
        let ann = choose(PASSWD, GROUP, "ann", None).unwrap();
        assert_eq!(ann, Credentials { name: "ann".into(), uid: 1001, gid: 100, groups: vec![100, 29] });
        let other = choose(PASSWD, GROUP, "1001", Some("root")).unwrap();
        assert_eq!((other.gid, other.groups), (0, vec![0, 29, 100]));
    }

    #[test]
    fn unknown_names_are_named() {
        assert_eq!(choose(PASSWD, GROUP, "eve", None).unwrap_err().message, "there is no user eve");
        assert_eq!(choose(PASSWD, GROUP, "ann", Some("x")).unwrap_err().message, "there is no group x");
        assert_eq!(credentials(None, None), Ok(None));
    }
}
