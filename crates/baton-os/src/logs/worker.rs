//! The log thread: epoll over all FIFOs and one eventfd for commands.
//!
//! FIFOs are watched edge-triggered, so that bytes which are left there on purpose (an unfinished line, a full disk) cause
//! no wake-up. After moving little the thread rests up to 2 ms: small writes are then collected many at a time. With
//! nothing to wait for but events there is no timer and no wake-up.

use super::batch::{Batch, Reason};
use super::ear::Ears;
use super::overflow;
use super::pump::{LARGEST_MAX, Left, Pump, Trouble, USUAL, Way};
use super::raw::{self, Moved};
use super::rotate::{Failure, Plan, Rotor};
use super::route::{LogReport, Overflow, Stream, StreamKey};
use super::sink::Sinks;
use super::thread::Command;
use baton_core::units::{Incarnation, InstanceId};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// The longest rest: small writes in quick succession then cost a tenth of the processor time.
const LONGEST_REST: Duration = Duration::from_millis(2);
/// The same while no more comes than a person may be reading as it is written.
const LONGEST_REST_OF_LITTLE: Duration = Duration::from_micros(400);
/// So much (bytes) in a rest is little.
const LITTLE: usize = 4096;
/// The same while at least so many streams move bytes: each would otherwise be looked at for very little.
const MANY: usize = 16;
const LONGEST_REST_OF_MANY: Duration = Duration::from_millis(10);
/// Below this a rest costs more than it saves.
const SHORTEST_REST: Duration = Duration::from_micros(60);
/// A rest should end with the fullest FIFO about this full, see [`Pump::fullness`]: much for a look, and still room for
/// the writers while the thread waits for a processor.
const WELCOME: usize = USUAL / 8 * 3;
/// How long other batches wait for the stream of a begun one to be attached.
const CLAIM: Duration = Duration::from_secs(1);

/// A reader that takes nothing for so long is in trouble; one that takes something now and then is only slow, and to say so
/// each time would be noise.
const SLOW: Duration = Duration::from_secs(10);

const COMMANDS: u64 = 0;
/// Edge-triggered: bytes that are left in a FIFO on purpose wake nobody.
const FIFO_EVENTS: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::ET);
const TIMER: u64 = 1;

type Report = Arc<dyn Fn(LogReport) + Send + Sync>;

/// What the thread works with.
pub(super) struct Worker {
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    commands: Receiver<Command>,
    batch: Batch,
    claim_until: Option<Instant>,
    pumps: BTreeMap<u64, Pump>,
    next: u64,
    sinks: Sinks,
    rotor: Rotor,
    /// Files whose trouble was reported.
    troubled: BTreeSet<PathBuf>,
    /// Readers (of FIFOs, terminals) that take nothing more, and since when.
    slow: BTreeMap<PathBuf, Instant>,
    draining: BTreeSet<(InstanceId, Incarnation)>,
    ears: Ears,
    nowhere: File,
    rest: Duration,
    report: Report,
}

