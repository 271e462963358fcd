//! The raw way: `splice` from the FIFO to the file. The bytes leave the one and enter the other in the same kernel call, so
//! a SIGKILL at any instant neither loses nor repeats any.

use super::pump::Left;
use super::sink::Sink;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// More than a pipe holds.
const ALL: usize = 1 << 20;

/// What a look came to.
#[derive(Debug)]
pub(super) enum Moved {
    /// So many bytes were moved, what is left, and the offset of the first of them in the file.
    Bytes(usize, Left, u64),
    /// This file can't be spliced to: a device, a terminal, some network and FUSE file systems.
    NotHere,
}

/// Moves what is in the FIFO to the end of the file, or to nowhere. From `much` bytes on there may be more.
///
/// # Errors
/// The file can't be written; the bytes are still in the FIFO.
pub(super) fn pump(reader: &OwnedFd, sink: Option<&Sink>, nowhere: &File, much: usize) -> io::Result<Moved> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    let mut offset = 0;
    let moved = match sink {
        Some(sink) if sink.regular => {
            // The size of this moment: a user's `: > file` leaves no hole.
            offset = sink.size()?;
            splice(reader, None, &sink.file, Some(&mut offset.clone()), ALL, flags)
        }
        Some(_) => return Ok(Moved::NotHere),
        None => splice(reader, None, nowhere, None, ALL, flags),
    };
    match moved {
        Ok(0) => Ok(Moved::Bytes(0, Left::Closed, offset)),
        Ok(count) => Ok(Moved::Bytes(count, if count >= much { Left::More } else { Left::Soon }, offset)),
        Err(Errno::AGAIN) => Ok(Moved::Bytes(0, Left::Nothing, offset)),
        Err(Errno::INTR) => Ok(Moved::Bytes(0, Left::More, offset)),
        Err(Errno::INVAL) => Ok(Moved::NotHere),
        Err(other) => Err(other.into()),
    }
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
