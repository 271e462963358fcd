//! The sockets that apps are given (`listen`): opened for the first life that needs them, given to every later one, and
//! closed when nobody in the list needs them any more.
//!
//! The guard holds each too, so that no connection is refused while a daemon is replaced. Its name for a socket follows
//! from the definition: a successor finds them again without a table.

use super::driver::Driver;
use super::life::{Key, Lives};
use baton_core::spec::AppSpec;
use baton_core::units::InstanceId;
use baton_core::world::{Instance, SpawnError, SpawnStage, Wanted, World};
use baton_os::guard::link::GuardLink;
use baton_os::sockets;
use baton_os::spawn::Credentials;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the guard's names of sockets begin with.
const PREFIX: &str = "listen:";

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SocketKey {
    /// Name of the app: its instances share the socket.
    app: String,
    /// Where it listens.
    at: String,
    /// The instance, where each has one of its own.
    number: Option<u32>,
}

impl SocketKey {
    /// The guard's name for it: names and paths may be longer than that may be.
    fn guard_name(&self) -> String {
        let number = self.number.map_or_else(String::new, |number| number.to_string());
        let mut hasher = Sha256::new();
        for part in [&self.app, &self.at, &number] {
            hasher.update(part);
            hasher.update([0]);
        }
        let digest = hasher.finalize();
        digest.iter().take(20).fold(PREFIX.to_owned(), |name, byte| format!("{name}{byte:02x}"))
    }
}

/// The sockets of an instance, in the order in which it is given them.
pub(super) fn keys(spec: &AppSpec, number: u32) -> Vec<SocketKey> {
    let key = |at: &str, own: bool| SocketKey { app: spec.name.clone(), at: at.into(), number: own.then_some(number) };
    spec.listen.iter().map(|socket| key(&socket.at, socket.reuseport)).collect()
}

/// Our copies. The thread that makes processes opens and closes; the loop reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeper(Arc<Mutex<BTreeMap<SocketKey, Arc<OwnedFd>>>>);

impl Keeper {
    /// Takes up those that the guard holds for a definition of the list, out of all that it holds; closes the others.
    pub(super) fn adopt(world: &World, held: &mut BTreeMap<String, OwnedFd>, guard: Option<&GuardLink>) -> Keeper {
        let keeper = Keeper::default();
        for key in world.instances.values().flat_map(every_key) {
            if let Some(socket) = held.remove(&key.guard_name()) {
                keeper.lock().insert(key, Arc::new(socket));
            }
        }
        let strangers: Vec<String> = held.keys().filter(|name| name.starts_with(PREFIX)).cloned().collect();
        for name in &strangers {
            if let Some(socket) = held.remove(name) {
                let at = sockets::path_of(&socket).unwrap_or_default();
                sockets::close(&socket, &at.to_string_lossy());
            }
        }
        if let Some(guard) = guard {
            guard.release(strangers, Box::new(|| ()));
        }
        keeper
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketKey, Arc<OwnedFd>>> {
        // No code panics while it holds the lock; if one did, the map is still the best there is.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies of all, for the guard that this process is to become.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(super) fn descriptors(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let open = self.lock();
        open.iter().map(|(key, socket)| Ok((key.guard_name(), socket.as_fd().try_clone_to_owned()?))).collect()
    }

    /// The socket, and whether it was opened for this and must be given to the guard. The file of a unix socket gets the
    /// owner of the app. `alone`: no other life has it.
    ///
    /// # Errors
    /// When it can't be opened: who has the address, or what the system says.
    pub(super) fn give(
        &self,
        key: &SocketKey,
        who: Option<&Credentials>,
        alone: bool,
    ) -> Result<(Arc<OwnedFd>, bool), SpawnError> {
        // One that a program has shut down takes no connections any more, whoever has it.
        let open = self.lock().get(key).filter(|socket| sockets::is_listening(socket)).cloned();
        if let Some(socket) = open {
            if alone {
                // The life before may have been of a program that never waits at its socket; this one may.
                sockets::set_blocking(&socket).map_err(|error| self.failure(key, &error))?;
            }
            return Ok((socket, false));
        }
        let opened = sockets::open(&key.at, key.number.is_some()).and_then(|socket| {
            match who.filter(|_| key.at.starts_with('/')) {
                Some(who) => {
                    let owned = std::os::unix::fs::chown(&key.at, Some(who.uid), Some(who.gid));
                    owned.inspect_err(|_| sockets::close(&socket, &key.at)).map(|()| socket)
                }
                None => Ok(socket),
            }
        });
        let socket = Arc::new(opened.map_err(|error| self.failure(key, &error))?);
        self.lock().insert(key.clone(), Arc::clone(&socket));
        Ok((socket, true))
    }

    /// Copies of sockets for the guard.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(super) fn copies(&self, keys: &[SocketKey]) -> io::Result<Vec<(String, OwnedFd)>> {
        let open = self.lock();
        let there = keys.iter().filter_map(|key| Some((key, open.get(key)?)));
        there.map(|(key, socket)| Ok((key.guard_name(), socket.as_fd().try_clone_to_owned()?))).collect()
    }

