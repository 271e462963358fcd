//! Places in a log, and how they are found: backwards in blocks in a file, by unpacking in a compressed one.

use super::stream::BLOCK;
use baton_os::logs::parts::Part;
use memchr::{memchr, memchr_iter, memrchr_iter};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// How much is read at once when reading backwards, in bytes.
const STEP: u64 = 64 * 1024;
/// Blocks that are unpacked ahead.
const AHEAD: usize = 8;

/// A place in a log: which of its files, and the offset in what that holds, unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The number of the file, oldest first.
    pub(crate) piece: usize,
    /// Bytes from its beginning.
    pub(crate) offset: u64,
}

/// Where the last `count` of the lines that begin behind a newline in the first `size` bytes of a file begin, or how many
/// there are when they are fewer. `count` is not 0.
///
/// # Errors
/// When the file can't be read.
pub(crate) fn lines_before(file: &File, size: u64, count: usize) -> io::Result<Result<u64, usize>> {
    let mut start = size;
    let mut lines = 0;
    let mut block = vec![0; usize::try_from(STEP.min(size)).unwrap_or(0)];
    while start > 0 {
        let length = STEP.min(start);
        let block = &mut block[..usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(block, start - length)?;
        for at in memrchr_iter(b'\n', block) {
            let next = start - length + at as u64 + 1;
            // No line begins behind the last newline.
            lines += usize::from(next != size);
            if lines == count {
                return Ok(Ok(next));
            }
        }
        start -= length;
    }
    Ok(Err(lines))
}

/// What unpacking a part has told of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    /// Where the last of those that begin behind a newline begin.
    pub(crate) starts: VecDeque<u64>,
    /// How many bytes there are.
    pub(crate) size: u64,
    /// Whether the last of them is a newline.
    pub(crate) whole: bool,
}

/// The beginning of the first line at or behind `offset` in the first `size` bytes of a file.
pub(crate) fn line_start(file: &File, offset: u64, size: u64) -> u64 {
    if offset == 0 {
        return 0;
    }
    let mut at = offset - 1;
    let mut block = vec![0; usize::try_from(STEP).unwrap_or(0)];
    while at < size {
        match file.read_at(&mut block, at) {
            Ok(0) | Err(_) => break,
            Ok(count) => match memchr(b'\n', &block[..count]) {
                Some(found) => return (at + found as u64 + 1).min(size),
                None => at += count as u64,
            },
        }
    }
    size
}

/// A compressed part that a thread of its own unpacks.
#[derive(Debug)]
pub(crate) struct Unpacked {
    blocks: Receiver<io::Result<Vec<u8>>>,
}

impl Unpacked {
    /// Unpacks a part from this offset on.
    pub(crate) fn start(part: Part, offset: u64) -> Unpacked {
        let (sender, blocks) = sync_channel(AHEAD);
        let spare = sender.clone();
        let work = move || {
            let mut reader = match part.open() {
                Ok(reader) => reader,
                Err(error) => return drop(sender.send(Err(error))),
            };
            if let Err(error) = io::copy(&mut reader.by_ref().take(offset), &mut io::sink()) {
                return drop(sender.send(Err(error)));
            }
            loop {
                let mut block = Vec::with_capacity(BLOCK);
                let read = reader.by_ref().take(BLOCK as u64).read_to_end(&mut block);
                let ended = block.is_empty();
                // What could be unpacked counts before what is damaged.
                if (!ended && sender.send(Ok(block)).is_err()) || (ended && read.is_ok()) {
                    return;
                }
                if let Err(error) = read {
                    return drop(sender.send(Err(error)));
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("unpack".into()).spawn(work) {
            // There is room: nothing was sent.
            let _ = spare.send(Err(error));
        }
        Unpacked { blocks }
    }

    /// Appends the next bytes; 0 at the end.
    ///
    /// # Errors
    /// When the part can't be opened or is damaged.
    pub(crate) fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self.blocks.recv() {
            Ok(Ok(block)) => {
                buffer.extend_from_slice(&block);
                Ok(block.len())
            }
            Ok(Err(error)) => Err(error),
            // The thread has come to the end.
            Err(_) => Ok(0),
        }
    }

    /// The last `count` lines of a part.
    ///
    /// # Errors
    /// As [`Unpacked::next`].
    pub(crate) fn lines(part: &Part, count: usize) -> io::Result<Lines> {
        let mut unpacked = Unpacked::start(part.clone(), 0);
        let mut lines = Lines { starts: VecDeque::new(), size: 0, whole: false };
        let mut block = Vec::new();
        while unpacked.next(&mut block)? > 0 {
            for at in memchr_iter(b'\n', &block) {
                lines.starts.push_back(lines.size + at as u64 + 1);
                if lines.starts.len() > count + 1 {
                    lines.starts.pop_front();
                }
            }
            lines.size += block.len() as u64;
            block.clear();
        }
        // No line begins behind the last newline.
        lines.whole = lines.starts.back() == Some(&lines.size);
        if lines.whole {
            lines.starts.pop_back();
        }
        while lines.starts.len() > count {
            lines.starts.pop_front();
        }
        Ok(lines)
    }
}
