//! The batch way, for what is not copied byte by byte to one file: stamps, JSON, a combined file, `log_sync: copy`, and
//! files that can't be spliced to. Nothing is lost, repeated or torn by a SIGKILL at any instant:
//!
//! 1. *Look*: `tee` copies the FIFO's bytes into a scratch pipe; they stay in the FIFO. Whole lines are taken, a line
//!    that goes on stays in the FIFO until its end comes, its stream is quiet, or half the FIFO is full of it. So the
//!    kernel keeps the unfinished bytes and the daemon has none to lose.
//! 2. *Describe*: the [slot](super::slot) gets everything that makes a repetition equal: stream, count, time of the
//!    stamps, state of the line, and for each file its identity, offset and length.
//! 3. *Write* at those offsets. On a failure the file is cut back and the FIFO keeps the bytes: one app's full disk
//!    stops no other app's log.
//! 4. *Commit*: `splice` moves exactly the written bytes from the FIFO into the batch pipe, which the guard holds too.
//!    It is empty and at least as large as the scratch pipe, so they move in one kernel call.
//! 5. *Done*: the states of the lines and then the slot are updated, and the pipe is emptied.
//!
//! A successor that finds a described batch looks into the pipe. Not empty: it was committed, step 5 is repeated. Empty:
//! it was not, and the bytes are still first in their FIFO; steps 1–4 are repeated with the described count, time and
//! offsets over whatever part had been written. A described batch that takes no bytes (the end of an open line) is
//! repeated in the same manner. Until its stream is attached, other batches wait a moment; if it does not come, what it
//! may have written is cut off, because the FIFO has it still.

use super::format::{Carry, whole_lines};
use super::pump::{Left, Pump, Redo, Trouble};
use super::raw::{STEP, drop_all, drop_some};
use super::rotate::lines_for;
use super::sink::Sinks;
use super::slot::{Carries, Record, Slot, Target};
use baton_core::units::WallTime;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice, tee};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// How large the private pipes are made where the system allows it.
const WANTED: usize = 256 * 1024;

/// Why a stream is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Bytes may have come.
    Bytes,
    /// The unfinished line has waited long enough.
    Quiet,
    /// The process is gone; so is the time for waiting when `over`.
    Drain { over: bool },
}

/// The machinery that all batched streams share.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) slot: Slot,
    commit: (OwnedFd, OwnedFd),
    scratch: (File, OwnedFd),
    nowhere: File,
    zone: TimeZone,
    /// As large as the scratch pipe: what was seen last.
    pub(super) bytes: Vec<u8>,
    outputs: [Vec<u8>; 2],
    /// The batch that a predecessor had begun, until its stream is attached.
    pub(super) begun: Option<Record>,
}

/// What a look into a FIFO shows.
pub(super) struct Sight {
    /// How many bytes were copied.
    pub(super) found: usize,
    /// There are more.
    beyond: bool,
    /// No writer is left, so no more will come. Looked for when it matters: when the process is gone.
    no_writer: bool,
}

/// Makes a pipe for batches.
///
/// # Errors
/// No descriptors are left.
pub(super) fn private_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // Best effort: a user has a limited amount of pipe memory.
    let _ = fcntl_setpipe_size(&pipe.0, WANTED);
    Ok(pipe)
}

impl Sight {
    /// What is left of a FIFO in which nothing was found.
    pub(super) fn left(&self) -> Left {
        if self.no_writer { Left::Closed } else { Left::Nothing }
    }
}

