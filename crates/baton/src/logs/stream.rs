//! One log as one run of bytes: what rotation has set aside, oldest first, then the file that is being written. A place
//! in it is a [`Place`]; places are found by time or by lines without reading what lies between.

use super::place::{Place, Unpacked, line_start, lines_before};
use super::time;
use baton_os::logs::parts::{Compression, Part, parts};
use baton_os::logs::times::{SLACK, Span, Times};
use jiff::tz::TimeZone;
use memchr::memchr;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// How much is read at once, in bytes.
pub(crate) const BLOCK: usize = 256 * 1024;
/// A file that is rotated again and again while it is looked at is taken as it was last seen.
const LOOKS: usize = 10;
/// How far a line's own time may be behind the time it was written, when a file is searched by it (ms).
const LATE: u64 = 5_000;
/// Lines that are slightly out of order are found when the search begins so many bytes earlier.
const DISORDER: u64 = 64 * 1024;
/// Device and inode of a file that is not there.
const NOWHERE: (u64, u64) = (0, 0);

/// One file of a log.
#[derive(Debug)]
struct Piece {
    path: PathBuf,
    content: Content,
    device: u64,
    inode: u64,
    /// Nothing in it was written before (ms); 0 when that is not known.
    began: u64,
    /// Or after.
    ended: u64,
    times: OnceCell<Times>,
}

#[derive(Debug)]
enum Content {
    /// Open, and how much of it counts.
    Plain(File, u64),
    Packed(Part),
    /// Read, and not needed any more.
    Done,
}

/// A log that is being read.
#[derive(Debug)]
pub(crate) struct Stream {
    path: PathBuf,
    times: PathBuf,
    pieces: Vec<Piece>,
    at: Place,
    unpacked: Option<Unpacked>,
    /// Leave out everything up to the next newline.
    skip: bool,
    /// Names of parts that are read or were there before.
    known: BTreeSet<OsString>,
    /// From here on bytes are written while we look.
    live: Option<Place>,
    /// What could not be read, for a warning.
    pub(crate) troubles: Vec<String>,
}

impl Stream {
    /// The log at `path` from its first byte to its end of this moment. `times` is where the times of log files are.
    ///
    /// # Errors
    /// When neither the file nor anything that was set aside is there, or it can't be read.
    pub(crate) fn open(path: &Path, times: &Path) -> io::Result<Stream> {
        let mut file = open(path)?;
        let mut list = parts(path)?;
        for _ in 0..LOOKS {
            // A rotation in between would show a file twice or not at all.
            let again = open(path)?;
            let same = inode(again.as_ref())? == inode(file.as_ref())?;
            let listed = parts(path)?;
            let settled = same && listed.iter().map(name).eq(list.iter().map(name));
            (file, list) = (again, listed);
            if settled {
                break;
            }
        }
        if file.is_none() && list.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let began = list.last().map_or(0, |part| part.ended.0);
        let known = list.iter().map(name).collect();
        let mut pieces: Vec<Piece> = list.into_iter().map(piece).collect();
        pieces.push(match file {
            Some(file) => live(path, file, began)?,
            None => nothing(path, began),
        });
        Ok(Stream {
            path: path.to_owned(),
            times: times.to_owned(),
            pieces,
            at: Place::default(),
            unpacked: None,
            skip: false,
            known,
            live: None,
            troubles: Vec::new(),
        })
    }

    /// Where reading goes on.
    pub(crate) fn place(&self) -> Place {
        self.at
    }

    /// Reads on from there.
    pub(crate) fn seek(&mut self, place: Place) {
        self.at = place;
        self.unpacked = None;
        self.skip = false;
    }

    /// The end of what counts.
    pub(crate) fn end(&self) -> Place {
        let piece = self.pieces.len() - 1;
        let offset = match &self.pieces[piece].content {
            Content::Plain(_, size) => *size,
            Content::Packed(_) | Content::Done => u64::MAX,
        };
        Place { piece, offset }
    }

