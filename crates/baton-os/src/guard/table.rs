//! The descriptors a guard holds, by name, and how they reach the executable it becomes.

use super::raw;
use super::wire::{NAME_MAX, Name};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::MemfdFlags;
use rustix::io::{FdFlags, fcntl_setfd};
use std::io;

/// How many descriptors a guard holds at most. The memory is touched only as far as it is used.
pub(super) const CAPACITY: usize = 8192;

const MAGIC: [u8; 4] = *b"BTNG";
/// The saved form's version. An executable also meets tables of the version after its own, when an update is taken
/// back, so a later form may append to header and records but not change what is there.
const VERSION: u8 = 1;
const HEADER: usize = 64;
const RECORD: usize = 4 + 1 + NAME_MAX;

struct Slot {
    name: Name,
    fd: Option<OwnedFd>,
}

/// Name → descriptor. A slot keeps its place until it is released, so that a walk over the table can pause.
pub(super) struct Table {
    slots: Vec<Slot>,
    used: usize,
    capacity: usize,
}

/// What goes with the table into another executable.
#[derive(Default)]
pub(super) struct Facts {
    /// The limit of open files before the guard raised it: (soft, hard).
    pub(super) nofile: Option<(u64, u64)>,
    /// The OOM score adjustment before the guard lowered it.
    pub(super) oom_score_adj: Option<i32>,
    /// The executable to go back to while the present one has not proved itself.
    pub(super) previous: Option<OwnedFd>,
}

