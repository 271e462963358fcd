//! Limits of processes. That on open files: baton holds several descriptors for each app, apps keep the limit that they
//! would have had without baton, unless they ask for another.

use baton_core::spec::{Ceiling, Resource, Rlimit as Wished};
use rustix::process::{Resource as Kernel, Rlimit, getrlimit, setrlimit};

/// The variable by which one process of baton tells the next what the limit was before any of them raised it, as
/// `soft:hard`.
pub const ORIGINAL_NOFILE: &str = "BATON_ORIGINAL_NOFILE";

/// Raises the soft limit on open files to the hard one. Returns the pair (soft, hard) from before baton changed it,
/// for [`crate::spawn`]; `u64::MAX` means no limit. A process that inherits a raised limit is told the original by
/// [`ORIGINAL_NOFILE`] in its environment. `None`: nothing was or is to be changed.
pub fn raise_nofile() -> Option<(u64, u64)> {
    let current = getrlimit(Kernel::Nofile);
    let pair = (current.current.unwrap_or(u64::MAX), current.maximum.unwrap_or(u64::MAX));
    let inherited = original();
    if pair.0 == pair.1 {
        return inherited;
    }
    match setrlimit(Kernel::Nofile, Rlimit { current: current.maximum, maximum: current.maximum }) {
        Ok(()) => Some(inherited.unwrap_or(pair)),
        // An unlimited hard limit may lie beyond what the kernel grants; we keep what we have.
        Err(_) => inherited,
    }
}

/// The limit that [`ORIGINAL_NOFILE`] in our environment tells: (soft, hard).
pub(crate) fn original() -> Option<(u64, u64)> {
    std::env::var(ORIGINAL_NOFILE).ok().and_then(|text| parse(&text))
}

/// The value of [`ORIGINAL_NOFILE`] for a process that inherits our raised limit.
pub fn to_variable((soft, hard): (u64, u64)) -> String {
    format!("{soft}:{hard}")
}

fn parse(text: &str) -> Option<(u64, u64)> {
    let (soft, hard) = text.split_once(':')?;
    Some((soft.parse().ok()?, hard.parse().ok()?))
}

/// The kernel's number of a resource.
pub(crate) fn number(resource: Resource) -> u8 {
    let number = match resource {
        Resource::As => libc::RLIMIT_AS,
        Resource::Core => libc::RLIMIT_CORE,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Fsize => libc::RLIMIT_FSIZE,
        Resource::Locks => libc::RLIMIT_LOCKS,
        Resource::Memlock => libc::RLIMIT_MEMLOCK,
        Resource::Msgqueue => libc::RLIMIT_MSGQUEUE,
        Resource::Nice => libc::RLIMIT_NICE,
        Resource::Nofile => libc::RLIMIT_NOFILE,
        Resource::Nproc => libc::RLIMIT_NPROC,
        Resource::Rss => libc::RLIMIT_RSS,
        Resource::Rtprio => libc::RLIMIT_RTPRIO,
        Resource::Rttime => libc::RLIMIT_RTTIME,
        Resource::Sigpending => libc::RLIMIT_SIGPENDING,
        Resource::Stack => libc::RLIMIT_STACK,
    };
    // There are sixteen of them.
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// The resource of such a number.
pub(crate) fn numbered(wanted: u8) -> Option<Resource> {
    Resource::ALL.into_iter().find(|resource| number(*resource) == wanted)
}

/// A bound as the kernel has it: `u64::MAX` is no limit.
pub(crate) fn raw(ceiling: Ceiling) -> u64 {
    match ceiling {
        Ceiling::At(number) => number,
        Ceiling::Unlimited => u64::MAX,
    }
}

/// The same the other way round.
pub(crate) fn ceiling(raw: u64) -> Ceiling {
    if raw == u64::MAX { Ceiling::Unlimited } else { Ceiling::At(raw) }
}

/// The pair (soft, hard) that a process is to have which has `present`: `u64::MAX` is no limit.
pub(crate) fn wished(limit: Wished, present: (u64, u64)) -> (u64, u64) {
    match (limit.soft.map(raw), limit.hard.map(raw)) {
        (Some(soft), Some(hard)) => (soft, hard),
        (Some(soft), None) => (soft, present.1),
        (None, Some(hard)) => (present.0.min(hard), hard),
        (None, None) => present,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_is_not_given_stays_and_the_soft_one_is_at_most_the_hard_one() {
        let limit = |soft, hard| Wished { soft, hard };
        let at = |number| Some(Ceiling::At(number));
        assert_eq!(wished(limit(at(5), at(9)), (1, 2)), (5, 9));
        assert_eq!(wished(limit(at(5), None), (1, 2)), (5, 2), "the kernel refuses this one");
        assert_eq!(wished(limit(None, at(9)), (64, 128)), (9, 9));
        assert_eq!(wished(limit(None, Some(Ceiling::Unlimited)), (64, 128)), (64, u64::MAX));
        assert_eq!(wished(limit(None, None), (64, 128)), (64, 128));
    }

    #[test]
    fn every_resource_has_a_number_of_its_own() {
        let numbers: std::collections::BTreeSet<u8> = Resource::ALL.into_iter().map(number).collect();
        assert_eq!(numbers, (0..16).collect());
        assert!(Resource::ALL.into_iter().all(|resource| numbered(number(resource)) == Some(resource)));
        assert_eq!(numbered(16), None);
    }

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        raise_nofile();
        let now = getrlimit(Kernel::Nofile);
        assert_eq!(now.current, now.maximum);
    }

    #[test]
    fn the_variable_is_read_as_written() {
        assert_eq!(parse(&to_variable((1024, u64::MAX))), Some((1024, u64::MAX)));
        assert_eq!(parse("1024"), None);
    }
}
