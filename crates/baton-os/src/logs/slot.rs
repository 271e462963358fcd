//! The slot file: what the batch under way is, and which streams have an unfinished line in their files. It is written
//! before the thing it describes is done, so whoever comes after a SIGKILL knows what may have happened.
//!
//! Written with `pwrite` and not through a mapping: on a full disk a mapping is a SIGBUS, a write is an error. Both
//! survive the writer's death alike, being in the page cache. Nothing is synced: the FIFOs don't outlive a reboot either.

use super::format::{Carry, End};
use super::route::{Channel, StreamKey};
use baton_core::units::{Incarnation, InstanceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"batonlog";
const HEAD: u64 = 32;
/// Room for the description of one batch; two paths of the greatest length fit.
const RECORD_ROOM: usize = 64 * 1024;
const ENTRY: usize = 32;
const ENTRIES: u32 = 2048;

const IDLE: u32 = 0;
const PREPARED: u32 = 1;

/// One batch: everything that makes a repetition write the same bytes to the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: StreamKey,
    /// How many bytes leave the FIFO.
    pub(super) taken: usize,
    /// The time of the stamps.
    pub(super) wall: u64,
    pub(super) last: bool,
    pub(super) targets: Vec<Target>,
}

/// What a batch does to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    #[serde(with = "path_bytes")]
    pub(super) path: PathBuf,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
    /// The stream whose open line this batch ends first, and which of that stream's files this is.
    pub(super) ends_line_of: Option<(StreamKey, usize)>,
    pub(super) carry_before: u32,
    pub(super) carry_after: u32,
}

impl Record {
    pub(super) fn end(&self) -> End {
        if self.last { End::Final } else { End::Open }
    }
}

/// The two carries of a stream: of its own file and of the combined one.
pub(super) type Carries = [Carry; 2];

/// What is kept of a stream between two batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    carries: Carries,
    /// Bytes that were dropped and are not told of in its files yet.
    dropped: u64,
}

/// The open slot file.
#[derive(Debug)]
pub(super) struct Slot {
    file: File,
    lines: BTreeMap<StreamKey, (u32, Line)>,
    free: Vec<u32>,
}

impl Slot {
    /// Opens or creates the file. Returns the batch that a predecessor had begun, if its description is whole.
    ///
    /// # Errors
    /// What opening, reading or sizing the file gives.
    pub(super) fn open(path: &Path) -> io::Result<(Slot, Option<Record>)> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let size = HEAD + RECORD_ROOM as u64 + u64::from(ENTRIES) * ENTRY as u64;
        if file.metadata()?.len() != size {
            file.set_len(0)?;
            file.set_len(size)?;
        }
        // The blocks are taken now, so that a disk that fills up later doesn't stop the slot too. Not every file system
        // can; there, a failing write is reported as trouble like any other.
        let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, size);

        let mut head = [0u8; HEAD as usize];
        file.read_exact_at(&mut head, 0)?;
        let state = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        let length = u32::from_le_bytes([head[12], head[13], head[14], head[15]]) as usize;
        let mut begun = None;
        if head[..8] == MAGIC && state == PREPARED && length <= RECORD_ROOM {
            let mut body = vec![0u8; length];
            file.read_exact_at(&mut body, HEAD)?;
            // A description torn by the kill belongs to a batch that had not begun.
            if head[16..24] == checksum(&body).to_le_bytes() {
                begun = serde_json::from_slice(&body).ok();
            }
        }

        let mut slot = Slot { file, lines: BTreeMap::new(), free: Vec::new() };
        let mut entries = vec![[0u8; ENTRY]; ENTRIES as usize];
        slot.file.read_exact_at(entries.as_flattened_mut(), entry_offset(0))?;
        for (index, entry) in (0..ENTRIES).zip(&entries).rev() {
            match decode(entry) {
                Some((key, line)) => {
                    slot.lines.insert(key, (index, line));
                }
                None => slot.free.push(index),
            }
        }
        Ok((slot, begun))
    }

    /// Describes a batch that is about to be written. From here on a successor repeats or completes it.
    pub(super) fn prepare(&mut self, record: &Record) -> io::Result<()> {
        let body = serde_json::to_vec(record)?;
        if body.len() > RECORD_ROOM {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the paths of the log files are too long"));
        }
        let mut bytes = Vec::with_capacity(HEAD as usize + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&PREPARED.to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&checksum(&body).to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&body);
        self.file.write_all_at(&bytes, 0)
    }

    /// No batch is under way any more: it is complete, or it has been undone.
    pub(super) fn done(&mut self) -> io::Result<()> {
        self.file.write_all_at(&IDLE.to_le_bytes(), 8)
    }

    /// How far the current lines of a stream have been written.
    pub(super) fn carries(&self, key: &StreamKey) -> Carries {
        self.line(key).carries
    }

    /// How many bytes of a stream were dropped since its files were last told.
    pub(super) fn dropped(&self, key: &StreamKey) -> u64 {
        self.line(key).dropped
    }

    /// Remembers how far the current lines have been written.
    pub(super) fn set_carries(&mut self, key: StreamKey, carries: Carries) -> io::Result<()> {
        self.set(key, Line { carries, ..self.line(&key) })
    }

    /// Remembers how many bytes were dropped.
    pub(super) fn set_dropped(&mut self, key: StreamKey, dropped: u64) -> io::Result<()> {
        self.set(key, Line { dropped, ..self.line(&key) })
    }

    fn line(&self, key: &StreamKey) -> Line {
        self.lines.get(key).map_or(Line::default(), |(_, line)| *line)
    }

    /// With every entry taken (thousands of unfinished lines) the oldest life's is given up: its line gets a second stamp
    /// if the daemon dies before it ends.
    fn set(&mut self, key: StreamKey, line: Line) -> io::Result<()> {
        if line == Line::default() {
            return self.forget(&key);
        }
        let index = match self.lines.get(&key) {
            Some((_, known)) if *known == line => return Ok(()),
            Some((index, _)) => *index,
            None => match self.free.pop() {
                Some(index) => index,
                None => {
                    let oldest = self.lines.keys().min_by_key(|key| key.incarnation).copied();
                    match oldest.and_then(|oldest| self.lines.remove(&oldest)) {
                        Some((index, _)) => index,
                        None => return Ok(()),
                    }
                }
            },
        };
        self.lines.insert(key, (index, line));
        self.file.write_all_at(&encode(&key, line), entry_offset(index))
    }

    /// Nothing is to be kept of the stream (any more).
    pub(super) fn forget(&mut self, key: &StreamKey) -> io::Result<()> {
        let Some((index, _)) = self.lines.remove(key) else { return Ok(()) };
        self.free.push(index);
        self.file.write_all_at(&[0; ENTRY], entry_offset(index))
    }
}