impl Table {
    pub(super) fn new(capacity: usize) -> Table {
        Table { slots: Vec::with_capacity(capacity), used: 0, capacity }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    fn find(&self, name: &Name) -> Option<usize> {
        self.slots.iter().position(|slot| slot.fd.is_some() && slot.name == *name)
    }

    /// The first of the names that would find no place, if one after the other were put.
    pub(super) fn first_without_place(&self, names: impl Iterator<Item = Name>) -> Option<Name> {
        let mut free = self.capacity - self.used;
        for name in names {
            if self.find(&name).is_some() {
                continue;
            }
            if free == 0 {
                return Some(name);
            }
            free -= 1;
        }
        None
    }

    /// Holds a descriptor; one that had this name is closed. False: the table is full.
    pub(super) fn put(&mut self, name: Name, fd: OwnedFd) -> bool {
        if let Some(at) = self.find(&name) {
            self.slots[at].fd = Some(fd);
            return true;
        }
        let slot = Slot { name, fd: Some(fd) };
        match self.slots.iter().position(|slot| slot.fd.is_none()) {
            Some(free) => self.slots[free] = slot,
            None if self.slots.len() < self.capacity => self.slots.push(slot),
            None => return false,
        }
        self.used += 1;
        true
    }

    /// Stops holding a descriptor.
    pub(super) fn remove(&mut self, name: &Name) -> Option<OwnedFd> {
        let at = self.find(name)?;
        self.used -= 1;
        self.slots[at].fd.take()
    }

    /// What is held in slot `from` or after it, with the slot that follows.
    pub(super) fn next(&self, from: usize) -> Option<(usize, &Name, BorrowedFd<'_>)> {
        let held = |(at, slot): (usize, &'_ Slot)| slot.fd.is_some().then_some(at);
        let at = self.slots.iter().enumerate().skip(from).find_map(held)?;
        let slot = &self.slots[at];
        slot.fd.as_ref().map(|fd| (at + 1, &slot.name, fd.as_fd()))
    }

    /// Decides whether what is held, and the previous executable, survive an exec.
    pub(super) fn set_inheritable(&self, facts: &Facts, inheritable: bool) {
        let flags = if inheritable { FdFlags::empty() } else { FdFlags::CLOEXEC };
        for fd in self.slots.iter().filter_map(|slot| slot.fd.as_ref()).chain(&facts.previous) {
            // Fails only for a number that is not open, and these are.
            let _ = fcntl_setfd(fd, flags);
        }
    }

    /// Writes table and facts into a new memfd. The descriptors are written by number: it means something only to
    /// what this very process becomes.
    pub(super) fn save(&self, facts: &Facts) -> io::Result<OwnedFd> {
        let mut bytes = vec![0; HEADER + self.used * RECORD];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[6..8].copy_from_slice(&(HEADER as u16).to_ne_bytes());
        bytes[8..10].copy_from_slice(&(RECORD as u16).to_ne_bytes());
        bytes[12..16].copy_from_slice(&(self.used as u32).to_ne_bytes());
        let (soft, hard) = facts.nofile.unwrap_or_default();
        bytes[16..24].copy_from_slice(&soft.to_ne_bytes());
        bytes[24..32].copy_from_slice(&hard.to_ne_bytes());
        bytes[32..36].copy_from_slice(&facts.previous.as_ref().map_or(-1, AsRawFd::as_raw_fd).to_ne_bytes());
        bytes[36..40].copy_from_slice(&facts.oom_score_adj.unwrap_or_default().to_ne_bytes());
        bytes[40] = u8::from(facts.nofile.is_some());
        bytes[41] = u8::from(facts.oom_score_adj.is_some());
        let mut at = HEADER;
        let mut from = 0;
        while let Some((next, name, fd)) = self.next(from) {
            from = next;
            bytes[at..at + 4].copy_from_slice(&fd.as_raw_fd().to_ne_bytes());
            let text = name.as_bytes();
            bytes[at + 4] = text.len() as u8;
            bytes[at + 5..at + 5 + text.len()].copy_from_slice(text);
            at += RECORD;
        }
        let memfd = crate::files::memfd(c"baton-guard", MemfdFlags::empty())?;
        let mut written = 0;
        while written < bytes.len() {
            written += rustix::io::pwrite(&memfd, &bytes[written..], written as u64)?;
        }
        Ok(memfd)
    }

    /// Reads what [`Table::save`] wrote, in the process that inherited the descriptors, and makes them
    /// close-on-exec again. `None`: it can't be read.
    pub(super) fn load(memfd: &OwnedFd, capacity: usize) -> Option<(Table, Facts)> {
        let len = usize::try_from(rustix::fs::fstat(memfd).ok()?.st_size).ok()?;
        let mut bytes = vec![0; len];
        let mut read = 0;
        while read < len {
            read += match rustix::io::pread(memfd, &mut bytes[read..], read as u64).ok()? {
                0 => return None,
                some => some,
            };
        }
        let u16_at = |at: usize| usize::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
        let i32_at = |at: usize| i32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_ne_bytes(eight)
        };
        if len < HEADER || bytes[..4] != MAGIC || !(VERSION - 1..=VERSION + 1).contains(&bytes[4]) {
            return None;
        }
        let (header, record, count) = (u16_at(6), u16_at(8), usize::try_from(i32_at(12)).ok()?);
        if header < HEADER || record < RECORD || len < header.checked_add(count.checked_mul(record)?)? {
            return None;
        }
        let facts = Facts {
            nofile: (bytes[40] != 0).then(|| (u64_at(16), u64_at(24))),
            oom_score_adj: (bytes[41] != 0).then(|| i32_at(36)),
            previous: raw::inherited(i32_at(32)),
        };
        let mut table = Table::new(capacity);
        for at in (0..count).map(|index| header + index * record) {
            let text_end = at + 5 + usize::from(bytes[at + 4]).min(NAME_MAX);
            if let (Some(name), Some(fd)) = (Name::new(&bytes[at + 5..text_end]), raw::inherited(i32_at(at))) {
                table.put(name, fd);
            }
        }
        Some((table, facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text.as_bytes()).unwrap()
    }

    fn null() -> OwnedFd {
        rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty()).unwrap()
    }

    #[test]
    fn a_full_table_refuses_by_name_and_has_room_again_after_a_release() {
        let mut table = Table::new(2);
        assert!(table.put(name("a"), null()) && table.put(name("b"), null()));
        assert!(!table.put(name("c"), null()));
        let missing = table.first_without_place([name("a"), name("c"), name("d")].into_iter()).unwrap();
        assert_eq!(missing.as_bytes(), b"c");
        assert!(table.put(name("a"), null()), "a name that is there takes no new place");
        assert!(table.remove(&name("b")).is_some() && table.remove(&name("b")).is_none());
        assert!(table.first_without_place([name("c")].into_iter()).is_none());
        assert!(table.put(name("c"), null()));
    }

    #[test]
    fn the_saved_form_is_read_again_and_no_other() {
        let mut table = Table::new(8);
        table.put(name("out:1"), null());
        table.put(name("err:1"), null());
        table.remove(&name("out:1"));
        let facts = Facts { nofile: Some((7, 9)), oom_score_adj: Some(-3), previous: Some(null()) };
        let memfd = table.save(&facts).unwrap();
        // The loaded table owns the same numbers, as after an exec.
        std::mem::forget((table, facts));
        let (loaded, facts) = Table::load(&memfd, 8).unwrap();
        assert_eq!((facts.nofile, facts.oom_score_adj), (Some((7, 9)), Some(-3)));
        assert!(facts.previous.is_some());
        let (next, only, _) = loaded.next(0).unwrap();
        assert_eq!(only.as_bytes(), b"err:1");
        assert!(loaded.next(next).is_none());

        rustix::io::pwrite(&memfd, b"X", 0).unwrap();
        assert!(Table::load(&memfd, 8).is_none());
    }
}
