//! `log_overflow: drop`: the app never waits for a file that can't be written. What waits in its FIFO is dropped, oldest
//! first, when there is no room for more; the bytes are counted, and the first line in the file after the trouble tells
//! how many there were.
//!
//! The count is on disk before the bytes go, so a SIGKILL in between can at most tell of bytes that were not dropped after
//! all, and one right after the line was written can at most repeat it.

use super::batch::{cut_back, write_in_steps};
use super::format::{Carry, End, Style};
use super::place;
use super::pump::{Pump, Trouble};
use super::raw::drop_some;
use super::sink::{Sink, Sinks};
use super::slot::{Carries, Slot};
use baton_core::units::WallTime;
use jiff::tz::TimeZone;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Drops what the FIFO holds if it may be full. Returns how many bytes that were.
///
/// # Errors
/// The slot can't be written or the FIFO not read.
pub(super) fn make_room(pump: &mut Pump, slot: &mut Slot, nowhere: &File) -> io::Result<usize> {
    let held = usize::try_from(rustix::io::ioctl_fionread(&pump.reader)?).unwrap_or(usize::MAX);
    // Of an app that is gone nothing more comes: what it said last can wait.
    if held < pump.crowded() || pump.drain.is_some() {
        return Ok(0);
    }
    // A reader that takes a part of a batch has that part.
    let delivered = match (&pump.style, &pump.redo, pump.targets.len()) {
        (Style::Plain, Some(redo), 1) => redo.sent[0].min(held),
        _ => 0,
    };
    slot.set_dropped(pump.key, slot.dropped(&pump.key) + (held - delivered) as u64)?;
    drop_some(&pump.reader, held, nowhere)?;
    pump.redo = None;
    Ok(held)
}

/// Tells the files of a stream how many bytes were dropped. The line that was open ends. Returns the number, and the first
/// of the files.
///
/// # Errors
/// A file can't be written: none of them was told.
pub(super) fn tell(
    pump: &Pump,
    sinks: &mut Sinks,
    slot: &mut Slot,
    now: Instant,
    wall: WallTime,
) -> Result<(u64, PathBuf), Trouble> {
    let dropped = slot.dropped(&pump.key);
    let stamp = pump.style.stamp(wall, &TimeZone::system());
    let text = format!("[baton] {dropped} bytes of output were dropped here: the log could not be written\n");
    let mut told: Vec<(&Path, u64, u64)> = Vec::new();
    for path in &pump.targets {
        let mut line = Vec::new();
        let written = sinks.get(path, now).and_then(|sink| {
            // For a reader: half a line may have gone out before.
            let (offset, open) = match sink.regular {
                true => (sink.size()?, ends_in_a_line(path, sink)?),
                false => (0, true),
            };
            if open {
                line.push(b'\n');
            }
            pump.style.render(&stamp, text.as_bytes(), End::Open, &mut Carry::default(), &mut line);
            match sink.regular {
                true => write_in_steps(&sink.file, &line, offset)?,
                // Shorter than what a FIFO takes as a whole.
                false => sink.file.write_all(&line)?,
            }
            sink.open_line = None;
            Ok(offset)
        });
        match written {
            Ok(offset) => told.push((path, offset, line.len() as u64)),
            Err(error) => {
                for (path, offset, length) in told {
                    if let Some(sink) = sinks.opened(path).filter(|sink| sink.regular) {
                        // What can't be cut off is a line too many, no more.
                        let _ = cut_back(&sink.file, offset, length);
                    }
                }
                return Err(Trouble { path: path.clone(), error });
            }
        }
    }
    for (path, offset, _) in told {
        sinks.wrote(path, offset, wall);
    }
    let first = pump.targets.first().cloned().unwrap_or_default();
    slot.set_carries(pump.key, Carries::default())
        .and_then(|()| slot.set_dropped(pump.key, 0))
        .map_err(|error| Trouble { path: first.clone(), error })?;
    Ok((dropped, first))
}

/// Whether the file ends within a line.
fn ends_in_a_line(path: &Path, sink: &Sink) -> io::Result<bool> {
    let size = sink.size()?;
    if size == 0 {
        return Ok(false);
    }
    let file = File::from(place::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK)?);
    let mut last = [0];
    file.read_exact_at(&mut last, size - 1)?;
    Ok(last != *b"\n")
}
