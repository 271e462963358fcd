//! What a predecessor left, taken up again.
//!
//! There is no difference between a crash, a SIGKILL and an update: files and the guard's descriptors are all that a
//! daemon begins with. A run record tells what a slot was before the deeds that followed from it; so each deed may have
//! been done or not, and the core is told what is found.

use super::channel::{Channels, ends};
use super::driver::Driver;
use super::inbox::Inbox;
use super::journal;
use super::life::{CHANNELS, INPUT, Key, Life, Lives, Stage, fifos, guard_names, input_path, line_name, stream_key};
use super::line::{self, notify_path};
use super::proc_stat::{ProcStat, is_stub};
use super::sockets;
use super::storage::{LifeRecord, Loaded, RunRecord, fifo_path};
use super::watch;
use crate::home::Home;
use baton_core::step::{Effect, Event, Found};
use baton_core::units::{Incarnation, InstanceId};
use baton_core::world::{Cause, Exit, Instance, Phase, Record, State, Verb, Wanted, World};
use baton_os::guard::link::GuardLink;
use baton_os::logs::{LogThread, Stream};
use baton_os::process::Process;
use baton_os::stub;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};

/// Looks at a stub that may be about to execute its program, and how long each waits for its end. No descriptor tells
/// of an exec by a process that another daemon had told to run.
const STUB_LOOKS: u32 = 1_000;
const STUB_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// The world as the files tell it.
#[derive(Debug)]
pub(super) struct Left {
    /// The world.
    pub(super) world: World,
    /// Lives that may still have output or processes.
    pub(super) lives: Vec<(InstanceId, LifeRecord)>,
    /// Slots that were written before the machine was restarted.
    pub(super) rebooted: BTreeSet<InstanceId>,
    /// Slots that are no more, and whose record is.
    pub(super) gone: Vec<InstanceId>,
}

/// Puts together what the files say.
pub(super) fn world(loaded: Loaded, home: &Home, boot_id: &str) -> Left {
    let mut world = World::new(home.directories());
    let (mut lives, mut rebooted, mut gone) = (Vec::new(), BTreeSet::new(), Vec::new());
    let state = loaded.state;
    for record in state.iter().flat_map(|state| &state.records) {
        let voided = state.as_ref().is_some_and(|state| state.boot_id != boot_id);
        if let Some(instance) = from_record(record, voided, &world) {
            world.instances.insert(instance.id, instance);
        }
    }
    for (id, run) in loaded.runs {
        let RunRecord { boot_id: written_in, instance, spec, lives: left, .. } = run;
        let voided = written_in != boot_id;
        match (instance.zip(spec), world.instances.get_mut(&id)) {
            // After a restart of the machine a record may be older than the state file, which is the one that was
            // made to last: only the history is taken.
            (Some((instance, _)), Some(wish)) if voided => take_history(wish, instance),
            (Some(_), None) if voided && state.is_some() => gone.push(id),
            (Some((mut instance, spec)), _) => {
                instance.spec = spec;
                world.instances.insert(id, instance);
                if voided {
                    rebooted.insert(id);
                }
            }
            (None, present) => {
                if present.is_some() && !voided {
                    world.instances.remove(&id);
                }
                gone.push(id);
            }
        }
        for life in left {
            world.next_incarnation = world.next_incarnation.max(life.incarnation.0 + 1);
            if !voided {
                lives.push((id, life));
            }
        }
    }
    world.share_environments();
    gone.retain(|id| !world.instances.contains_key(id));
    let after_last = world.instances.values().map(|instance| instance.incarnation.0 + 1).max().unwrap_or(1);
    world.next_incarnation = world.next_incarnation.max(after_last);
    let highest = world.instances.keys().next_back().map_or(0, |id| id.0 + 1);
    world.next_id = highest;
    if let Some(state) = state {
        world.synced = state.synced;
        world.next_incarnation = world.next_incarnation.max(state.next_incarnation);
        if !world.instances.is_empty() {
            world.next_id = state.next_id.max(highest);
        }
    }
    Left { world, lives, rebooted, gone }
}

fn take_history(wish: &mut Instance, record: Instance) {
    wish.incarnation = record.incarnation;
    wish.started_at = record.started_at;
    wish.restarts = record.restarts;
    wish.last_exit = record.last_exit;
    wish.deaths = record.deaths;
    wish.transitions = record.transitions;
    if wish.spec.schedule.is_some() {
        wish.job = record.job;
    }
}

