//! What the kernel says about a process, and waiting for its end.

use crate::failure::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A process that is ours to measure and to end: held by a descriptor, so that its id can't become another's.
#[derive(Debug)]
pub(crate) struct Held {
    /// Its id.
    pub(crate) pid: u32,
    handle: OwnedFd,
}

impl Held {
    /// Takes hold of a process.
    pub(crate) fn of(pid: u32) -> Result<Held, Failure> {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let handle = raw.ok_or(rustix::io::Errno::SRCH).and_then(|raw| pidfd_open(raw, PidfdFlags::empty()));
        Ok(Held { pid, handle: handle.map_err(Failure::system(format!("opening process {pid}")))? })
    }

    /// Whether it ended within this time.
    pub(crate) fn ended_within(&self, patience: Duration) -> bool {
        ready_within(&self.handle, patience).unwrap_or(false)
    }

    /// Ends it at once. One that is gone already is fine.
    pub(crate) fn kill(&self) -> Result<(), Failure> {
        match pidfd_send_signal(&self.handle, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(Failure::system(format!("killing process {}", self.pid))(error)),
        }
    }

    /// Its share of memory, in KiB: pages that are shared count by their part.
    pub(crate) fn memory(&self) -> Result<f64, Failure> {
        let text = self.read("smaps_rollup")?;
        let size =
            text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB")?.trim().parse().ok());
        size.ok_or_else(|| self.unreadable("smaps_rollup"))
    }

    /// The processor time that its threads have used so far, to the nanosecond.
    pub(crate) fn processor(&self) -> Result<Duration, Failure> {
        let mut sum = 0_u64;
        self.each_thread(|folder| {
            let text = read(&format!("{folder}/schedstat"))?;
            let first = text.split_ascii_whitespace().next().and_then(|word| word.parse::<u64>().ok());
            sum += first.ok_or_else(|| self.unreadable("schedstat"))?;
            Ok(())
        })?;
        Ok(Duration::from_nanos(sum))
    }

    /// How often its threads went to sleep so far; each time something has woken them before.
    pub(crate) fn naps(&self) -> Result<u64, Failure> {
        let mut sum = 0_u64;
        self.each_thread(|folder| {
            let text = read(&format!("{folder}/status"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sum += line.and_then(|count| count.trim().parse::<u64>().ok()).ok_or_else(|| self.unreadable("status"))?;
            Ok(())
        })?;
        Ok(sum)
    }

    fn each_thread(&self, mut look: impl FnMut(&str) -> Result<(), Failure>) -> Result<(), Failure> {
        let folder = format!("/proc/{}/task", self.pid);
        for entry in fs::read_dir(&folder).map_err(Failure::system(format!("reading {folder}")))? {
            let entry = entry.map_err(Failure::system(format!("reading {folder}")))?;
            look(&format!("{folder}/{}", entry.file_name().to_string_lossy()))?;
        }
        Ok(())
    }

    fn read(&self, file: &str) -> Result<String, Failure> {
        read(&format!("/proc/{}/{file}", self.pid))
    }

    fn unreadable(&self, file: &str) -> Failure {
        let reason = std::io::Error::from(std::io::ErrorKind::InvalidData);
        Failure::System { doing: format!("understanding /proc/{}/{file}", self.pid), reason }
    }
}

/// Whether a process with this id lives; a zombie does not.
pub(crate) fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with(['Z', 'X'])))
}

/// Whether the descriptor became readable within this time.
pub(crate) fn ready_within(descriptor: impl std::os::fd::AsFd, patience: Duration) -> rustix::io::Result<bool> {
    let end = Instant::now() + patience;
    loop {
        let left = timespec(end.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Lets time pass, where quiet time is what is measured.
pub(crate) fn quiet(time: Duration) -> Result<(), Failure> {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        match poll(&mut [], Some(&timespec(left))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::system("letting time pass")(error)),
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(time.subsec_nanos()) }
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(Failure::system(format!("reading {path}")))
}

/// The process from which baton's daemon forks its apps, once it has one.
pub(crate) fn fork_server(daemon: u32) -> Option<u32> {
    let threads = std::fs::read_dir(format!("/proc/{daemon}/task")).ok()?;
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<u32> =
        lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
    let is_it = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.starts_with(b"baton\0exec-stub\0"))
    };
    children.into_iter().find(is_it)
}