impl Worker {
    /// Not running yet. Commands are taken when `wake` is written to.
    ///
    /// # Errors
    /// The system has no descriptors or threads left.
    pub(super) fn new(
        batch: Batch,
        times: Option<PathBuf>,
        (commands, wake): (Receiver<Command>, Arc<OwnedFd>),
        report: Report,
    ) -> io::Result<Worker> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &*wake, epoll::EventData::new_u64(COMMANDS), epoll::EventFlags::IN)?;
        let keepers = Arc::clone(&report);
        let rotor = Rotor::new(times.clone(), move |path, error| {
            keepers(LogReport::NotRotated { path, message: error.to_string() });
        })?;
        epoll::add(&epoll, &rotor.moments, epoll::EventData::new_u64(TIMER), epoll::EventFlags::IN)?;
        Ok(Worker {
            epoll,
            wake,
            commands,
            claim_until: batch.begun.is_some().then(|| Instant::now() + CLAIM),
            batch,
            pumps: BTreeMap::new(),
            next: TIMER + 1,
            rotor,
            sinks: Sinks::new(times),
            troubled: BTreeSet::new(),
            slow: BTreeMap::new(),
            draining: BTreeSet::new(),
            ears: Ears::default(),
            nowhere: File::options().write(true).open("/dev/null")?,
            rest: LONGEST_REST,
            report,
        })
    }

    /// Runs until it is told to stop.
    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(64);
        loop {
            let wait = self.wait_for(Instant::now());
            events.clear();
            let mut time_has_come = false;
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), wait.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                // The descriptor is ours and open: nothing else can be wrong with it.
                Err(_) => return,
            }
            let mut called = false;
            for event in &events {
                match event.data.u64() {
                    COMMANDS => called = true,
                    TIMER => time_has_come = true,
                    token => {
                        if let Some(pump) = self.pumps.get_mut(&token) {
                            pump.ready = true;
                        }
                    }
                }
            }
            if called && self.take_commands() {
                return;
            }
            if time_has_come {
                let (busy, wall) = (self.batch.begun.is_some(), crate::clock::now().wall);
                let failures = self.rotor.tick(&mut self.sinks, busy, Instant::now(), wall);
                self.not_rotated(failures);
            }
            if std::mem::take(&mut self.rotor.renewed) {
                (self.report)(LogReport::Renewed);
            }
            let (most, moving) = self.pass();
            self.report_drained();
            self.take_a_rest(most, moving);
        }
    }

    /// How long epoll may wait: for ever when only an event can give work.
    fn wait_for(&self, now: Instant) -> Option<Timespec> {
        let mut deadline: Option<Instant> = None;
        for pump in self.pumps.values() {
            let due = match self.claim_until.filter(|_| self.waits_for_claim(pump, now)) {
                Some(until) => Some(until),
                None if pump.is_due(now) => Some(now),
                None => pump.deadline(),
            };
            deadline = deadline.into_iter().chain(due).min();
        }
        deadline.map(|at| timespec(at.saturating_duration_since(now)))
    }

    /// Whether a begun batch of another stream has to be settled before this one writes.
    fn waits_for_claim(&self, pump: &Pump, now: Instant) -> bool {
        let Some(record) = &self.batch.begun else { return false };
        let concerned = pump.way == Way::Batch || record.targets.iter().any(|target| pump.writes_to(&target.path));
        concerned && pump.key != record.key && self.claim_until.is_some_and(|until| now < until)
    }

    /// Returns whether the thread shall end.
    fn take_commands(&mut self) -> bool {
        let mut count = [0u8; 8];
        // Nothing to read means nobody has sent anything.
        let _ = rustix::io::read(&*self.wake, &mut count);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Attach(stream) => self.attach(stream),
                Command::Hear(id, incarnation, ear) => self.ears.add(id, incarnation, ear),
                Command::Drain(id, incarnation, patience) => {
                    let deadline = Instant::now() + patience;
                    for pump in self.pumps.values_mut().filter(|pump| belongs(&pump.key, id, incarnation)) {
                        pump.drain = Some(deadline);
                        pump.ready = true;
                    }
                    self.draining.insert((id, incarnation));
                }
                Command::ReopenAll => {
                    self.sinks.close_all();
                    self.open_files();
                    self.try_again();
                }
                Command::Rotation(rotation) => self.rotor.set(*rotation, crate::clock::now().wall),
                Command::Outgrown => {
                    let failures = self.rotor.look_at_own(&mut self.sinks, Instant::now(), crate::clock::now().wall);
                    self.not_rotated(failures);
                }
                Command::Flush(paths, then) => {
                    for path in paths {
                        if let Err(error) = self.sinks.truncate(&path) {
                            (self.report)(LogReport::Trouble { path, message: error.to_string() });
                        }
                    }
                    self.try_again();
                    then();
                }
                Command::Descriptors(reply) => {
                    let all = self.pumps.values().map(|pump| Ok((pump.key.guard_name(), pump.reader.try_clone()?)));
                    // Nobody waits any more: nothing to do.
                    let _ = reply.send(all.collect());
                }
                Command::Stop => return true,
            }
        }
        false
    }

    fn attach(&mut self, stream: Stream) {
        let old: Vec<u64> =
            self.pumps.iter().filter(|(_, pump)| pump.key == stream.key).map(|(token, _)| *token).collect();
        for token in old {
            self.remove(token);
        }
        let mut pump = Pump::new(stream.key, stream.reader, stream.route);
        let token = self.next;
        self.next += 1;
        if let Err(error) = epoll::add(&self.epoll, &pump.reader, epoll::EventData::new_u64(token), FIFO_EVENTS) {
            let path = pump.targets.first().cloned().unwrap_or_default();
            (self.report)(LogReport::Trouble { path, message: error.to_string() });
            return;
        }
        let carries = self.batch.slot.carries(&pump.key);
        let now = Instant::now();
        for (index, path) in pump.targets.clone().into_iter().enumerate() {
            match self.sinks.get(&path, now) {
                Ok(sink) if carries[index].0 != 0 && pump.style.has_stamps() => {
                    sink.open_line = Some((pump.key, index));
                }
                Ok(_) => {}
                Err(error) => self.trouble(&mut pump, Trouble { path, error }),
            }
        }
        self.pumps.insert(token, pump);
    }

    fn open_files(&mut self) {
        let now = Instant::now();
        for pump in self.pumps.values() {
            for path in &pump.targets {
                // A failure is reported by the first write, which also waits and tries again.
                let _ = self.sinks.get(path, now);
            }
        }
    }

    fn try_again(&mut self) {
        let now = Instant::now();
        for pump in self.pumps.values_mut() {
            if let Some((at, _)) = &mut pump.retry {
                *at = now;
            }
        }
    }

    /// Looks once at every stream that has something to do. Returns how full the fullest one was, and how many have moved
    /// bytes.
    fn pass(&mut self) -> (usize, usize) {
        let now = Instant::now();
        let due: Vec<u64> = self.pumps.iter().filter(|(_, pump)| pump.is_due(now)).map(|(token, _)| *token).collect();
        let (mut most, mut moving) = (0, 0);
        for token in due {
            let Some(mut pump) = self.pumps.remove(&token) else { continue };
            if self.waits_for_claim(&pump, now) {
                self.pumps.insert(token, pump);
                continue;
            }
            if !pump.may_try(now) {
                (pump.ready, moving) = (false, moving + 1);
                most = most.max(self.make_room(&mut pump));
                self.pumps.insert(token, pump);
                continue;
            }
            let sent = pump.sent();
            let keep = match self.look(&mut pump, now) {
                Ok((moved, left)) => {
                    most = most.max(pump.fullness(moved));
                    moving += usize::from(moved > 0);
                    pump.grow(moved, || self.pumps.values().filter(|other| other.is_largest()).count() < LARGEST_MAX);
                    self.recovered(&pump);
                    pump.settle(moved, left, now);
                    !pump.is_drained(moved, left, now)
                }
                Err(trouble) => {
                    let taken = pump.sent() > sent;
                    if taken {
                        self.slow.remove(&trouble.path);
                    }
                    self.trouble(&mut pump, trouble);
                    if taken {
                        pump.hurry(now);
                    }
                    self.make_room(&mut pump);
                    !pump.is_given_up(now)
                }
            };
            self.watch(&mut pump, token);
            self.pumps.insert(token, pump);
            if !keep {
                self.finish(token);
            }
        }
        (most, moving)
    }

    /// For an app that may lose output rather than wait. Returns how full its FIFO was.
    fn make_room(&mut self, pump: &mut Pump) -> usize {
        if pump.overflow != Overflow::Drop {
            return 0;
        }
        let first = self.batch.slot.dropped(&pump.key) == 0;
        // What can't be counted is not dropped: the app waits.
        let dropped = overflow::make_room(pump, &mut self.batch.slot, &self.nowhere).unwrap_or(0);
        if dropped > 0 && first {
            let path = pump.targets.first().cloned().unwrap_or_default();
            (self.report)(LogReport::Dropping { id: pump.key.id, path });
        }
        pump.fullness(dropped)
    }

    /// Asks for a stream's events, or no longer. One that is asked for anew is told of what is there already.
    fn watch(&self, pump: &mut Pump, token: u64) {
        let wanted = !pump.is_busy();
        if pump.watched == wanted {
            return;
        }
        let changed = if wanted {
            epoll::add(&self.epoll, &pump.reader, epoll::EventData::new_u64(token), FIFO_EVENTS)
        } else {
            epoll::delete(&self.epoll, &pump.reader)
        };
        match changed {
            Ok(()) => pump.watched = wanted,
            // Out of kernel memory: as long as it is not watched it is looked at again and again.
            Err(_) => pump.ready |= wanted,
        }
    }

    fn look(&mut self, pump: &mut Pump, now: Instant) -> Result<(usize, Left), Trouble> {
        if pump.retry.is_some() {
            for path in pump.targets.iter().filter(|path| !self.slow.contains_key(*path)) {
                // Whatever is at the path now may be better; but a slow reader would take it for the end.
                self.sinks.close(path);
            }
        }
        if self.batch.slot.dropped(&pump.key) > 0 {
            let wall = crate::clock::now().wall;
            let (bytes, path) = overflow::tell(pump, &mut self.sinks, &mut self.batch.slot, now, wall)?;
            (self.report)(LogReport::Dropped { id: pump.key.id, path, bytes });
        }
        if pump.way == Way::Raw {
            if self.batch.begun.as_ref().is_some_and(|record| record.targets.iter().any(|t| pump.writes_to(&t.path))) {
                self.batch.undo_begun(&mut self.sinks);
            }
            let path = pump.targets.first();
            let sink = match path {
                Some(path) => Some(&*self.sinks.get(path, now).map_err(|error| Trouble { path: path.clone(), error })?),
                None => None,
            };
            let near = match path.zip(sink) {
                Some((path, sink)) => {
                    self.rotor.near(path, sink).map_err(|error| Trouble { path: path.clone(), error })?
                }
                None => None,
            };
            let listened = self.ears.listen_to(&pump.key);
            let plan = match near {
                None if !listened => Plan::ALL,
                near => match self.batch.look(pump) {
                    // More may come before it is moved, and nobody would have heard it.
                    Ok(sight) if listened && sight.found == 0 => return Ok((0, sight.left())),
                    Ok(sight) => {
                        let all = Plan { most: sight.found, then_rotate: false };
                        near.map_or(all, |near| near.plan(&self.batch.bytes[..sight.found]))
                    }
                    Err(error) => return Err(Trouble { path: path.cloned().unwrap_or_default(), error }),
                },
            };
            let plan = self.rotor.bounded(plan);
            match raw::pump(&pump.reader, sink, &self.nowhere, pump.much(), plan.most) {
                Ok(Moved::Bytes(count, left, offset)) => {
                    if listened {
                        self.ears.hear(&pump.key, &self.batch.bytes[..count]);
                    }
                    if let Some(path) = path.filter(|_| count > 0) {
                        let (whole, wall) = (plan.then_rotate && count == plan.most, crate::clock::now().wall);
                        self.sinks.wrote(path, offset, wall);
                        let failures = self.rotor.wrote(path, &mut self.sinks, count as u64, whole, now, wall);
                        self.not_rotated(failures);
                    }
                    return Ok((count, left));
                }
                Ok(Moved::NotHere) => pump.way = Way::Batch,
                Err(error) => return Err(Trouble { path: path.cloned().unwrap_or_default(), error }),
            }
        }
        let reason = match pump.drain {
            Some(deadline) => Reason::Drain { over: deadline <= now },
            None if pump.tail_is_due(now) => Reason::Quiet,
            None => Reason::Bytes,
        };
        let wall = crate::clock::now().wall;
        let rooms = pump.targets.iter().map(|path| self.room(path, now));
        pump.room = rooms.min().unwrap_or(u64::MAX);
        let result = self.batch.pump(pump, &mut self.sinks, reason, now, wall)?;
        if result.0 > 0 {
            self.ears.hear(&pump.key, &self.batch.bytes[..result.0]);
            for path in &pump.targets {
                let whole = self.sinks.opened(path).is_some_and(|sink| sink.whole_line);
                let failures = self.rotor.wrote(path, &mut self.sinks, result.0 as u64, whole, now, wall);
                self.not_rotated(failures);
            }
        }
        Ok(result)
    }

    fn room(&mut self, path: &Path, now: Instant) -> u64 {
        // A file that can't be opened is told by the attempt to write to it.
        self.sinks.get(path, now).map_or(u64::MAX, |sink| self.rotor.room_for_batch(path, sink))
    }

    fn not_rotated(&self, failures: Vec<Failure>) {
        for (path, error) in failures {
            (self.report)(LogReport::NotRotated { path, message: error.to_string() });
        }
    }

    fn trouble(&mut self, pump: &mut Pump, trouble: Trouble) {
        let now = Instant::now();
        pump.pause(now);
        pump.ready = false;
        if trouble.error.kind() == io::ErrorKind::WouldBlock {
            let since = *self.slow.entry(trouble.path.clone()).or_insert(now);
            if now.duration_since(since) < SLOW {
                return;
            }
        }
        if self.troubled.insert(trouble.path.clone()) {
            (self.report)(LogReport::Trouble { path: trouble.path, message: trouble.error.to_string() });
        }
    }

    fn recovered(&mut self, pump: &Pump) {
        if pump.retry.is_some() {
            for path in &pump.targets {
                self.slow.remove(path);
                if self.troubled.remove(path) {
                    (self.report)(LogReport::Recovered { path: path.clone() });
                }
            }
        }
    }

    /// The stream has ended: nothing of it is open any more.
    fn finish(&mut self, token: u64) {
        if let Some(key) = self.remove(token) {
            // Only a stale entry in the slot would remain.
            let _ = self.batch.slot.forget(&key);
        }
    }

    fn remove(&mut self, token: u64) -> Option<StreamKey> {
        let pump = self.pumps.remove(&token)?;
        // The guard has the same FIFO open, so closing ours wouldn't end the watch.
        let _ = epoll::delete(&self.epoll, &pump.reader);
        for path in &pump.targets {
            if !self.pumps.values().any(|other| other.writes_to(path)) {
                self.sinks.close(path);
                self.troubled.remove(path);
                self.slow.remove(path);
            }
        }
        Some(pump.key)
    }

    fn report_drained(&mut self) {
        let (pumps, report, ears) = (&self.pumps, &self.report, &mut self.ears);
        self.draining.retain(|(id, incarnation)| {
            let open = pumps.values().any(|pump| belongs(&pump.key, *id, *incarnation));
            if !open {
                ears.forget(*id, *incarnation);
                report(LogReport::Drained { id: *id, incarnation: *incarnation });
            }
            open
        });
    }

    /// Lets small writes gather, unless a command comes. The length follows the flow: long enough that a look is worth
    /// it, short enough that no FIFO fills up meanwhile.
    fn take_a_rest(&mut self, most: usize, moving: usize) {
        if moving == 0 {
            return;
        }
        // No more than twice or half as long at once: the flow is uneven.
        let right = self.rest.mul_f64((WELCOME as f64 / most.max(1) as f64).clamp(0.5, 2.0));
        let longest = match (moving, most) {
            (MANY.., _) => LONGEST_REST_OF_MANY,
            (_, ..LITTLE) => LONGEST_REST_OF_LITTLE,
            _ => LONGEST_REST,
        };
        self.rest = right.clamp(SHORTEST_REST / 2, longest);
        let work = self.pumps.values().any(|pump| pump.urgent && pump.retry.is_none());
        if self.rest < SHORTEST_REST || work || !self.draining.is_empty() {
            return;
        }
        let mut fds = [PollFd::new(&*self.wake, PollFlags::IN)];
        // A signal only ends the rest.
        let _ = poll(&mut fds, Some(&timespec(self.rest)));
    }
}

fn belongs(key: &StreamKey, id: InstanceId, incarnation: Incarnation) -> bool {
    key.id == id && key.incarnation == incarnation
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