    /// How many files there are.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Appends the next bytes to `buffer`, and gives the place of the first of them; `None` at the end.
    ///
    /// # Errors
    /// When the file that is being written can't be read. A damaged part is told in `troubles` and its rest left out.
    pub(crate) fn fill(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Place>> {
        loop {
            let last = self.at.piece + 1 == self.pieces.len();
            let Some(piece) = self.pieces.get_mut(self.at.piece) else { return Ok(None) };
            let start = buffer.len();
            let read = match &mut piece.content {
                Content::Done => Ok(0),
                Content::Plain(file, size) => {
                    let mut size = *size;
                    if last && self.live.is_some() {
                        size = file.metadata()?.len();
                        if size < self.at.offset {
                            // It was emptied: what is in it now is new.
                            self.at.offset = 0;
                        }
                    }
                    // No more than there is: who follows many logs has small buffers.
                    let room = BLOCK.min(usize::try_from(size.saturating_sub(self.at.offset)).unwrap_or(BLOCK));
                    buffer.resize(start + room, 0);
                    let read = read_at(file, &mut buffer[start..], self.at.offset);
                    buffer.truncate(start + read.as_ref().copied().unwrap_or(0));
                    read
                }
                Content::Packed(part) => {
                    let offset = self.at.offset;
                    let unpacked = self.unpacked.get_or_insert_with(|| Unpacked::start(part.clone(), offset));
                    unpacked.next(buffer)
                }
            };
            match read {
                Ok(0) if last => return Ok(None),
                Ok(0) => {
                    piece.content = Content::Done;
                    self.seek(Place { piece: self.at.piece + 1, offset: 0 });
                }
                Ok(count) => {
                    let mut place = self.at;
                    self.at.offset += count as u64;
                    if self.skip {
                        let Some(newline) = memchr(b'\n', &buffer[start..]) else {
                            buffer.truncate(start);
                            continue;
                        };
                        self.skip = false;
                        place.offset += newline as u64 + 1;
                        buffer.drain(start..=start + newline);
                    }
                    return Ok(Some(place));
                }
                Err(error) if last => return Err(error),
                Err(error) => {
                    // A part that was retired meanwhile is as good as one that was never there.
                    if error.kind() != io::ErrorKind::NotFound {
                        self.troubles.push(format!("{}: {error}", piece.path.display()));
                    }
                    piece.content = Content::Done;
                    self.seek(Place { piece: self.at.piece + 1, offset: 0 });
                }
            }
        }
    }

    /// When the byte at a place was written, as far as that is known.
    pub(crate) fn written(&self, place: Place) -> Span {
        if self.live.is_some_and(|live| place >= live) {
            let now = baton_os::clock::now().wall.0;
            return Span { from: now, to: now };
        }
        let Some(piece) = self.pieces.get(place.piece) else { return Span { from: 0, to: u64::MAX } };
        let bounds = Span { from: piece.began, to: piece.ended.max(piece.began) };
        match piece.times(&self.times).at(place.offset) {
            Some(span) => Span { from: span.from.max(if span.from == 0 { bounds.from } else { 0 }), to: span.to },
            None => bounds,
        }
    }

    /// Whether the time of each byte of a place's file is known to the second.
    pub(crate) fn is_timed(&self, place: Place) -> bool {
        let live = self.live.is_some_and(|live| place >= live);
        live || self.pieces.get(place.piece).is_some_and(|piece| !piece.times(&self.times).is_empty())
    }

    /// Goes to the first line that may have been written at `since` or later.
    pub(crate) fn seek_time(&mut self, since: u64, zone: &TimeZone) {
        for index in 0..self.pieces.len() {
            let piece = &self.pieces[index];
            if piece.ended.saturating_add(SLACK) < since {
                continue;
            }
            let times = piece.times(&self.times);
            let offset = if times.is_empty() { Some(piece.search(since, zone)) } else { times.first_at(since) };
            if let Some(offset) = offset {
                // Behind the first newline, which may be the one just before it.
                self.seek(Place { piece: index, offset: offset.saturating_sub(1) });
                self.skip = offset > 0;
                return;
            }
        }
        self.seek(self.end());
    }

    /// Reads no further than to what was written after `until`.
    pub(crate) fn cut_time(&mut self, until: u64, zone: &TimeZone) {
        let until = until.saturating_add(LATE);
        let mut keep = self.pieces.len();
        while keep > 1 && self.pieces[keep - 1].began > until {
            keep -= 1;
        }
        self.pieces.truncate(keep);
        if let Some(piece) = self.pieces.last_mut() {
            let times = piece.times(&self.times);
            let timed = !times.is_empty();
            let after = times.first_after(until);
            let cut = match &piece.content {
                Content::Plain(_, size) if timed => after.unwrap_or(*size),
                Content::Plain(_, size) => piece.search(until + 1, zone).saturating_add(2 * DISORDER).min(*size),
                _ => return,
            };
            if let Content::Plain(file, size) = &mut piece.content {
                *size = line_start(file, cut, *size);
            }
        }
    }

    /// Goes to this byte of what was this file then; false when it is not among the files, or compressed by now.
    pub(crate) fn seek_file(&mut self, (device, inode): (u64, u64), offset: u64) -> bool {
        let piece = self.pieces.iter().position(|piece| (piece.device, piece.inode) == (device, inode));
        if let Some(piece) = piece {
            self.seek(Place { piece, offset });
        }
        piece.is_some()
    }

    /// Goes to the last `count` lines. An unfinished last line counts as one.
    ///
    /// # Errors
    /// When a file can't be read.
    pub(crate) fn seek_lines(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            self.seek(self.end());
            return Ok(());
        }
        let mut wanted = count;
        // A file whose first byte begins a line unless the one before it ends within one.
        let mut head: Option<usize> = None;
        for index in (0..self.pieces.len()).rev() {
            let (lines, whole) = match &self.pieces[index].content {
                Content::Plain(_, 0) | Content::Done => continue,
                Content::Plain(file, size) => {
                    let mut last = [0];
                    file.read_exact_at(&mut last, size - 1)?;
                    (None, last == *b"\n")
                }
                Content::Packed(part) => match Unpacked::lines(part, wanted) {
                    Ok(lines) if lines.size == 0 => continue,
                    Ok(lines) => {
                        let whole = lines.whole;
                        (Some(lines), whole)
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        self.troubles.push(format!("{}: {error}", part.path.display()));
                        break;
                    }
                },
            };
            if let Some(head) = head.filter(|_| whole) {
                wanted -= 1;
                if wanted == 0 {
                    self.seek(Place { piece: head, offset: 0 });
                    return Ok(());
                }
            }
            let found = match (&lines, &self.pieces[index].content) {
                (Some(lines), _) => {
                    let first = lines.starts.len().checked_sub(wanted);
                    first.map(|at| lines.starts[at]).ok_or(lines.starts.len())
                }
                (None, Content::Plain(file, size)) => lines_before(file, *size, wanted)?,
                (None, _) => Err(0),
            };
            match found {
                Ok(offset) => {
                    self.seek(Place { piece: index, offset });
                    return Ok(());
                }
                Err(fewer) => wanted -= fewer,
            }
            head = Some(index);
        }
        self.seek(Place { piece: head.unwrap_or(0), offset: 0 });
        Ok(())
    }

