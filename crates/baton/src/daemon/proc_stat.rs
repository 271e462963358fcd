//! What the kernel's line about a process says of one that may not be our child.

use baton_core::world::{Exit, Identity, Signal};
use std::os::unix::fs::MetadataExt;

/// The part that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProcStat {
    state: char,
    /// Its session, which has the number of the process that leads it.
    pub(super) session: u32,
    /// When it began (clock ticks since boot).
    pub(super) start_time: u64,
    /// How it ended, for a zombie that we may look at.
    pub(super) exit: Option<Exit>,
}

impl ProcStat {
    /// The line of the process with this identity; `None` when it is gone.
    pub(super) fn read(identity: &Identity) -> Option<ProcStat> {
        Self::of(identity.pid).filter(|stat| stat.start_time == identity.start_time)
    }

    /// The line of whatever process has this number now.
    pub(super) fn of(pid: u32) -> Option<ProcStat> {
        let folder = format!("/proc/{pid}");
        let text = std::fs::read(format!("{folder}/stat")).ok()?;
        let us = rustix::process::geteuid().as_raw();
        let may_look = us == 0 || std::fs::metadata(&folder).is_ok_and(|owner| owner.uid() == us);
        Self::parse(&String::from_utf8_lossy(&text), may_look)
    }

    /// Whether it has ended.
    pub(super) fn is_dead(self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }

    /// The name in parentheses may hold anything, so fields are counted from its end. The session is field 6, the start time 22, the
    /// wait status field 52, which is shown as 0 to those who may not look.
    fn parse(line: &str, may_look: bool) -> Option<ProcStat> {
        let rest = &line[line.rfind(')')? + 1..];
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let state = fields.first()?.chars().next()?;
        let status: i32 = fields.get(49).and_then(|text| text.parse().ok()).unwrap_or(0);
        let exit = match (status & 0x7f, status >> 8) {
            (0, code) => Exit::Code(code & 0xff),
            (signal, _) => Exit::Signal(Signal(signal)),
        };
        Some(ProcStat {
            state,
            session: fields.get(3)?.parse().ok()?,
            start_time: fields.get(19)?.parse().ok()?,
            exit: (may_look && state == 'Z').then_some(exit),
        })
    }
}

/// Whether a process is still the exec stub: it was not told to run yet, or is about to.
pub(super) fn is_stub(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.starts_with(b"baton\0exec-stub\0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(state: char, status: i32) -> String {
        let zeros = |count: usize| "0 ".repeat(count);
        format!("7 (a) b) {state} {}77 {}{status}\n", zeros(18), zeros(29))
    }

    #[test]
    fn the_end_of_a_zombie_is_read() {
        let exit = |state, status| ProcStat::parse(&line(state, status), true).unwrap().exit;
        assert_eq!(exit('Z', 3 << 8), Some(Exit::Code(3)));
        assert_eq!(exit('Z', 9), Some(Exit::Signal(Signal::KILL)));
        assert_eq!(exit('Z', 0), Some(Exit::Code(0)));
        assert_eq!(exit('S', 9), None);
        let stranger = ProcStat::parse(&line('Z', 0), false).unwrap();
        assert_eq!((stranger.exit, stranger.start_time, stranger.is_dead()), (None, 77, true));
        assert!(ProcStat::parse("7 (a", true).is_none());
    }
}
