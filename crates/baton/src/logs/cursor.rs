//! Goes through one log and stops at the lines that are wanted, with the lines around them.

use super::pattern::Pattern;
use super::place::Place;
use super::record::{self, Level};
use super::source::{Source, Stream as Channel};
use super::stream::{BLOCK, Stream};
use super::time;
use jiff::tz::TimeZone;
use memchr::{memchr, memrchr};
use std::collections::VecDeque;
use std::io;
use std::ops::Range;

/// How far the time that a line says of itself may be from the time when it was written (ms): beyond that it is part of
/// what the line is about.
const PLAUSIBLE: u64 = 60_000;

/// Which lines are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Those that match.
    pub(crate) pattern: Option<Pattern>,
    /// Those of records that are as grave as this.
    pub(crate) level: Option<Level>,
    /// Those not before (ms since the Unix epoch).
    pub(crate) since: Option<u64>,
    /// Those not after.
    pub(crate) until: Option<u64>,
    /// And so many lines before each.
    pub(crate) before: usize,
    /// And so many behind.
    pub(crate) after: usize,
    /// The longest line that is kept whole, in bytes.
    pub(crate) longest: usize,
    /// Whether the times of lines matter to who reads them.
    pub(crate) timed: bool,
    /// Whether an unfinished line at the end may go on.
    pub(crate) follows: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        let (pattern, level, since, until) = (None, None, None, None);
        Wanted { pattern, level, since, until, before: 0, after: 0, longest: 64 << 20, timed: true, follows: false }
    }
}

impl Wanted {
    /// Whether some lines of a log may not be wanted.
    pub(crate) fn is_choosy(&self) -> bool {
        self.pattern.is_some() || self.level.is_some() || self.since.is_some() || self.until.is_some()
    }
}

/// A line where the cursor has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    range: Range<usize>,
    /// When it was written, as far as that is known (ms since the Unix epoch). Never before the line before it.
    pub(crate) time: u64,
    /// Whether it is wanted for itself.
    pub(crate) hit: bool,
    /// Whether lines before it were left out since the last one.
    pub(crate) gap: bool,
}

/// A log with a place in it.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Whose log it is.
    pub(crate) source: Source,
    /// Where the bytes come from.
    pub(crate) stream: Stream,
    wanted: Wanted,
    zone: TimeZone,
    bytes: Vec<u8>,
    /// Which places of the log the bytes have.
    places: VecDeque<(usize, Place)>,
    /// The end of the last line given.
    given: usize,
    /// The first line that was not looked at yet.
    next: usize,
    /// The end of the whole lines.
    whole: usize,
    /// The next wanted line, if it was looked for; `None` in it when there is none.
    found: Option<Option<Range<usize>>>,
    /// Lines to give, up to the end of a wanted one.
    due: Range<usize>,
    /// Lines to give behind the last wanted one.
    after: usize,
    /// Whether lines behind the last given one are no longer there.
    dropped: bool,
    anything_given: bool,
    /// Lines that were gone through already and are given first.
    kept: VecDeque<(Stop, Vec<u8>)>,
    shown: Option<(Stop, Vec<u8>)>,
    /// Time of the last line.
    time: u64,
    /// Whether lines that are no records belong to one that is wanted.
    verdict: bool,
    current: Option<Stop>,
}

impl Cursor {
    /// At the place where the stream is.
    pub(crate) fn new(source: Source, stream: Stream, wanted: Wanted, zone: TimeZone) -> Cursor {
        // Text before the first record is not hidden when it comes from standard error.
        let verdict = source.stream == Channel::Error || wanted.level <= Some(Level::Info);
        Cursor {
            source,
            stream,
            wanted,
            zone,
            bytes: Vec::new(),
            places: VecDeque::new(),
            given: 0,
            next: 0,
            whole: 0,
            found: None,
            due: 0..0,
            after: 0,
            dropped: false,
            anything_given: false,
            kept: VecDeque::new(),
            shown: None,
            time: 0,
            verdict,
            current: None,
        }
    }

    /// The line where it stands.
    pub(crate) fn current(&self) -> Option<(&Stop, &[u8])> {
        if let Some((stop, line)) = &self.shown {
            return Some((stop, line));
        }
        let stop = self.current.as_ref()?;
        Some((stop, &self.bytes[stop.range.clone()]))
    }