impl Batch {
    /// Opens the slot, completes what a predecessor had committed, and keeps what it had only begun.
    ///
    /// # Errors
    /// The slot file can't be opened, or no pipe can be made.
    pub(super) fn open(slot: &Path, commit: (OwnedFd, OwnedFd)) -> io::Result<Batch> {
        let (mut slot, begun) = Slot::open(slot)?;
        let scratch = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Never larger than the batch pipe: what fits into this one moves into that one in one call. A smaller one does,
        // too: a user with many FIFOs may not enlarge pipes any more, and the batch pipe is from better days.
        let wanted = fcntl_getpipe_size(&commit.0)?;
        let room = fcntl_setpipe_size(&scratch.0, wanted).or_else(|_| fcntl_getpipe_size(&scratch.0))?;
        let nowhere = File::options().write(true).open("/dev/null")?;
        let committed = rustix::io::ioctl_fionread(&commit.0)? > 0;
        let begun = match begun {
            Some(record) if committed => {
                remember(&mut slot, &record)?;
                slot.done()?;
                None
            }
            other => other,
        };
        drop_all(&commit.0, &nowhere)?;
        Ok(Batch {
            slot,
            commit,
            scratch: (File::from(scratch.0), scratch.1),
            nowhere,
            zone: TimeZone::system(),
            bytes: vec![0; room],
            outputs: [Vec::new(), Vec::new()],
            begun,
        })
    }

    /// Gives up waiting for the stream of a begun batch: cuts off what it may have written. Its bytes are in the FIFO.
    pub(super) fn undo_begun(&mut self, sinks: &mut Sinks) {
        let Some(record) = self.begun.take() else { return };
        for target in &record.targets {
            // A file that can't be opened or cut now has nothing of the batch or keeps a part of it; either way there is
            // nothing better to do, and the attempt to write to it will report why.
            let Ok(sink) = sinks.get(&target.path, Instant::now()) else { continue };
            if sink.regular && (sink.device, sink.inode) == (target.device, target.inode) {
                let _ = cut_back(&sink.file, target.offset, target.length);
            }
        }
        // Failing to say so only means that a successor undoes it again, with nothing left to cut.
        let _ = self.slot.done();
    }

    /// Writes what `pump`'s FIFO has for its files. Returns the number of bytes taken.
    ///
    /// # Errors
    /// A file can't be written: nothing was taken, the same will be tried again.
    pub(super) fn pump(
        &mut self,
        pump: &mut Pump,
        sinks: &mut Sinks,
        reason: Reason,
        now: Instant,
        wall: WallTime,
    ) -> Result<(usize, Left), Trouble> {
        if self.begun.as_ref().is_some_and(|record| record.key == pump.key) {
            pump.redo = self.begun.take().map(|record| Redo { record, sent: [0; 2] });
        } else {
            self.undo_begun(sinks);
        }
        let general = |error: io::Error| Trouble { path: pump.targets.first().cloned().unwrap_or_default(), error };
        let Sight { found, beyond, no_writer } = self.look(pump).map_err(general)?;

        let (taken, last, time) = match &pump.redo {
            Some(redo) if redo.record.taken <= found => {
                (redo.record.taken, redo.record.last, WallTime(redo.record.wall))
            }
            _ => {
                // Fewer bytes than were described: not the FIFO of that batch.
                pump.redo = None;
                let over = matches!(reason, Reason::Drain { over } if over || no_writer);
                let lines = whole_lines(&self.bytes[..found]);
                let half = fcntl_getpipe_size(&pump.reader).map_or(0, |size| size.min(self.bytes.len()) / 2);
                if over && !(beyond && lines > 0) {
                    (found, !beyond, wall)
                } else if lines > 0 {
                    (lines, false, wall)
                } else if found >= half || reason == Reason::Quiet {
                    (pump.style.piece(&self.bytes[..found]), false, wall)
                } else {
                    (0, false, wall)
                }
            }
        };
        let (taken, last) = match &pump.redo {
            None if pump.room != u64::MAX => {
                let more = pump.style.overhead(&pump.style.stamp(wall, &self.zone));
                let fitting = lines_for(&self.bytes[..taken], more, pump.room);
                (fitting, last && fitting == taken)
            }
            _ => (taken, last),
        };
        let closes_line = last && self.slot.carries(&pump.key) != Carries::default();
        if taken > 0 || closes_line || pump.redo.is_some() {
            let redo = pump.redo.take();
            let written = self.write(pump, sinks, redo.as_ref(), (taken, last, time), now);
            if written.is_err() && pump.redo.is_none() {
                pump.redo = redo;
            }
            written?;
        }
        let rest = &self.bytes[taken..found];
        let left = if rest.is_empty() {
            match (found, no_writer) {
                (0, true) => Left::Closed,
                (0, false) => Left::Nothing,
                _ if beyond || no_writer || found >= pump.much() => Left::More,
                _ => Left::Soon,
            }
        } else if beyond || whole_lines(rest) > 0 || (no_writer && pump.drain.is_some()) {
            Left::More
        } else {
            Left::Tail(rest.len())
        };
        Ok((taken, left))
    }

