//! Whether a file is wanted, and which part of it: the conditions and ranges of RFC 9110.

use super::request::Request;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use std::fs::Metadata;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;

/// What a version of a file is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    /// Its tag, in quotes.
    pub(super) tag: String,
    /// When it was changed, in whole seconds.
    pub(super) changed: i64,
    /// Its length (bytes).
    pub(super) length: u64,
}

impl Version {
    /// Of this file.
    pub(super) fn of(data: &Metadata) -> Version {
        let tag = format!("\"{:x}-{:x}-{:x}\"", data.len(), data.mtime(), data.mtime_nsec());
        Version { tag, changed: data.mtime(), length: data.len() }
    }
}

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing: the client has it.
    Nothing,
    /// Nothing: it is another than the client wants.
    Changed,
    /// Nothing: it has no such bytes.
    Beyond,
}

/// What of a file a request wants.
pub(super) fn wanted(request: &Request, version: &Version) -> Wanted {
    let since = |text: &Option<String>| text.as_deref().and_then(seconds);
    // In the order of RFC 9110, section 13.2.2.
    match (&request.if_match, since(&request.if_unmodified_since)) {
        (Some(tags), _) if !lists(tags, &version.tag, Comparison::Strong) => return Wanted::Changed,
        (None, Some(then)) if version.changed > then => return Wanted::Changed,
        _ => {}
    }
    match (&request.if_none_match, since(&request.if_modified_since)) {
        (Some(tags), _) if lists(tags, &version.tag, Comparison::Weak) => return Wanted::Nothing,
        (None, Some(then)) if version.changed <= then => return Wanted::Nothing,
        _ => {}
    }
    let same = match &request.if_range {
        Some(tag) if tag.starts_with('"') => *tag == version.tag,
        Some(tag) if tag.starts_with("W/") => false,
        Some(date) => seconds(date) == Some(version.changed),
        None => true,
    };
    match request.range.as_deref().filter(|_| same && request.method == "GET") {
        Some(range) => part(range, version.length),
        None => Wanted::Whole,
    }
}

#[derive(PartialEq)]
enum Comparison {
    Strong,
    Weak,
}

fn lists(tags: &str, tag: &str, comparison: Comparison) -> bool {
    let bare = |one: &str| match one.trim() {
        one if comparison == Comparison::Weak => one.strip_prefix("W/").unwrap_or(one).to_owned(),
        one => one.to_owned(),
    };
    tags.split(',').any(|one| one.trim() == "*" || bare(one) == tag)
}

/// Seconds since 1970 of a date of HTTP.
fn seconds(date: &str) -> Option<i64> {
    DateTimeParser::new().parse_timestamp(date).ok().map(Timestamp::as_second)
}

/// One part. Several at once, other units and what is no range mean the whole, as the RFC allows.
fn part(range: &str, length: u64) -> Wanted {
    let Some(range) = range.strip_prefix("bytes=").map(str::trim).filter(|range| !range.contains(',')) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = range.split_once('-') else { return Wanted::Whole };
    let number = |text: &str| text.trim().parse::<u64>();
    match (number(first), number(last)) {
        (Ok(first), Ok(last)) if last < first => Wanted::Whole,
        (Ok(first), _) if first >= length && (last.trim().is_empty() || number(last).is_ok()) => Wanted::Beyond,
        (Ok(first), Ok(last)) => Wanted::Part(first..last.saturating_add(1).min(length)),
        (Ok(first), Err(_)) if last.trim().is_empty() => Wanted::Part(first..length),
        (Err(_), Ok(0)) if first.trim().is_empty() => Wanted::Beyond,
        (Err(_), Ok(last)) if first.trim().is_empty() && length > 0 => {
            Wanted::Part(length.saturating_sub(last)..length)
        }
        (Err(_), Ok(_)) if first.trim().is_empty() => Wanted::Beyond,
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> Version {
        Version { tag: "\"a\"".into(), changed: 784_111_777, length: 100 }
    }

    #[test]
    fn parts_are_those_of_the_rfc() {
        let part = |range: &str| part(range, 100);
        assert_eq!(part("bytes=0-0"), Wanted::Part(0..1));
        assert_eq!(part("bytes=10-"), Wanted::Part(10..100));
        assert_eq!(part("bytes=90-1000"), Wanted::Part(90..100));
        assert_eq!(part("bytes=-10"), Wanted::Part(90..100));
        assert_eq!(part("bytes=-1000"), Wanted::Part(0..100));
        for beyond in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(part(beyond), Wanted::Beyond, "{beyond}");
        }
        for whole in ["bytes=5-1", "bytes=0-1,3-4", "lines=1-2", "bytes=x-1", "bytes=--1", "bytes=", "bytes=1-x"] {
            assert_eq!(part(whole), Wanted::Whole, "{whole}");
        }
        assert_eq!(super::part("bytes=0-", 0), Wanted::Beyond);
        assert_eq!(super::part("bytes=-5", 0), Wanted::Beyond);
    }

    #[test]
    fn conditions_are_looked_at_in_their_order() {
        let date = |text: &str| Some(format!("Sun, 06 Nov 1994 08:49:{text} GMT"));
        let get = || Request { method: "GET".into(), ..Request::default() };
        let is = |request: &Request, expected: Wanted| assert_eq!(wanted(request, &version()), expected, "{request:?}");
        is(&get(), Wanted::Whole);
        is(&Request { if_none_match: Some("\"x\", W/\"a\"".into()), ..get() }, Wanted::Nothing);
        is(&Request { if_none_match: Some("*".into()), ..get() }, Wanted::Nothing);
        is(&Request { if_none_match: Some("\"x\"".into()), if_modified_since: date("37"), ..get() }, Wanted::Whole);
        is(&Request { if_modified_since: date("37"), ..get() }, Wanted::Nothing);
        is(&Request { if_modified_since: date("36"), ..get() }, Wanted::Whole);
        is(&Request { if_modified_since: Some("yesterday".into()), ..get() }, Wanted::Whole);
        is(&Request { if_match: Some("W/\"a\"".into()), ..get() }, Wanted::Changed);
        is(&Request { if_match: Some("\"a\"".into()), if_unmodified_since: date("00"), ..get() }, Wanted::Whole);
        is(&Request { if_unmodified_since: date("36"), ..get() }, Wanted::Changed);
        let part = |if_range: Option<String>| Request { range: Some("bytes=1-2".into()), if_range, ..get() };
        is(&part(None), Wanted::Part(1..3));
        is(&part(Some("\"a\"".into())), Wanted::Part(1..3));
        is(&part(date("37")), Wanted::Part(1..3));
        is(&part(Some("\"b\"".into())), Wanted::Whole);
        is(&part(Some("W/\"a\"".into())), Wanted::Whole);
        is(&Request { method: "HEAD".into(), ..part(None) }, Wanted::Whole);
    }
}