    /// Goes to the next wanted line. Says whether there is one; there may be one later when the log is followed.
    ///
    /// # Errors
    /// When the log can't be read.
    pub(crate) fn advance(&mut self) -> io::Result<bool> {
        self.shown = self.kept.pop_front();
        if self.shown.is_some() {
            return Ok(true);
        }
        self.current = None;
        loop {
            if self.due.start < self.due.end {
                let line = self.line_at(self.due.start);
                self.due.start = line.end;
                let hit = self.due.start == self.due.end;
                self.give(line, hit);
                return Ok(true);
            }
            if self.next >= self.whole && !self.refill()? {
                return Ok(false);
            }
            let found = match self.found.take() {
                Some(found) => found,
                None => self.search(),
            };
            let next_hit = found.as_ref().map_or(self.whole, |line| line.start);
            if self.after > 0 && self.next < next_hit {
                self.after -= 1;
                let line = self.line_at(self.next);
                self.next = line.end;
                self.found = Some(found);
                self.give(line, false);
                return Ok(true);
            }
            let Some(hit) = found else {
                self.next = self.whole;
                continue;
            };
            self.next = hit.end;
            if !self.is_in_time(&hit) {
                continue;
            }
            self.due = self.lines_before(hit.start)..hit.end;
            self.after = self.wanted.after;
        }
    }

    /// Goes to the end and keeps the last `count` wanted lines, with those around them, to be given first. Says how many
    /// there were.
    ///
    /// # Errors
    /// When the log can't be read.
    pub(crate) fn keep_last(&mut self, count: usize) -> io::Result<usize> {
        let mut kept: VecDeque<(Stop, Vec<u8>)> = VecDeque::new();
        let (mut hits, mut all) = (0, 0);
        loop {
            if !self.advance()? {
                if !self.is_amid_line() || self.wanted.follows {
                    break;
                }
                self.finish();
                continue;
            }
            let Some((stop, line)) = self.current() else { break };
            let hit = stop.hit;
            kept.push_back((stop.clone(), line.to_vec()));
            (hits, all) = (hits + usize::from(hit), all + usize::from(hit));
            if hits > count {
                hits -= 1;
                let mut wanted = kept.iter().enumerate().filter(|(_, (stop, _))| stop.hit).map(|(index, _)| index);
                // Of what stands before the next one is kept what is its context.
                let next = wanted.nth(1).unwrap_or(kept.len());
                let mut first = next;
                while first > 0 && next - first < self.wanted.before && kept.get(first).is_some_and(|(s, _)| !s.gap) {
                    first -= 1;
                }
                kept.drain(..first);
                kept.iter_mut().take(next - first).for_each(|(stop, _)| stop.hit = false);
            }
        }
        if let Some((first, _)) = kept.front_mut() {
            first.gap = false;
        }
        self.kept = kept;
        Ok(all)
    }

    /// The unfinished line at the end counts as a line from now on.
    pub(crate) fn finish(&mut self) {
        self.whole = self.bytes.len();
        self.found = None;
    }

    /// Whether lines are given for those around them.
    pub(crate) fn has_context(&self) -> bool {
        self.wanted.before + self.wanted.after > 0
    }

    /// Lines of any time are wanted from now on: those to come.
    pub(crate) fn unbound(&mut self) {
        (self.wanted.since, self.wanted.until, self.wanted.follows) = (None, None, true);
    }

    /// Whether there is an unfinished line.
    pub(crate) fn is_amid_line(&self) -> bool {
        self.whole < self.bytes.len()
    }

    fn give(&mut self, range: Range<usize>, hit: bool) {
        let gap = self.anything_given && (self.dropped || range.start != self.given);
        (self.anything_given, self.dropped) = (true, false);
        self.given = range.end;
        if self.wanted.timed {
            self.time = self.time.max(self.time_of(&range));
        }
        self.current = Some(Stop { range, time: self.time, hit, gap });
    }

    fn line_at(&self, start: usize) -> Range<usize> {
        let end = memchr(b'\n', &self.bytes[start..self.whole]).map_or(self.whole, |at| start + at + 1);
        start..end
    }

    /// The beginning of the context of a line.
    fn lines_before(&self, start: usize) -> usize {
        let mut begin = start;
        for _ in 0..self.wanted.before {
            if begin <= self.given {
                break;
            }
            begin = memrchr(b'\n', &self.bytes[self.given..begin - 1]).map_or(self.given, |at| self.given + at + 1);
        }
        begin
    }