fn entry_offset(index: u32) -> u64 {
    HEAD + RECORD_ROOM as u64 + u64::from(index) * ENTRY as u64
}

fn encode(key: &StreamKey, Line { carries, dropped }: Line) -> [u8; ENTRY] {
    let mut entry = [0u8; ENTRY];
    entry[0] = 1;
    entry[1] = u8::from(key.channel == Channel::Err);
    entry[4..8].copy_from_slice(&key.id.0.to_le_bytes());
    entry[8..16].copy_from_slice(&key.incarnation.0.to_le_bytes());
    entry[16..20].copy_from_slice(&carries[0].0.to_le_bytes());
    entry[20..24].copy_from_slice(&carries[1].0.to_le_bytes());
    entry[24..32].copy_from_slice(&dropped.to_le_bytes());
    entry
}

fn decode(entry: &[u8; ENTRY]) -> Option<(StreamKey, Line)> {
    let word = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    (entry[0] == 1).then(|| {
        let key = StreamKey {
            id: InstanceId(word(4)),
            incarnation: Incarnation(long(8)),
            channel: if entry[1] == 1 { Channel::Err } else { Channel::Out },
        };
        (key, Line { carries: [Carry(word(16)), Carry(word(20))], dropped: long(24) })
    })
}

/// FNV-1a: tells a whole description from a torn one.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Paths are bytes, not text.
mod path_bytes {
    use super::{OsString, OsStringExt, Path, PathBuf};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::os::unix::ffi::OsStrExt;

    pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        Ok(PathBuf::from(OsString::from_vec(Vec::deserialize(deserializer)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(incarnation: u64) -> StreamKey {
        StreamKey { id: InstanceId(3), incarnation: Incarnation(incarnation), channel: Channel::Err }
    }

    fn record() -> Record {
        Record {
            key: key(9),
            taken: 5,
            wall: 77,
            last: false,
            targets: vec![Target {
                path: PathBuf::from(OsString::from_vec(b"/tmp/\xFFlog".to_vec())),
                device: 1,
                inode: 2,
                offset: 3,
                length: 4,
                ends_line_of: Some((key(1), 1)),
                carry_before: 0,
                carry_after: 1,
            }],
        }
    }

    #[test]
    fn a_successor_finds_the_batch_and_the_open_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("slot");
        let (mut slot, begun) = Slot::open(&path).expect("opens");
        assert_eq!(begun, None);
        slot.prepare(&record()).expect("writes");
        slot.set_carries(key(u64::MAX - 1), [Carry(1), Carry(0)]).expect("writes");
        slot.set_carries(key(4), [Carry(0), Carry(9)]).expect("writes");
        slot.forget(&key(4)).expect("writes");
        slot.set_dropped(key(5), u64::MAX).expect("writes");
        drop(slot);

        let (mut slot, begun) = Slot::open(&path).expect("opens");
        assert_eq!(begun, Some(record()));
        assert_eq!(slot.carries(&key(u64::MAX - 1)), [Carry(1), Carry(0)]);
        assert_eq!(slot.carries(&key(4)), [Carry(0), Carry(0)]);
        assert_eq!((slot.dropped(&key(5)), slot.dropped(&key(4))), (u64::MAX, 0));
        slot.done().expect("writes");
        assert_eq!(Slot::open(&path).expect("opens").1, None);
    }

    #[test]
    fn a_torn_description_is_no_batch() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("slot");
        let (mut slot, _) = Slot::open(&path).expect("opens");
        slot.prepare(&record()).expect("writes");
        slot.file.write_all_at(b"?", HEAD + 10).expect("writes");
        assert_eq!(Slot::open(&path).expect("opens").1, None);
    }

    #[test]
    fn a_full_table_gives_up_the_oldest_life() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut slot, _) = Slot::open(&folder.path().join("slot")).expect("opens");
        for incarnation in 1..=u64::from(ENTRIES) + 1 {
            slot.set_carries(key(incarnation), [Carry(1), Carry(1)]).expect("writes");
        }
        assert_eq!(slot.carries(&key(1)), [Carry(0), Carry(0)]);
        assert_eq!(slot.carries(&key(u64::from(ENTRIES) + 1)), [Carry(1), Carry(1)]);
    }
}