    /// Goes to this file, behind the first end of a line: what stands before it may be the rest of a line that began
    /// earlier.
    pub(crate) fn seek_piece(&mut self, piece: usize) {
        self.seek(Place { piece, offset: 0 });
        self.skip = piece > 0;
    }

    /// From now on what is written while we look counts too, from where reading goes on.
    pub(crate) fn follow(&mut self) {
        if let Some(Piece { content: Content::Plain(_, size), .. }) = self.pieces.last_mut() {
            *size = u64::MAX;
        }
        self.live.get_or_insert(self.at);
    }

    /// Looks whether another file is at the path by now, and lines up what was set aside meanwhile and that file.
    ///
    /// # Errors
    /// When the file can't be opened; that it is not there is no error.
    pub(crate) fn look_again(&mut self) -> io::Result<()> {
        for _ in 0..LOOKS {
            let Some(file) = open(&self.path)? else { return Ok(()) };
            let data = file.metadata()?;
            let current = self.pieces.last().map(|piece| (piece.device, piece.inode));
            if current == Some((data.dev(), data.ino())) {
                return Ok(());
            }
            let list = parts(&self.path)?;
            if inode(open(&self.path)?.as_ref())? != Some(data.ino()) {
                continue;
            }
            let mut fresh: Vec<Part> = list.into_iter().filter(|part| !self.known.contains(&name(part))).collect();
            let known: Vec<OsString> = fresh.iter().map(name).collect();
            // The oldest new part is what the file that we read has become; only what came after it is new to us.
            let own = fresh
                .iter()
                .position(|part| part.path.metadata().is_ok_and(|data| current == Some((data.dev(), data.ino()))));
            let ours = if current == Some(NOWHERE) { 0 } else { own.map_or(1, |own| own + 1) };
            fresh.drain(..ours.min(fresh.len()));
            if data.len() == 0 && fresh.is_empty() {
                // Whoever writes may still write to the file of before; the first byte in this one says that it is left.
                return Ok(());
            }
            self.known.extend(known);
            self.pieces.extend(fresh.into_iter().map(piece));
            let mut next = live(&self.path, file, 0)?;
            if let Content::Plain(_, size) = &mut next.content {
                *size = u64::MAX;
            }
            self.pieces.push(next);
            return Ok(());
        }
        Ok(())
    }

