//! Reading `/proc`, as bytes: names of programs may be anything.

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::time::{ClockId, clock_gettime};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirEntryExt;

/// Longer than any `stat`.
const LINE: usize = 4096;

/// The kernel's `PF_EXITING`, among the flags of a process. Its number is the same since Linux 2.4.
const EXITING: u32 = 4;

/// Files of [`Watched`] that are open at most: they must not be what a daemon of many apps runs out of.
const MOST_FILES: usize = 256;

/// What we need of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Process id.
    pub(crate) pid: u32,
    /// State letter; see [`Stat::is_dead`].
    pub(crate) state: u8,
    /// Whether it has begun to end: it starts nobody any more, and what it has is no longer to be seen.
    pub(crate) exiting: bool,
    /// Parent.
    pub(crate) ppid: u32,
    /// Process group.
    pub(crate) pgrp: u32,
    /// Session.
    pub(crate) session: u32,
    /// User and system time used, in clock ticks.
    pub(crate) ticks: u64,
    /// Threads; a process lives while it has any but its first.
    pub(crate) threads: u32,
    /// Start, in clock ticks since boot.
    pub(crate) start_time: u64,
    /// Resident memory, in pages.
    pub(crate) resident: u64,
}

impl Stat {
    /// Whether only the exit status is left. The first thread of a process may end before the others: then its state
    /// says zombie and the process lives.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x') && self.threads <= 1
    }

    /// Whether it is dead, or about to be.
    pub(crate) fn is_over(&self) -> bool {
        self.is_dead() || (self.exiting && self.threads <= 1)
    }
}

/// Processes by pid.
pub(crate) type Table = BTreeMap<u32, Stat>;

/// The numbers in `/proc` that are pids.
pub(crate) fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::with_capacity(512);
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        pids.extend(name.to_str().and_then(|text| text.parse::<u32>().ok()));
    }
    Ok(pids)
}

