//! An alarm by the wall clock: one timer of the kernel, which follows the clock when that is set, and a sleep of the machine.

use baton_core::units::WallTime;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Its descriptor is readable when its time has come, or when the clock was set while it was waited for.
#[derive(Debug)]
pub struct Alarm(OwnedFd);

/// Why an alarm is readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rang {
    /// Its time has come, or it is not readable at all.
    Time,
    /// The clock was set.
    ClockSet,
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Alarm {
    /// One that waits for nothing.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Alarm> {
        Ok(Alarm(timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?))
    }

    /// Waits for this moment from now on, or for none.
    pub fn set(&self, at: Option<WallTime>) {
        // Zero disarms.
        let value = at.map_or(Timespec { tv_sec: 0, tv_nsec: 0 }, |at| Timespec {
            tv_sec: i64::try_from(at.0 / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(at.0 % 1000 * 1_000_000).unwrap_or(0),
        });
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        // A descriptor and a time that are both valid: there is nothing to fail.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once);
    }

    /// Takes note of what it has told, so that it can tell again.
    pub fn heard(&self) -> Rang {
        let mut count = [0u8; 8];
        match rustix::io::read(&self.0, &mut count) {
            Err(Errno::CANCELED) => Rang::ClockSet,
            Ok(_) | Err(_) => Rang::Time,
        }
    }

    /// Whether it waits for a moment.
    #[cfg(test)]
    pub(crate) fn is_set(&self) -> bool {
        let left = rustix::time::timerfd_gettime(&self.0).expect("a timer").it_value;
        left.tv_sec != 0 || left.tv_nsec != 0
    }
}
