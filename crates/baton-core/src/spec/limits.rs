//! Limits of an app's processes, as `setrlimit` has them.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// What `setrlimit` knows, in the kernel's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Address space (bytes).
    As,
    /// Size of a core file (bytes).
    Core,
    /// Processor time (s).
    Cpu,
    /// Size of the data segment (bytes).
    Data,
    /// Size of a file that is written (bytes).
    Fsize,
    /// File locks.
    Locks,
    /// Memory that may be locked (bytes).
    Memlock,
    /// POSIX message queues of the user (bytes).
    Msgqueue,
    /// 20 minus the lowest niceness that may be asked for.
    Nice,
    /// Open files.
    Nofile,
    /// Processes and threads of the user.
    Nproc,
    /// Resident memory (bytes); Linux does not enforce it.
    Rss,
    /// The highest real-time priority that may be asked for.
    Rtprio,
    /// Processor time of a real-time process without a pause (µs).
    Rttime,
    /// Pending signals of the user.
    Sigpending,
    /// Size of the stack (bytes).
    Stack,
}

impl Resource {
    /// All of them.
    pub const ALL: [Resource; 16] = [
        Resource::As,
        Resource::Core,
        Resource::Cpu,
        Resource::Data,
        Resource::Fsize,
        Resource::Locks,
        Resource::Memlock,
        Resource::Msgqueue,
        Resource::Nice,
        Resource::Nofile,
        Resource::Nproc,
        Resource::Rss,
        Resource::Rtprio,
        Resource::Rttime,
        Resource::Sigpending,
        Resource::Stack,
    ];

    /// Its name in process files.
    pub fn name(self) -> &'static str {
        match self {
            Resource::As => "as",
            Resource::Core => "core",
            Resource::Cpu => "cpu",
            Resource::Data => "data",
            Resource::Fsize => "fsize",
            Resource::Locks => "locks",
            Resource::Memlock => "memlock",
            Resource::Msgqueue => "msgqueue",
            Resource::Nice => "nice",
            Resource::Nofile => "nofile",
            Resource::Nproc => "nproc",
            Resource::Rss => "rss",
            Resource::Rtprio => "rtprio",
            Resource::Rttime => "rttime",
            Resource::Sigpending => "sigpending",
            Resource::Stack => "stack",
        }
    }

    /// The one meant by `nofile`, `NOFILE` or `RLIMIT_NOFILE`.
    pub fn parse(text: &str) -> Option<Resource> {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("rlimit_").unwrap_or(&lower);
        Resource::ALL.into_iter().find(|resource| resource.name() == name)
    }

    /// Whether it is counted in bytes.
    pub fn is_size(self) -> bool {
        match self {
            Resource::As
            | Resource::Core
            | Resource::Data
            | Resource::Fsize
            | Resource::Memlock
            | Resource::Msgqueue
            | Resource::Rss
            | Resource::Stack => true,
            Resource::Cpu
            | Resource::Locks
            | Resource::Nice
            | Resource::Nofile
            | Resource::Nproc
            | Resource::Rtprio
            | Resource::Rttime
            | Resource::Sigpending => false,
        }
    }
}

/// One bound of a limit. `unlimited` is more than every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ceiling {
    /// This much.
    At(u64),
    /// No bound.
    Unlimited,
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ceiling::At(number) => number.fmt(f),
            Ceiling::Unlimited => f.write_str("unlimited"),
        }
    }
}

impl Serialize for Ceiling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Ceiling::At(number) => serializer.serialize_u64(*number),
            Ceiling::Unlimited => serializer.serialize_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Ceiling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Ceiling;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"unlimited\"")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Ceiling, E> {
                Ok(Ceiling::At(number))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Ceiling, E> {
                if text == "unlimited" { Ok(Ceiling::Unlimited) } else { Err(E::custom("not a limit")) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// One limit of the process. A bound that is not given stays what it is, the soft one at most the hard one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rlimit {
    /// What holds; the app may raise it up to `hard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft: Option<Ceiling>,
    /// What nobody but root may raise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard: Option<Ceiling>,
}

impl fmt::Display for Rlimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.soft, self.hard) {
            (Some(soft), Some(hard)) if soft == hard => soft.fmt(f),
            (Some(soft), Some(hard)) => write!(f, "{soft} (hard {hard})"),
            (Some(soft), None) => write!(f, "{soft} (soft)"),
            (None, Some(hard)) => write!(f, "{hard} (hard)"),
            (None, None) => f.write_str("what it is"),
        }
    }
}

/// The key `rlimits`.
pub type Rlimits = BTreeMap<Resource, Rlimit>;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn resources_are_known_by_the_kernels_names() {
        for resource in Resource::ALL {
            assert_eq!(Resource::parse(resource.name()), Some(resource));
            assert_eq!(json!(resource), json!(resource.name()));
        }
        assert_eq!(Resource::parse("RLIMIT_NOFILE"), Some(Resource::Nofile));
        assert_eq!(Resource::parse("files"), None);
    }

    #[test]
    fn a_limit_is_kept_as_it_was_written() {
        let limit = Rlimit { soft: Some(Ceiling::At(1024)), hard: Some(Ceiling::Unlimited) };
        let written = json!({"soft": 1024, "hard": "unlimited"});
        assert_eq!(json!(limit), written);
        assert_eq!(serde_json::from_value::<Rlimit>(written).expect("a limit"), limit);
        assert_eq!(limit.to_string(), "1024 (hard unlimited)");
        assert!(serde_json::from_value::<Rlimit>(json!({"soft": "much"})).is_err());
        assert!(Ceiling::At(u64::MAX) < Ceiling::Unlimited);
    }
}