/// Every process that is there while the list is read, by pid. Whoever starts meanwhile may be missing. So are those
/// of other users where `/proc` is mounted with `hidepid`. A moment after another look, the lines of that one which are `settled` are not read again while the pid is
/// there. Pids are given out in rising order, so that within a moment none comes round to another process.
///
/// Also tells whether somebody of whom nothing was known ended meanwhile.
pub(crate) fn table_after(before: &Table, settled: impl Fn(&Stat) -> bool) -> io::Result<(Table, bool)> {
    let proc = openat(CWD, "/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = Vec::with_capacity(LINE);
    let (mut table, mut ended) = (Table::new(), false);
    for pid in pids()? {
        if let Some(stat) = before.get(&pid).filter(|stat| settled(stat)) {
            table.insert(pid, *stat);
            continue;
        }
        match stat_in(&proc, &format!("{pid}/stat"), &mut buffer) {
            Ok(Some(stat)) => drop(table.insert(pid, stat)),
            Ok(None) => ended |= !before.contains_key(&pid),
            Err(error) if is_hidden(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((table, ended))
}

/// The pids in `/proc`, each with the inode of its entry.
pub(crate) fn entries() -> io::Result<Vec<(u32, u64)>> {
    let mut entries = Vec::with_capacity(512);
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_str().and_then(|text| text.parse().ok());
        entries.extend(pid.map(|pid| (pid, entry.ino())));
    }
    Ok(entries)
}

/// Processes whose lines are read again and again. Their files stay open, for to open one takes twice as long as to
/// read it; what is read from one is of the process that it was opened for, or nothing.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    files: HashMap<u32, Option<OwnedFd>>,
}

impl Watched {
    /// The lines of these processes, of those of them that are there and may be seen.
    pub(crate) fn lines(&mut self, pids: impl Iterator<Item = u32>) -> io::Result<Table> {
        let proc = openat(CWD, "/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mut buffer = Vec::with_capacity(LINE);
        let mut table = Table::new();
        for pid in pids {
            match self.line(&proc, pid, &mut buffer) {
                Ok(stat) => drop(table.insert(pid, stat)),
                Err(error) if is_gone(&error) || is_hidden(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(table)
    }

    fn line(&mut self, proc: &OwnedFd, pid: u32, buffer: &mut Vec<u8>) -> io::Result<Stat> {
        let path = || format!("{pid}/stat");
        let open = || openat(proc, path(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let present = self.files.get_mut(&pid);
        match present {
            None => read_at_once(&open()?, buffer)?,
            Some(file) => {
                // Another process may have the pid now.
                let again = file.as_ref().is_some_and(|file| read_at_once(file, buffer).is_ok());
                if !again {
                    let opened = open()?;
                    read_at_once(&opened, buffer)?;
                    *file = Some(opened);
                }
            }
        }
        parse_stat(buffer).ok_or_else(|| unreadable(&path()))
    }

    /// From now on these are watched, as many of them as are not too many to keep a file open for.
    pub(crate) fn watch(&mut self, pids: &HashSet<u32>) {
        self.files.retain(|pid, _| pids.contains(pid));
        for pid in pids {
            if self.files.len() < MOST_FILES {
                self.files.entry(*pid).or_default();
            }
        }
    }
}

/// The time on the clock that [`Stat::start_time`] is of.
pub(crate) fn ticks_since_boot(ticks_a_second: u64) -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let time = clock_gettime(CLOCK);
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds * ticks_a_second + nanos * ticks_a_second / 1_000_000_000
}

/// `/proc/<pid>/stat`, or `None` when there is no such process. `buffer` is reused between calls.
pub(crate) fn stat(pid: u32, buffer: &mut Vec<u8>) -> io::Result<Option<Stat>> {
    stat_in(CWD, &format!("/proc/{pid}/stat"), buffer)
}

fn stat_in(folder: impl AsFd, path: &str, buffer: &mut Vec<u8>) -> io::Result<Option<Stat>> {
    let read = || {
        let file = openat(folder, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        read_at_once(&file, buffer)
    };
    match read() {
        Ok(()) => parse_stat(buffer).map(Some).ok_or_else(|| unreadable(path)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn unreadable(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("unreadable {path}"))
}

/// Reads what the kernel gives as one piece of less than [`LINE`] bytes. Neither the size nor the end is asked for: the
/// table is read often, and every call counts.
fn read_at_once(file: &OwnedFd, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    buffer.reserve(LINE);
    loop {
        match rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), 0) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether an error of `/proc` means that the process ended: before (ENOENT) or while (ESRCH) it was read.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// Whether an error of `/proc` means that the process is another user's: with `hidepid=1` it is listed and no more.
fn is_hidden(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

/// Reads a whole file into `buffer`, which is emptied before. Its size is not asked for: `/proc` does not know it.
pub(crate) fn read_into(path: &str, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    loop {
        buffer.reserve(LINE);
        match rustix::io::read(&file, rustix::buffer::spare_capacity(buffer)) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The second field is the program's name in parentheses; it may itself hold spaces and parentheses, so the fields
/// are counted from the last `)`.
fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let open = bytes.iter().position(|&b| b == b'(')?;
    let close = bytes.iter().rposition(|&b| b == b')')?;
    let pid = std::str::from_utf8(bytes.get(..open)?).ok()?.trim().parse().ok()?;
    let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    // Field numbers of proc(5): 3 is the state.
    let state = *fields.next()?.as_bytes().first()?;
    let ppid = number(fields.next()?)?;
    let pgrp = number(fields.next()?)?;
    let session = number(fields.next()?)?;
    // 7 tty and 8 tpgid lie between; 9 are the flags.
    let flags: u32 = fields.nth(2)?.parse().ok()?;
    // 10 minflt … 13 cmajflt lie between; 14 and 15 are the times.
    let user: u64 = fields.nth(4)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    // 16 cutime … 19 nice; 20 counts threads, 22 is the start time.
    let threads = number(fields.nth(4)?)?;
    let start_time = fields.nth(1)?.parse().ok()?;
    // 23 is the size of the address space.
    let resident = fields.nth(1)?.parse().ok()?;
    let exiting = flags & EXITING != 0;
    Some(Stat { pid, state, exiting, ppid, pgrp, session, ticks: user + system, threads, start_time, resident })
}

/// Ids of processes from outside our pid namespace read 0, and dead ones -1.
fn number(text: &str) -> Option<u32> {
    text.parse::<i64>().ok().map(|n| u32::try_from(n).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = b"42 (a) R 1 (b c)) S 7 40 39 0 -1 4194560 1 2 3 4 500 60 7 8 20 0 3 0 987654 1 222 3\n";
        let stat = parse_stat(line).unwrap();
        let (start_time, resident) = (987_654, 222);
        let expected = Stat {
            pid: 42,
            state: b'S',
            exiting: false,
            ppid: 7,
            pgrp: 40,
            session: 39,
            ticks: 560,
            threads: 3,
            start_time,
            resident,
        };
        assert_eq!(stat, expected);
        assert!(Stat { exiting: true, threads: 1, ..stat }.is_over() && !stat.is_over());
        assert!(!Stat { state: b'Z', ..stat }.is_dead(), "two threads live on");
        assert!(Stat { state: b'Z', threads: 1, ..stat }.is_dead());
    }

    #[test]
    fn our_own_line_is_read() {
        let stat = stat(std::process::id(), &mut Vec::new()).unwrap().unwrap();
        assert_eq!(stat.pid, std::process::id());
        assert_eq!(stat.ppid, std::os::unix::process::parent_id());
        assert!(stat.start_time > 0);
        assert!(stat.resident > 0);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any other process will do")]
    fn a_file_that_stays_open_tells_of_its_own_process_and_of_no_other() {
        let child = || std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let (mut first, mut second) = (child(), child());
        let mut watched = Watched::default();
        watched.watch(&HashSet::from([first.id()]));
        let read = |watched: &mut Watched, pid| watched.lines([pid].into_iter()).unwrap().get(&pid).copied();
        let was = read(&mut watched, first.id()).unwrap();
        assert_eq!(was.pid, first.id());
        assert!(watched.files[&first.id()].is_some());
        assert_eq!(read(&mut watched, first.id()).unwrap().start_time, was.start_time);
        assert_eq!(read(&mut watched, second.id()).unwrap().pid, second.id());
        assert_eq!(watched.files.len(), 1, "the other is not watched");
        let file = watched.files.remove(&first.id()).unwrap();
        first.kill().and_then(|()| first.wait()).unwrap();
        // As if the second one had got the pid of the first.
        watched.files.insert(second.id(), file);
        assert_eq!(read(&mut watched, second.id()).unwrap().pid, second.id());
        assert_eq!(read(&mut watched, first.id()), None);
        watched.watch(&HashSet::new());
        assert!(watched.files.is_empty());
        second.kill().and_then(|()| second.wait()).unwrap();
    }

    #[test]
    fn a_cut_line_is_refused() {
        assert_eq!(parse_stat(b"42 (a) S 7 40"), None);
        assert_eq!(parse_stat(b""), None);
    }
}
