//! The records of slots: `run/records`, one JSON text a line, the last line of a slot counts.
//!
//! A change appends a line, in one write and without waiting for the disk: that costs microseconds, where replacing a
//! file costs a file system nearly a millisecond. Every so often, and when a daemon begins, the file is written anew
//! with one line a slot. A daemon that is killed in the midst of a line leaves one that nobody reads: what it was to
//! say had no consequences yet.

use super::storage::{LifeRecord, Loaded, RunRecord, StorageError, VERSION, set_aside};
use crate::home::Home;
use baton_core::spec::AppSpec;
use baton_core::units::InstanceId;
use baton_core::world::Instance;
use baton_os::files::write_quick;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// The file is written anew when it has grown by this many bytes, or to this many times its size, whichever is more.
const GROWTH: u64 = 8 * 1024 * 1024;
const TIMES: u64 = 8;

/// One slot as it is to be written; without an instance it was deleted.
pub(super) type Entry<'a> = (InstanceId, Option<&'a Instance>, Vec<LifeRecord>);

#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    boot_id: &'a str,
    id: InstanceId,
    instance: Option<&'a Instance>,
    spec: Option<&'a AppSpec>,
    lives: &'a [LifeRecord],
}

/// The open file.
#[derive(Debug)]
pub(super) struct Records {
    path: PathBuf,
    boot_id: String,
    file: File,
    /// Bytes after it was last written anew, and now.
    base: u64,
    size: u64,
    /// The last write was cut off, as by a full disk.
    torn: bool,
}

impl Records {
    /// Goes on after what was loaded, in a file of its own.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn begin(home: &Home, boot_id: &str, loaded: &[u8]) -> io::Result<Records> {
        let path = path(home);
        let file = replace(&path, loaded)?;
        let size = loaded.len() as u64;
        Ok(Records { path, boot_id: boot_id.into(), file, base: size, size, torn: false })
    }

    /// Writes what has changed.
    ///
    /// # Errors
    /// When the file can't be written; the next write begins a line of its own.
    pub(super) fn append<'a>(&mut self, entries: impl Iterator<Item = Entry<'a>>) -> io::Result<()> {
        let mut text = if self.torn { vec![b'\n'] } else { Vec::new() };
        self.encode(entries, &mut text)?;
        self.torn = true;
        self.file.write_all(&text)?;
        self.torn = false;
        self.size += text.len() as u64;
        Ok(())
    }

    /// Whether most of the file is out of date.
    pub(super) fn is_stale(&self) -> bool {
        self.size > (self.base * TIMES).max(self.base + GROWTH)
    }

    /// Writes the file anew, with everything there is.
    ///
    /// # Errors
    /// When it can't be written; the old file stays in use.
    pub(super) fn rewrite<'a>(&mut self, entries: impl Iterator<Item = Entry<'a>>) -> io::Result<()> {
        let mut text = Vec::new();
        self.encode(entries, &mut text)?;
        self.file = replace(&self.path, &text)?;
        self.size = text.len() as u64;
        (self.base, self.torn) = (self.size, false);
        Ok(())
    }

    fn encode<'a>(&self, entries: impl Iterator<Item = Entry<'a>>, text: &mut Vec<u8>) -> io::Result<()> {
        for (id, instance, lives) in entries {
            let spec = instance.map(|instance| &*instance.spec);
            let line = Line { version: VERSION, boot_id: &self.boot_id, id, instance, spec, lives: &lives };
            serde_json::to_writer(&mut *text, &line)?;
            text.push(b'\n');
        }
        Ok(())
    }
}

fn path(home: &Home) -> PathBuf {
    home.run().join("records")
}

fn replace(path: &PathBuf, text: &[u8]) -> io::Result<File> {
    write_quick(path, text, 0o600)?;
    OpenOptions::new().append(true).open(path)
}

/// Reads the last line of every slot into `loaded`.
///
/// # Errors
/// When a newer version wrote one, or the file can't be read.
pub(super) fn load(home: &Home, loaded: &mut Loaded) -> Result<(), StorageError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
        id: InstanceId,
    }
    let path = path(home);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StorageError::Io { path, error }),
    };
    let mut last: BTreeMap<InstanceId, (&[u8], RunRecord)> = BTreeMap::new();
    let mut bad = None;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let parsed = serde_json::from_slice::<Head>(line).and_then(|head| match head.version {
            newer if newer > VERSION => Ok((head, None)),
            _ => Ok((head, Some(serde_json::from_slice(line)?))),
        });
        match parsed {
            Ok((head, None)) => return Err(StorageError::Newer { path, found: head.version }),
            Ok((head, Some(record))) if line.ends_with(b"\n") => {
                last.insert(head.id, (line, record));
            }
            // Its writer was killed in the midst of it.
            Ok(_) => {}
            Err(_) if !line.ends_with(b"\n") => {}
            Err(error) => bad = Some(error),
        }
    }
    for (id, (line, record)) in last {
        loaded.lines.extend_from_slice(line);
        loaded.runs.insert(id, record);
    }
    match bad {
        Some(error) => set_aside(&path, &error, &mut loaded.notices),
        None => Ok(()),
    }
}