    /// Closes sockets for everybody, and waits until the guard has, too: their addresses are free then.
    pub(super) fn close(&self, keys: &[SocketKey], guard: Option<&GuardLink>) {
        let open: Vec<(&SocketKey, Arc<OwnedFd>)> = {
            let mut map = self.lock();
            keys.iter().filter_map(|key| Some((key, map.remove(key)?))).collect()
        };
        for (key, socket) in &open {
            sockets::close(socket, &key.at);
        }
        if let Some(guard) = guard {
            let (done, is_done) = std::sync::mpsc::channel();
            let names = open.iter().map(|(key, _)| key.guard_name()).collect();
            guard.release(names, Box::new(move || drop(done)));
            // Nothing is sent: the other end goes when the guard has done it, or is gone itself.
            let _: Result<(), _> = is_done.recv();
        }
    }

    fn failure(&self, key: &SocketKey, error: &io::Error) -> SpawnError {
        let why = if error.kind() == io::ErrorKind::AddrInUse { self.who_has(key) } else { error.to_string() };
        let why = match error.kind() {
            io::ErrorKind::PermissionDenied => format!("{why}; ports below 1024 need root or CAP_NET_BIND_SERVICE"),
            _ => why,
        };
        SpawnError {
            stage: SpawnStage::Prepare,
            errno: error.raw_os_error().unwrap_or(0),
            message: format!("cannot listen on {}: {why}", key.at),
        }
    }

    fn who_has(&self, key: &SocketKey) -> String {
        let port = |at: &str| at.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        let is_there = |other: &&SocketKey| match key.at.starts_with('/') {
            true => other.at == key.at,
            false => !other.at.starts_with('/') && port(&other.at) == port(&key.at),
        };
        if let Some(other) = self.lock().keys().filter(|other| *other != key).find(is_there) {
            return match other.app == key.app {
                true => format!(
                    "the running version of {} has it as {}; stop it first",
                    key.app,
                    match other.number {
                        Some(_) => format!("{} with reuseport", other.at),
                        None => other.at.clone(),
                    }
                ),
                false => format!("it is that of app {}", other.app),
            };
        }
        let holder = match key.at.starts_with('/') {
            true => sockets::unix_holder(&key.at).map(|pid| (pid, name_of(pid))),
            false => port(&key.at).and_then(baton_config::check::port_holder),
        };
        match holder {
            Some((pid, name)) => format!("it is in use by {name} (pid {pid})"),
            None if key.at.starts_with('/') => "there is a file already, and nobody listens there".into(),
            None => "it is in use".into(),
        }
    }
}

fn name_of(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.is_empty() { "a process".into() } else { name.trim().to_owned() }
}

/// All sockets that a slot may have at this moment.
fn every_key(instance: &Instance) -> BTreeSet<SocketKey> {
    let beside = instance.beside.iter().flat_map(|beside| keys(&beside.spec, instance.number));
    keys(&instance.spec, instance.number).into_iter().chain(beside).collect()
}

/// Who needs which sockets.
#[derive(Debug, Default)]
pub(super) struct Users {
    of: BTreeMap<InstanceId, BTreeSet<SocketKey>>,
    /// Orders to close that are not carried out yet: no reply overtakes them.
    pub(super) closing: usize,
}

impl Users {
    /// As a predecessor may have left it.
    pub(super) fn begin(world: &World) -> Users {
        let of = world.instances.values().map(|slot| (slot.id, every_key(slot))).filter(|(_, keys)| !keys.is_empty());
        Users { of: of.collect(), closing: 0 }
    }

    /// A slot needs these from now on; those that nobody needs any more are returned.
    fn set(&mut self, id: InstanceId, now: BTreeSet<SocketKey>) -> Vec<SocketKey> {
        let before = self.of.remove(&id).unwrap_or_default();
        if !now.is_empty() {
            self.of.insert(id, now);
        }
        before.into_iter().filter(|key| !self.of.values().any(|keys| keys.contains(key))).collect()
    }
}

/// What a slot needs: a life its own sockets until it is over, and one that is to run those of its definition. So the
/// sockets of an app stay open while it starts again, and are closed when it is stopped.
fn needed(world: &World, lives: &Lives, id: InstanceId) -> BTreeSet<SocketKey> {
    let Some(slot) = world.instances.get(&id) else { return BTreeSet::new() };
    let wished = if slot.state.wanted() == Wanted::Up { keys(&slot.spec, slot.number) } else { Vec::new() };
    lives.of(id).flat_map(|(_, life)| life.sockets.clone()).chain(wished).collect()
}

