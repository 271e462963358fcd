//! The raw way: `splice` from the FIFO to the file. The bytes leave the one and enter the other in the same kernel call, so
//! a SIGKILL at any instant neither loses nor repeats any.

use super::pump::Left;
use super::sink::Sink;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// As much as one look takes: what the largest pipe holds, so that no stream keeps the others waiting for long.
pub(super) const ALL: usize = 1 << 20;
/// One step. Larger ones make the page cache look for larger contiguous pieces of memory, which costs more than the
/// calls saved (on virtual machines several times as much), and the writer can't write while a step is under way.
pub(super) const STEP: usize = 64 * 1024;

/// What a look came to.
#[derive(Debug)]
pub(super) enum Moved {
    /// So many bytes were moved, what is left, and the offset of the first of them in the file.
    Bytes(usize, Left, u64),
    /// This file can't be spliced to: a device, a terminal, some network and FUSE file systems.
    NotHere,
}

/// Moves what is in the FIFO, at most `most` bytes, to the end of the file, or to nowhere. From `much` bytes on there may
/// be more.
///
/// # Errors
/// The file can't be written; the bytes are still in the FIFO.
pub(super) fn pump(
    reader: &OwnedFd,
    sink: Option<&Sink>,
    nowhere: &File,
    much: usize,
    most: usize,
) -> io::Result<Moved> {
    let (mut total, mut first) = (0, 0);
    let left = loop {
        let (moved, offset) = step(reader, sink, nowhere, STEP.min(most - total))?;
        if total == 0 {
            first = offset;
        }
        match moved {
            Ok(0) => break Left::Closed,
            Ok(count) => {
                total += count;
                if total >= most {
                    break Left::More;
                }
                if count < STEP || total >= ALL {
                    break if total >= much { Left::More } else { Left::Soon };
                }
            }
            Err(Errno::INTR) => break Left::More,
            Err(Errno::AGAIN) if total == 0 => break Left::Nothing,
            Err(Errno::AGAIN) if total < much => break Left::Soon,
            Err(Errno::INVAL) if total == 0 => return Ok(Moved::NotHere),
            Err(other) if total == 0 => return Err(other.into()),
            // The next look meets it again and says so.
            Err(_) => break Left::More,
        }
    };
    Ok(Moved::Bytes(total, left, first))
}

/// One step of at most `most` bytes: how many bytes were moved, and to which offset.
fn step(
    reader: &OwnedFd,
    sink: Option<&Sink>,
    nowhere: &File,
    most: usize,
) -> io::Result<(rustix::io::Result<usize>, u64)> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(match sink {
        Some(sink) if sink.regular => {
            // The size of this moment: a user's `: > file` leaves no hole.
            let offset = sink.size()?;
            (splice(reader, None, &sink.file, Some(&mut offset.clone()), most, flags), offset)
        }
        Some(_) => (Err(Errno::INVAL), 0),
        None => (splice(reader, None, nowhere, None, most, flags), 0),
    })
}

/// Empties a pipe.
///
/// # Errors
/// It can't be read.
pub(super) fn drop_all(reader: &OwnedFd, nowhere: &File) -> io::Result<()> {
    loop {
        match splice(reader, None, nowhere, None, ALL, SpliceFlags::NONBLOCK) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

/// Drops the first `count` bytes of a pipe that has them.
///
/// # Errors
/// It can't be read.
pub(super) fn drop_some(reader: &OwnedFd, count: usize, nowhere: &File) -> io::Result<()> {
    let mut left = count;
    while left > 0 {
        match splice(reader, None, nowhere, None, left, SpliceFlags::NONBLOCK) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(()),
            Ok(dropped) => left -= dropped,
            Err(Errno::INTR) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
