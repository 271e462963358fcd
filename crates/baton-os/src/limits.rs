//! The limit on open files: baton holds several descriptors for each app, apps keep the limit that they would have
//! had without baton.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The variable by which one process of baton tells the next what the limit was before any of them raised it, as
/// `soft:hard`.
pub const ORIGINAL_NOFILE: &str = "BATON_ORIGINAL_NOFILE";

/// Raises the soft limit on open files to the hard one. Returns the pair (soft, hard) from before baton changed it,
/// for [`crate::spawn`]; `u64::MAX` means no limit. A process that inherits a raised limit is told the original by
/// [`ORIGINAL_NOFILE`] in its environment. `None`: nothing was or is to be changed.
pub fn raise_nofile() -> Option<(u64, u64)> {
    let current = getrlimit(Resource::Nofile);
    let pair = (current.current.unwrap_or(u64::MAX), current.maximum.unwrap_or(u64::MAX));
    let inherited = original();
    if pair.0 == pair.1 {
        return inherited;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: current.maximum, maximum: current.maximum }) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        raise_nofile();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, now.maximum);
    }

    #[test]
    fn the_variable_is_read_as_written() {
        assert_eq!(parse(&to_variable((1024, u64::MAX))), Some((1024, u64::MAX)));
        assert_eq!(parse("1024"), None);
    }
}
