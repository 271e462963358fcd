//! The clocks, read in one place.

use baton_core::units::{Instant, Now, WallTime};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Both clocks: the monotonic one that decides (ms since boot, the same for every process of one boot) and the wall
/// clock for people (ms since the Unix epoch).
pub fn now() -> Now {
    Now {
        instant: Instant(millis(clock_gettime(ClockId::Monotonic))),
        wall: WallTime(millis(clock_gettime(ClockId::Realtime))),
    }
}

/// A wall clock set to before 1970 reads 0.
fn millis(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    seconds.saturating_mul(1000).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_forward_and_the_wall_clock_is_past_2020() {
        let first = now();
        let second = now();
        assert!(second.instant >= first.instant);
        assert!(first.wall > WallTime(1_577_836_800_000), "{first:?}");
    }
}