/// A slot of which only the wish is known.
fn from_record(record: &Record, rebooted: bool, world: &World) -> Option<Instance> {
    let mut instance =
        Instance::new(record.id, record.number, record.spec.clone(), record.created_at, &world.directories);
    instance.increment = record.increment;
    instance.unwatched = record.unwatched;
    instance.owner = record.owner.clone();
    let why = || record.why.clone().unwrap_or(Cause::NotAutostarted);
    instance.state = match record.wanted {
        Wanted::Up if rebooted => State::Stopped { why: Cause::Reboot },
        Wanted::Up if record.spec.schedule.is_some() => State::Idle { why: Cause::Operator(Verb::Start) },
        // Its run record is lost: it is begun anew, as after a start that came to nothing.
        Wanted::Up => State::Starting { since: baton_os::clock::now().instant },
        Wanted::Down => State::Stopped { why: why() },
        Wanted::Failed => State::Errored { why: why() },
        Wanted::Gone => return None,
    };
    Some(instance)
}

/// What is done with the descriptors and FIFOs of a predecessor.
pub(super) struct Output<'a> {
    pub(super) home: &'a Home,
    pub(super) guard: Option<&'a GuardLink>,
    pub(super) logs: &'a LogThread,
    pub(super) channels: &'a Channels,
    pub(super) world: &'a World,
    /// What the guard gave back, by name.
    pub(super) held: BTreeMap<String, OwnedFd>,
}

impl Output<'_> {
    /// Reads on where the predecessor stopped. What belongs to no life is let go.
    pub(super) fn adopt(mut self, records: Vec<(InstanceId, LifeRecord)>) -> Lives {
        let mut lives = Lives::default();
        let mut deposit = Vec::new();
        let mut ours = BTreeSet::new();
        for (id, record) in records {
            let key = (id, record.incarnation);
            ours.extend(guard_names(key));
            let mut life = Life::left(record);
            for channel in CHANNELS {
                let name = stream_key(key, channel).guard_name();
                let reader = self.held.remove(&name).or_else(|| {
                    // The guard was lost together with the daemon; the app's own descriptor has kept the FIFO.
                    let fd = baton_os::fifo::open_reader(&fifo_path(self.home, key.1, channel)).ok()?;
                    deposit.push((name, fd.as_fd().try_clone_to_owned().ok()?));
                    Some(fd)
                });
                if let Some(reader) = reader {
                    let route = life.routes.route(channel);
                    self.logs.attach(Stream { key: stream_key(key, channel), reader, route });
                    life.collected = true;
                }
            }
            life.line = self.held.remove(&line_name(key)).or_else(|| {
                // A pipe is lost with the guard; a socket can be made anew, for its name is what the app knows.
                let fd = line::again(self.home, key.1)?;
                deposit.push((line_name(key), fd.as_fd().try_clone_to_owned().ok()?));
                Some(fd)
            });
            if let Some(channel) = self.held.remove(&ends::name(key)) {
                life.has_channel = true;
                let role = ends::role(self.world, key);
                self.channels.open(key, channel, role);
            }
            lives.insert(key, life);
        }
        self.channels.settle();
        if let Some(guard) = self.guard {
            if !deposit.is_empty()
                && let Err(error) = guard.hold(deposit)
            {
                journal::error(format_args!("the guard can't hold the apps' output: {error}"));
            }
            let strangers: Vec<String> =
                self.held.into_keys().filter(|name| is_stream(name) && !ours.contains(name)).collect();
            guard.release(strangers, Box::new(|| ()));
        }
        sweep_fifos(self.home, &lives);
        lives
    }
}

fn is_stream(name: &str) -> bool {
    ["out:", "err:", "ready:", "chan:"].iter().any(|kind| name.starts_with(kind))
}

/// Removes what a write left that was cut off; nobody else writes in a home that is locked.
pub(super) fn sweep_temporary(home: &Home) {
    for folder in [home.root().to_owned(), home.run()] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp")) {
                // A left-over harms nobody.
                let _ = crate::home::remove_file(&entry.path());
            }
        }
    }
}

/// Removes FIFOs and sockets of lives that nobody knows.
fn sweep_fifos(home: &Home, lives: &Lives) {
    let others = |incarnation| [notify_path(home, incarnation), input_path(home, incarnation)];
    let files = |incarnation| fifos(home, incarnation).into_iter().chain(others(incarnation));
    let known: BTreeSet<_> = lives.keys().flat_map(|(_, incarnation)| files(incarnation)).collect();
    let Ok(entries) = fs::read_dir(home.run()) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ends = ["out", "err", INPUT, line::NOTIFY];
        let is_one = path.extension().is_some_and(|end| ends.iter().any(|one| end == *one));
        if is_one && !known.contains(&path) {
            // A left-over harms nobody.
            let _ = crate::home::remove_file(&path);
        }
    }
}