    /// Copies the FIFO's bytes to `self.bytes` without taking them.
    pub(super) fn look(&mut self, pump: &Pump) -> io::Result<Sight> {
        let (reader, room) = (&pump.reader, self.bytes.len());
        let mut no_writer = false;
        if pump.drain.is_some() {
            // Asked before looking: whatever the last writer wrote is there by then.
            let mut fds = [PollFd::new(reader, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })))?;
            no_writer = fds[0].revents().contains(PollFlags::HUP);
        }
        let seen = match tee(reader, &self.scratch.1, room, SpliceFlags::NONBLOCK) {
            Ok(0) => {
                no_writer = true;
                0
            }
            Ok(seen) => seen,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(other) => return Err(other.into()),
        };
        // Where pipes had to be small, the FIFO can hold more than was seen, and no event would tell.
        let beyond = seen > 0 && rustix::io::ioctl_fionread(reader)? > seen as u64;
        self.scratch.0.read_exact(&mut self.bytes[..seen])?;
        Ok(Sight { found: seen, beyond, no_writer })
    }

    /// Steps 2 to 5 for the first `taken` bytes.
    fn write(
        &mut self,
        pump: &mut Pump,
        sinks: &mut Sinks,
        redo: Option<&Redo>,
        (taken, last, wall): (usize, bool, WallTime),
        now: Instant,
    ) -> Result<(), Trouble> {
        let before = self.slot.carries(&pump.key);
        let stamp = pump.style.stamp(wall, &self.zone);
        let mut record = Record { key: pump.key, taken, wall: wall.0, last, targets: Vec::new() };
        let mut sent = redo.map_or([0; 2], |redo| redo.sent);
        for (index, path) in pump.targets.iter().enumerate() {
            let trouble = |error| Trouble { path: path.clone(), error };
            let sink = sinks.get(path, now).map_err(trouble)?;
            let size = if sink.regular { sink.size().map_err(trouble)? } else { 0 };
            let again = redo.and_then(|redo| redo.record.targets.iter().find(|target| target.path == *path));
            let mut target = Target {
                path: path.clone(),
                device: sink.device,
                inode: sink.inode,
                offset: size,
                length: 0,
                ends_line_of: match again {
                    Some(again) => again.ends_line_of,
                    None => sink.open_line.filter(|(open, _)| *open != pump.key && pump.style.has_stamps()),
                },
                carry_before: again.map_or(before[index].0, |again| again.carry_before),
                carry_after: 0,
            };
            if let Some(again) = again
                && (again.device, again.inode) == (sink.device, sink.inode)
                && (again.offset..=again.offset + again.length).contains(&size)
            {
                // Over whatever part of it the predecessor had written.
                target.offset = again.offset;
            }
            let output = &mut self.outputs[index];
            output.clear();
            if target.ends_line_of.is_some() {
                output.push(b'\n');
            }
            let mut carry = Carry(target.carry_before);
            pump.style.render(&stamp, &self.bytes[..taken], record.end(), &mut carry, output);
            target.carry_after = carry.0;
            target.length = output.len() as u64;
            record.targets.push(target);
        }

        let slot_trouble = |error| Trouble { path: pump.targets.first().cloned().unwrap_or_default(), error };
        self.slot.prepare(&record).map_err(slot_trouble)?;
        for index in 0..record.targets.len() {
            let target = &record.targets[index];
            let written = match sinks.opened(&target.path) {
                Some(sink) if sink.regular => write_in_steps(&sink.file, &self.outputs[index], target.offset)
                    // A repetition in another form (the options changed meanwhile) may be shorter.
                    .and_then(|()| cut_longer(&sink.file, target, redo)),
                Some(sink) => send(&mut sink.file, &self.outputs[index], &mut sent[index]),
                None => Err(io::Error::from(io::ErrorKind::NotFound)),
            };
            if let Err(error) = written {
                for undo in &record.targets[..=index] {
                    if let Some(sink) = sinks.opened(&undo.path).filter(|sink| sink.regular) {
                        // What can't be cut off is written over by the next attempt, which starts at the same offset.
                        let _ = cut_back(&sink.file, undo.offset, undo.length);
                    }
                }
                let _ = self.slot.done();
                let path = target.path.clone();
                for target in &mut record.targets {
                    // Cut back: the next attempt starts at the size of its time, others may have written by then.
                    target.inode = 0;
                }
                pump.redo = Some(Redo { record, sent });
                return Err(Trouble { path, error });
            }
        }
        self.commit(pump, taken).map_err(slot_trouble)?;
        remember(&mut self.slot, &record)
            .and_then(|()| self.slot.done())
            .and_then(|()| drop_some(&self.commit.0, taken, &self.nowhere))
            .map_err(slot_trouble)?;
        for (index, target) in record.targets.iter().enumerate() {
            if let Some(sink) = sinks.opened(&target.path) {
                let open = target.carry_after != 0 && pump.style.has_stamps();
                sink.open_line = open.then_some((pump.key, index));
                sink.whole_line = target.carry_after == 0 && self.outputs[index].last() == Some(&b'\n');
            }
            if target.length > 0 {
                sinks.wrote(&target.path, target.offset, wall);
            }
        }
        Ok(())
    }

    /// Takes the written bytes out of the FIFO.
    fn commit(&mut self, pump: &Pump, taken: usize) -> io::Result<()> {
        let mut left = taken;
        while left > 0 {
            match splice(&pump.reader, None, &self.commit.1, None, left, SpliceFlags::NONBLOCK | SpliceFlags::MOVE) {
                // They were there a moment ago and nobody else takes any.
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(moved) => left -= moved,
                Err(Errno::INTR) => {}
                // The pipe is full, which its size excludes; the batch is committed already by what is in it.
                Err(Errno::AGAIN) => drop_all(&self.commit.0, &self.nowhere)?,
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }
}

/// Keeps the states of the lines after the batch: its own, and those that it ended.
fn remember(slot: &mut Slot, record: &Record) -> io::Result<()> {
    let mut after = [Carry::default(); 2];
    for (index, target) in record.targets.iter().enumerate().take(2) {
        after[index] = Carry(target.carry_after);
        if let Some((ended, file)) = target.ends_line_of {
            let mut carries = slot.carries(&ended);
            if let Some(carry) = carries.get_mut(file) {
                *carry = Carry::default();
            }
            slot.set_carries(ended, carries)?;
        }
    }
    slot.set_carries(record.key, after)
}

/// Writes all of it. See [`STEP`] for why not at once.
pub(super) fn write_in_steps(file: &File, output: &[u8], offset: u64) -> io::Result<()> {
    let mut offset = offset;
    for step in output.chunks(STEP) {
        file.write_all_at(step, offset)?;
        offset += step.len() as u64;
    }
    Ok(())
}

/// Removes the bytes from `offset` if they are the last of the file and no more than the batch's.
pub(super) fn cut_back(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let size = file.metadata()?.len();
    if size > offset && size <= offset + length { file.set_len(offset) } else { Ok(()) }
}

/// Removes what an earlier, longer form of the batch has left behind this one.
fn cut_longer(file: &File, target: &Target, redo: Option<&Redo>) -> io::Result<()> {
    let Some(before) = redo.and_then(|redo| redo.record.targets.iter().find(|before| before.path == target.path))
    else {
        return Ok(());
    };
    let same = (before.device, before.inode, before.offset) == (target.device, target.inode, target.offset);
    if same && before.length > target.length {
        return cut_back(file, target.offset + target.length, before.length - target.length);
    }
    Ok(())
}

/// Writes to something without offsets, from where the last attempt ended.
fn send(file: &mut File, output: &[u8], sent: &mut usize) -> io::Result<()> {
    while *sent < output.len() {
        match file.write(&output[*sent..]) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(count) => *sent += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