    /// When the file that is being written was written last (ms since the Unix epoch).
    pub(crate) fn modified(&self) -> u64 {
        self.pieces.last().map_or(0, |piece| piece.ended)
    }
}

impl Piece {
    fn times(&self, folder: &Path) -> &Times {
        self.times.get_or_init(|| {
            let file = match &self.content {
                Content::Plain(file, _) => file.try_clone(),
                Content::Packed(_) | Content::Done => File::open(&self.path),
            };
            file.map(|file| Times::load(folder, &self.path, &file)).unwrap_or_default()
        })
    }

    /// Where lines begin to carry stamps of `since` or later; 0 when they carry none.
    fn search(&self, since: u64, zone: &TimeZone) -> u64 {
        let Content::Plain(file, size) = &self.content else { return 0 };
        let (mut low, mut high) = (0, *size);
        while high - low > DISORDER {
            let middle = low + (high - low) / 2;
            match stamp_near(file, middle, *size, zone) {
                Some(stamp) if stamp < since => low = middle,
                Some(_) => high = middle,
                None => return 0,
            }
        }
        low.saturating_sub(DISORDER)
    }
}

/// The first stamp of a line behind a place, among those that are near.
fn stamp_near(file: &File, offset: u64, size: u64, zone: &TimeZone) -> Option<u64> {
    let mut block = vec![0; usize::try_from(DISORDER.min(size - offset)).unwrap_or(0)];
    file.read_exact_at(&mut block, offset).ok()?;
    let mut lines = block.split(|byte| *byte == b'\n').skip(usize::from(offset > 0)).peekable();
    while let Some(line) = lines.next() {
        // The last one may be cut off.
        lines.peek()?;
        let own = time::stamp(line, zone).or_else(|| super::record::facts(line, zone).and_then(|facts| facts.time));
        if own.is_some() {
            return own;
        }
    }
    None
}

fn piece(part: Part) -> Piece {
    let (began, ended) = (part.began.map_or(0, |began| began.0), part.ended.0);
    let path = part.path.clone();
    let plain = if part.compression == Compression::None { File::open(&path).ok() } else { None };
    let (device, inode, content) = match plain.and_then(|file| Some((file.metadata().ok()?, file))) {
        Some((data, file)) => (data.dev(), data.ino(), Content::Plain(file, data.len())),
        // It may have been compressed meanwhile: opening it finds out.
        None => (0, 0, Content::Packed(part)),
    };
    Piece { path, content, device, inode, began, ended, times: OnceCell::new() }
}

/// What stands for the file that is being written while there is none: rotation has set it aside, and nothing came since.
fn nothing(path: &Path, began: u64) -> Piece {
    let (device, inode) = NOWHERE;
    Piece { path: path.to_owned(), content: Content::Done, device, inode, began, ended: began, times: OnceCell::new() }
}

fn live(path: &Path, file: File, began: u64) -> io::Result<Piece> {
    let data = file.metadata()?;
    // A device or a pipe has no past.
    let size = if data.is_file() { data.len() } else { 0 };
    Ok(Piece {
        path: path.to_owned(),
        content: Content::Plain(file, size),
        device: data.dev(),
        inode: data.ino(),
        began: began.max(if size == 0 { modified(&data) } else { 0 }),
        ended: modified(&data),
        times: OnceCell::new(),
    })
}

fn modified(data: &Metadata) -> u64 {
    let since = data.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The file of this path, when there is one.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn inode(file: Option<&File>) -> io::Result<Option<u64>> {
    file.map(|file| file.metadata().map(|data| data.ino())).transpose()
}

/// What a part is called, compressed or not.
fn name(part: &Part) -> OsString {
    match part.compression {
        Compression::None => part.path.as_os_str().to_owned(),
        Compression::Gzip | Compression::Zstd => part.path.with_extension("").into_os_string(),
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