/// Looks for the processes of all lives, and says of each slot that may have one what is there.
fn look(world: &World, rebooted: &BTreeSet<InstanceId>, lives: &mut Lives, inbox: &Inbox) -> Vec<Event> {
    let mut events = Vec::new();
    for key in lives.keys().collect::<Vec<_>>() {
        if let Some(life) = lives.get_mut(key) {
            find_process(life);
        }
    }
    for instance in world.instances.values() {
        let (id, incarnation) = (instance.id, instance.incarnation);
        let found = match lives.get_mut((id, incarnation)) {
            _ if rebooted.contains(&id) => Found::Rebooted,
            _ if !instance.state.has_process() => continue,
            Some(life) => {
                let found = find(instance, life);
                if matches!(found, Found::Alive(_)) {
                    watch::leader((id, incarnation), life, inbox);
                }
                found
            }
            None => without_life(instance),
        };
        events.push(Event::Recovered { id, incarnation, found });
        let beside = instance.beside.iter().map(|beside| beside.incarnation);
        events.extend(beside.map(|incarnation| {
            let found = match lives.get_mut((id, incarnation)) {
                _ if rebooted.contains(&id) => Found::Rebooted,
                Some(life) => find_beside(instance, incarnation, life, inbox),
                None => Found::NeverRan,
            };
            Event::Recovered { id, incarnation, found }
        }));
    }
    events
}

/// What is there of a life beside the current one.
fn find_beside(instance: &Instance, incarnation: Incarnation, life: &mut Life, inbox: &Inbox) -> Found {
    let phase = instance.beside.iter().find(|beside| beside.incarnation == incarnation).map(|beside| &beside.phase);
    if let Some(Phase::Ending { exit: Some(exit), .. }) = phase {
        life.ended = true;
        return Found::Ended(*exit);
    }
    let found = find_leader(life, matches!(phase, Some(Phase::Starting { .. })));
    if matches!(found, Found::Alive(_)) {
        watch::leader((instance.id, incarnation), life, inbox);
    }
    found
}

fn find_process(life: &mut Life) {
    let Some(identity) = &life.identity else { return };
    match Process::find(identity) {
        Ok(Some(process)) => life.stage = Stage::Told(process),
        Ok(None) => {}
        Err(error) => journal::error(format_args!("process {} can't be followed: {error}", identity.pid)),
    }
}

/// What is there of the current life of a slot.
fn find(instance: &Instance, life: &mut Life) -> Found {
    if let State::Stopping { exit: Some(exit), .. } = &instance.state {
        life.ended = true;
        return Found::Ended(*exit);
    }
    find_leader(life, matches!(instance.state, State::Starting { .. }))
}

/// What is there of the leader of a life whose end is not on record.
fn find_leader(life: &mut Life, starting: bool) -> Found {
    if !life.told_to_run {
        life.ended = true;
        return Found::NeverRan;
    }
    let Some(process) = life.process() else {
        life.ended = true;
        return Found::Ended(Exit::Unknown);
    };
    let identity = process.identity().clone();
    if starting {
        await_exec(process);
    }
    let exit = match ProcStat::read(&identity) {
        Some(stat) if !stat.is_dead() => return Found::Alive(identity),
        Some(stat) => match stat.exit {
            Some(exit) => exit,
            // Its parent will tell.
            None => return Found::Alive(identity),
        },
        None => process.exit_info().unwrap_or(Exit::Unknown),
    };
    life.ended = true;
    // The predecessor had written that it would tell it to run, and died before it did.
    if starting && exit == Exit::Code(stub::CALLED_OFF) { Found::NeverRan } else { Found::Ended(life.explained(exit)) }
}

/// A slot whose record lists no life: its process was not begun, or is over.
fn without_life(instance: &Instance) -> Found {
    match &instance.state {
        State::Stopping { exit: Some(exit), .. } => Found::Ended(*exit),
        State::Unready { .. } | State::Online { .. } => Found::Ended(Exit::Unknown),
        _ if instance.process.is_some() => Found::Ended(Exit::Unknown),
        _ => Found::NeverRan,
    }
}

/// Waits until a process that is still the stub runs its program or has ended; either takes it microseconds.
fn await_exec(process: &Process) {
    for _ in 0..STUB_LOOKS {
        let mut fds = [PollFd::new(process, PollFlags::IN)];
        if !is_stub(process.identity().pid) || poll(&mut fds, Some(&STUB_PAUSE)).is_ok_and(|ended| ended > 0) {
            return;
        }
    }
}