    /// Reads on, and keeps what may be wanted before the next lines. Says whether there are more whole lines.
    fn refill(&mut self) -> io::Result<bool> {
        let keep = self.lines_before(self.next);
        self.forget(keep);
        loop {
            let mut start = self.bytes.len();
            let expected = self.stream.place();
            let Some(place) = self.stream.fill(&mut self.bytes)? else { return Ok(false) };
            if place.piece == expected.piece && place.offset < expected.offset {
                // The file was emptied, with the beginning of a line.
                self.bytes.drain(self.whole..start);
                start = self.whole;
            }
            self.places.push_back((start, place));
            match memrchr(b'\n', &self.bytes[start..]) {
                Some(at) => self.whole = start + at + 1,
                // Whoever writes without an end is shown in pieces.
                None if self.bytes.len() - self.next > self.wanted.longest => self.whole = self.bytes.len(),
                None => continue,
            }
            self.found = None;
            return Ok(true);
        }
    }

    /// Drops the bytes before `keep`.
    fn forget(&mut self, keep: usize) {
        self.bytes.drain(..keep);
        if self.wanted.follows && self.bytes.capacity() > BLOCK / 4 && self.bytes.len() < BLOCK / 16 {
            // Many logs may be followed that are mostly quiet.
            self.bytes.shrink_to(0);
        }
        self.dropped |= keep > self.given;
        self.given = self.given.saturating_sub(keep);
        self.next -= keep;
        self.whole -= keep;
        while self.places.get(1).is_some_and(|(start, _)| *start <= keep) {
            self.places.pop_front();
        }
        for (start, place) in &mut self.places {
            if *start < keep {
                place.offset += (keep - *start) as u64;
            }
            *start = start.saturating_sub(keep);
        }
    }

    fn place_of(&self, at: usize) -> Place {
        let index = self.places.partition_point(|(start, _)| *start <= at);
        match index.checked_sub(1).map(|index| self.places[index]) {
            Some((start, place)) => Place { offset: place.offset + (at - start) as u64, ..place },
            None => self.stream.place(),
        }
    }

    /// The next line from `next` on that has the pattern and the level.
    fn search(&mut self) -> Option<Range<usize>> {
        let lines = &self.bytes[..self.whole];
        let Some(level) = self.wanted.level else {
            return match &self.wanted.pattern {
                Some(pattern) => pattern.next(lines, self.next),
                None => Some(self.line_at(self.next)),
            };
        };
        let mut at = self.next;
        while at < self.whole {
            let line = self.line_at(at);
            at = line.end;
            let text = &self.bytes[line.clone()];
            if let Some(facts) = record::facts(text, &self.zone) {
                self.verdict = facts.level.map_or(level <= Level::Info, |found| found >= level);
            }
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            if self.verdict && self.wanted.pattern.as_ref().is_none_or(|pattern| pattern.matches(text)) {
                return Some(line);
            }
        }
        None
    }

    /// Whether a line may have been written in the wanted time.
    fn is_in_time(&self, line: &Range<usize>) -> bool {
        let (since, until) = (self.wanted.since, self.wanted.until);
        if since.is_none() && until.is_none() {
            return true;
        }
        let written = self.stream.written(self.place_of(line.start));
        let (from, to) = match self.own_time(line) {
            Some(own) => (own, own),
            None => (written.from, written.to),
        };
        since.is_none_or(|since| to >= since) && until.is_none_or(|until| from <= until)
    }

    /// When a line was written, as far as it is known.
    fn time_of(&self, line: &Range<usize>) -> u64 {
        self.own_time(line).unwrap_or_else(|| {
            let place = self.place_of(line.start);
            if self.time > 0 && !self.stream.is_timed(place) {
                // Nothing is known of it but what it follows.
                return self.time;
            }
            let written = self.stream.written(place);
            if written.from == 0 { written.to } else { written.from }
        })
    }

    /// The time that a line says of itself, when that can be the time it was written.
    fn own_time(&self, line: &Range<usize>) -> Option<u64> {
        let text = &self.bytes[line.clone()];
        let own = match text.first()? {
            b'{' => record::facts(text, &self.zone)?.time?,
            _ => time::stamp(text, &self.zone)?,
        };
        let place = self.place_of(line.start);
        let written = self.stream.written(place);
        let late = own > written.to.saturating_add(PLAUSIBLE);
        let early = self.stream.is_timed(place) && own.saturating_add(PLAUSIBLE) < written.from;
        (!late && !early).then_some(own)
    }
}
