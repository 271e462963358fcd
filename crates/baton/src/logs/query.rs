//! What is asked of logs: which lines, from where on.

use super::cursor::{Cursor, Wanted};
use super::source::Source;
use super::stream::Stream;
use jiff::tz::TimeZone;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::path::PathBuf;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Which lines.
    pub(crate) wanted: Wanted,
    /// Only so many of the last of these; all without.
    pub(crate) lines: Option<usize>,
    /// Where the times of log files are.
    pub(crate) times: PathBuf,
    /// For times without a zone.
    pub(crate) zone: TimeZone,
}

impl Query {
    /// A cursor before the first line that is asked for.
    ///
    /// # Errors
    /// When the log is not there or can't be read.
    pub(crate) fn open(&self, source: Source) -> io::Result<Cursor> {
        match self.lines {
            None => Ok(self.cursor(source.clone(), self.stream(&source, None)?)),
            Some(0) => {
                let mut stream = Stream::open(&source.path, &self.times)?;
                stream.seek(stream.end());
                Ok(self.cursor(source, stream))
            }
            Some(count) if !self.wanted.is_choosy() => {
                let mut stream = Stream::open(&source.path, &self.times)?;
                stream.seek_lines(count)?;
                Ok(self.cursor(source, stream))
            }
            Some(count) => self.last(&source, count),
        }
    }

    /// Looks for the last lines in the newest files first, and in more when these have too few.
    fn last(&self, source: &Source, count: usize) -> io::Result<Cursor> {
        let mut pieces = 1;
        loop {
            let stream = self.stream(source, Some(pieces))?;
            let all = stream.pieces() <= pieces;
            let mut cursor = self.cursor(source.clone(), stream);
            let found = cursor.keep_last(count)?;
            // A few more than asked, so that those around the oldest one are there too.
            if all || found > count + self.wanted.before {
                return Ok(cursor);
            }
            pieces *= 2;
        }
    }

    fn stream(&self, source: &Source, pieces: Option<usize>) -> io::Result<Stream> {
        let mut stream = Stream::open(&source.path, &self.times)?;
        if let Some(until) = self.wanted.until {
            stream.cut_time(until, &self.zone);
        }
        if let Some(since) = self.wanted.since {
            stream.seek_time(since, &self.zone);
        }
        let first = stream.pieces().saturating_sub(pieces.unwrap_or(usize::MAX));
        if first > stream.place().piece {
            stream.seek_piece(first);
        }
        Ok(stream)
    }

    fn cursor(&self, source: Source, stream: Stream) -> Cursor {
        Cursor::new(source, stream, self.wanted.clone(), self.zone.clone())
    }
}

/// Gives the lines of all these cursors up to their ends, by time. Lines of one log keep their order, and of equal times
/// those of the first log come first.
///
/// # Errors
/// When `give` says one. A log that can't be read is told in its troubles and left.
pub(crate) fn merge(
    cursors: &mut [&mut Cursor],
    finish: impl Fn(&Cursor) -> bool,
    mut give: impl FnMut(&Cursor) -> io::Result<()>,
) -> io::Result<()> {
    let advance = |cursor: &mut Cursor| -> Option<u64> {
        loop {
            match cursor.advance() {
                Ok(true) => return cursor.current().map(|(stop, _)| stop.time),
                Ok(false) if cursor.is_amid_line() && finish(cursor) => cursor.finish(),
                Ok(false) => return None,
                Err(error) => {
                    let text = format!("{}: {error}", cursor.source.path.display());
                    cursor.stream.troubles.push(text);
                    return None;
                }
            }
        }
    };
    let mut heads: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    for (index, cursor) in cursors.iter_mut().enumerate() {
        heads.extend(advance(cursor).map(|time| Reverse((time, index))));
    }
    while let Some(Reverse((_, index))) = heads.pop() {
        let other = heads.peek().map(|Reverse(other)| *other);
        loop {
            give(cursors[index])?;
            let Some(time) = advance(cursors[index]) else { break };
            if other.is_some_and(|other| (time, index) > other) {
                heads.push(Reverse((time, index)));
                break;
            }
        }
    }
    Ok(())
}