impl Driver {
    /// Closes the sockets that these slots needed last and nobody needs now.
    pub(super) fn follow_sockets(&mut self, ids: impl IntoIterator<Item = InstanceId>) {
        for id in ids {
            let gone = self.sockets.set(id, needed(&self.world, &self.lives, id));
            if !gone.is_empty() {
                self.sockets.closing += 1;
                self.spawner.close(gone);
            }
        }
    }

    /// The sockets of an order are closed.
    pub(super) fn sockets_closed(&mut self) {
        self.sockets.closing -= 1;
        self.send_replies();
    }

    /// Whether no other life has a socket of this one.
    pub(super) fn is_alone(&self, key: Key) -> bool {
        let own = self.lives.get(key).map_or(&[][..], |life| &life.sockets);
        let others = self.lives.keys().filter(|other| *other != key).filter_map(|other| self.lives.get(other));
        own.is_empty() || !others.into_iter().any(|life| life.sockets.iter().any(|socket| own.contains(socket)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::Listen;

    fn spec(listen: &[(&str, bool)]) -> AppSpec {
        let socket =
            |(at, reuseport): &(&str, bool)| Listen { name: "s".into(), at: (*at).into(), reuseport: *reuseport };
        AppSpec { name: "web".into(), listen: listen.iter().map(socket).collect(), ..AppSpec::default() }
    }

    #[test]
    fn instances_share_a_socket_unless_each_has_its_own() {
        let spec = spec(&[("[::]:80", false), ("[::]:81", true)]);
        let (first, second) = (keys(&spec, 0), keys(&spec, 1));
        assert_eq!(first[0], second[0]);
        assert_ne!(first[1], second[1]);
        let names: BTreeSet<String> = first.iter().chain(&second).map(SocketKey::guard_name).collect();
        assert_eq!(names.len(), 3);
        assert!(names.iter().all(|name| name.len() < 64 && name.starts_with(PREFIX)));
    }

    #[test]
    fn a_socket_is_given_up_by_its_last_user() {
        let key = |at| keys(&spec(&[(at, false)]), 0).into_iter().collect::<BTreeSet<_>>();
        let mut users = Users::default();
        assert_eq!(users.set(InstanceId(0), key("/a")), []);
        assert_eq!(users.set(InstanceId(1), key("/a")), []);
        assert_eq!(users.set(InstanceId(0), key("/b")), [], "another has it still");
        assert_eq!(users.set(InstanceId(1), BTreeSet::new()), Vec::from_iter(key("/a")));
        assert_eq!(users.set(InstanceId(0), BTreeSet::new()), Vec::from_iter(key("/b")));
    }

    #[test]
    fn a_taken_address_tells_who_has_it() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap().to_string();
        let keeper = Keeper::default();
        let error = keeper.give(&keys(&spec(&[(&at, false)]), 0)[0], None, true).unwrap_err();
        let us = format!("(pid {})", std::process::id());
        assert!(error.message.starts_with(&format!("cannot listen on {at}: it is in use by ")), "{error}");
        assert!(error.message.ends_with(&us), "{error}");
        drop(taken);
        let key = &keys(&spec(&[(&at, false)]), 0)[0];
        assert!(keeper.give(key, None, true).unwrap().1);
        assert!(!keeper.give(key, None, true).unwrap().1, "it is there already");
        let other = SocketKey { app: "other".into(), ..key.clone() };
        assert!(keeper.give(&other, None, true).unwrap_err().message.ends_with("it is that of app web"));
        keeper.close(std::slice::from_ref(key), None);
        assert!(keeper.give(&other, None, true).is_ok());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process is needed whose descriptors may run out")]
    fn a_copy_that_can_not_be_made_is_told() {
        const INSIDE: &str = "BATON_TEST_COPIES";
        if std::env::var_os(INSIDE).is_none() {
            // The limit is one of a whole process: of one that runs this test alone.
            let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
            alone.args(["--exact", "daemon::sockets::tests::a_copy_that_can_not_be_made_is_told"]).env(INSIDE, "1");
            let run = alone.output().unwrap();
            let told = String::from_utf8_lossy(&run.stdout);
            assert!(run.status.success() && told.contains("1 passed"), "{told}");
            return;
        }
        let keeper = Keeper::default();
        let keys = keys(&spec(&[("127.0.0.1:0", false)]), 0);
        assert!(keeper.copies(&keys).unwrap().is_empty(), "it is not open yet");
        keeper.give(&keys[0], None, true).unwrap();
        assert_eq!(keeper.copies(&keys).unwrap().len(), 1);
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let none = rustix::process::Rlimit { current: Some(0), ..limit };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, none).unwrap();
        assert!(keeper.copies(&keys).is_err());
    }
}