impl Driver {
    /// Tells the core what was found, and finishes what the predecessor had begun.
    pub(super) fn recover(&mut self, rebooted: &BTreeSet<InstanceId>, gone: Vec<InstanceId>) {
        let current = |key: &Key| {
            let slot = self.world.current(key.0, key.1);
            slot.map_or_else(|| self.world.lives(key.0, key.1), |instance| instance.state.has_process())
        };
        let over: Vec<Key> = self.lives.keys().filter(|key| !current(key)).collect();
        for key in self.lives.keys().collect::<Vec<_>>() {
            if let (Some(slot), Some(life)) = (self.world.as_of(key.0, key.1), self.lives.get_mut(key)) {
                life.sockets = sockets::keys(&slot.spec, slot.number);
            }
        }
        for event in look(&self.world, rebooted, &mut self.lives, &self.inbox) {
            self.handle(event);
        }
        for key in over {
            self.release(key);
        }
        for id in gone {
            self.forgotten.insert(id, self.writer.wished() + 1);
        }
        // A predecessor may have died before it closed what nobody needs.
        self.follow_sockets(self.world.instances.keys().copied().collect::<Vec<_>>());
        self.follow_clusters();
        self.follow_groups(&self.world.instances.keys().copied().collect());
        // The state file may be behind the records.
        self.carry_out(Effect::Persist);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::records::Records;
    use crate::daemon::storage::{StateFile, load};
    use baton_core::spec::AppSpec;
    use baton_core::units::{Incarnation, WallTime};
    use std::sync::Arc;

    fn online(id: u32, incarnation: u64, home: &Home) -> Instance {
        let spec = Arc::new(AppSpec { name: format!("app{id}"), ..AppSpec::default() });
        let mut instance = Instance::new(InstanceId(id), 0, spec, WallTime(1), &home.directories());
        instance.state = State::Online { since: baton_core::units::Instant(1), ready: true };
        instance.incarnation = Incarnation(incarnation);
        instance.restarts = 3;
        instance
    }

    fn write(home: &Home, id: u32, boot_id: &str, instance: Option<&Instance>, lives: Vec<LifeRecord>) {
        let before = fs::read(home.run().join("records")).unwrap_or_default();
        let mut records = Records::begin(home, boot_id, &before).unwrap();
        records.append([(InstanceId(id), instance, lives)].into_iter()).unwrap();
    }

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        home.create().unwrap();
        (dir, home)
    }

    #[test]
    fn records_are_newer_than_the_state_file_and_numbers_never_go_back() {
        let (_dir, home) = home();
        let mut before = World::new(home.directories());
        before.instances.insert(InstanceId(0), online(0, 1, &home));
        before.instances.insert(InstanceId(1), online(1, 2, &home));
        (before.next_id, before.next_incarnation) = (2, 3);
        fs::write(home.state(), StateFile::of(&before, "boot").encode()).unwrap();
        let life = |n| LifeRecord {
            incarnation: Incarnation(n),
            mark: "m".into(),
            identity: None,
            told_to_run: false,
            routes: Default::default(),
            group: None,
        };
        write(&home, 0, "boot", Some(&online(0, 8, &home)), vec![life(7), life(8)]);
        write(&home, 1, "boot", None, vec![life(9)]);
        write(&home, 5, "boot", Some(&online(5, 6, &home)), vec![]);
        let left = world(load(&home).unwrap(), &home, "boot");
        let ids: Vec<u32> = left.world.instances.keys().map(|id| id.0).collect();
        assert_eq!(ids, [0, 5], "1 was deleted, 5 was begun after the state was written");
        assert_eq!((left.world.next_id, left.world.next_incarnation), (6, 10));
        assert_eq!(left.lives.len(), 3);
        assert_eq!((left.gone, left.rebooted.len()), (vec![InstanceId(1)], 0));
    }

    #[test]
    fn after_a_restart_of_the_machine_the_wish_counts_and_the_history_is_kept() {
        let (_dir, home) = home();
        let mut before = World::new(home.directories());
        before.instances.insert(InstanceId(0), online(0, 1, &home));
        before.next_id = 1;
        fs::write(home.state(), StateFile::of(&before, "earlier").encode()).unwrap();
        write(&home, 0, "earlier", Some(&online(0, 4, &home)), vec![]);
        write(&home, 1, "earlier", Some(&online(1, 5, &home)), vec![]);
        let left = world(load(&home).unwrap(), &home, "boot");
        let instance = &left.world.instances[&InstanceId(0)];
        assert_eq!(instance.state, State::Stopped { why: Cause::Reboot });
        assert_eq!((instance.restarts, instance.incarnation), (3, Incarnation(4)));
        assert_eq!(left.gone, [InstanceId(1)], "its start had not reached the disk");
    }

    #[test]
    fn without_a_state_file_the_records_are_enough() {
        let (_dir, home) = home();
        write(&home, 2, "boot", Some(&online(2, 4, &home)), vec![]);
        write(&home, 3, "earlier", Some(&online(3, 5, &home)), vec![]);
        let left = world(load(&home).unwrap(), &home, "boot");
        assert_eq!(left.world.instances[&InstanceId(2)].spec.name, "app2");
        assert_eq!(left.rebooted, BTreeSet::from([InstanceId(3)]));
        assert_eq!((left.world.next_id, left.world.next_incarnation), (4, 6));
    }
}
