//! From bytes to log lines: stamps and JSON records. Pure: bytes, a stamp and the state of the line go in, bytes come out.
//!
//! Text is never decoded. What a stamp or a record needs to know about earlier bytes is one number, the [`Carry`], so
//! that it can be kept on disk and a line that arrives in pieces is stamped once.

use super::date::{self, DateFormat};
use super::route::{Channel, Format};
use baton_core::units::WallTime;
use jiff::tz::TimeZone;
use memchr::{memchr, memrchr};
use std::io::Write;

/// How far the current line of a stream has been written: 0 at the start of a line, else the number of pieces of it that
/// are in the file already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Carry(pub(super) u32);

/// Whether more bytes can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The stream goes on: an unfinished last line stays open.
    Open,
    /// These are the last bytes of the stream: an unfinished line is closed.
    Final,
}

/// How the lines of one stream look in its files.
#[derive(Clone, Debug)]
pub(super) enum Style {
    /// As they came.
    Plain,
    /// Each line behind a date, a colon and a space.
    Stamped(DateFormat),
    /// One JSON object a line.
    Json {
        /// Format of `timestamp`; ISO when there is none.
        date: Option<DateFormat>,
        /// Which of the two streams, for `type`.
        channel: Channel,
        /// For `process_id`.
        process_id: u32,
        /// For `app_name`.
        app_name: String,
    },
}

impl Style {
    /// The style that a stream's format asks for.
    pub(super) fn new(format: &Format, channel: Channel) -> Style {
        let date = format.date.as_deref().filter(|text| !text.is_empty()).map(DateFormat::parse);
        match (format.json, date) {
            (true, date) => {
                Style::Json { date, channel, process_id: format.process_id, app_name: format.app_name.clone() }
            }
            (false, Some(date)) => Style::Stamped(date),
            (false, None) => Style::Plain,
        }
    }

    /// Whether a line begins with a stamp, so that another stream's bytes must not go on in it.
    pub(super) fn has_stamps(&self) -> bool {
        matches!(self, Style::Stamped(_))
    }

    /// The bytes that belong to the time `wall`: rendered once for all lines of a batch.
    pub(super) fn stamp(&self, wall: WallTime, zone: &TimeZone) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Style::Plain => {}
            Style::Stamped(format) => {
                format.render(wall, zone, &mut out);
                out.extend_from_slice(b": ");
            }
            Style::Json { date, channel, process_id, app_name } => {
                let mut time = Vec::new();
                match date {
                    Some(format) => format.render(wall, zone, &mut time),
                    None => date::iso(wall, &mut time),
                }
                out.extend_from_slice(b",\"timestamp\":");
                put_json(&mut out, &String::from_utf8_lossy(&time));
                out.extend_from_slice(b",\"type\":\"");
                out.extend_from_slice(channel.name().as_bytes());
                // Writing to a Vec can't fail.
                let _ = write!(out, "\",\"process_id\":{process_id},\"app_name\":");
                put_json(&mut out, app_name);
            }
        }
        out
    }

    /// How many bytes a line takes beside its own, but for what JSON has to escape.
    pub(super) fn overhead(&self, stamp: &[u8]) -> usize {
        match self {
            Style::Plain => 0,
            Style::Stamped(_) => stamp.len(),
            Style::Json { .. } => stamp.len() + "{\"message\":\"\"}".len(),
        }
    }

    /// Appends what the files get for `bytes`.
    pub(super) fn render(&self, stamp: &[u8], bytes: &[u8], end: End, carry: &mut Carry, out: &mut Vec<u8>) {
        match self {
            Style::Plain => out.extend_from_slice(bytes),
            Style::Stamped(_) => stamp_lines(stamp, bytes, end, carry, out),
            Style::Json { .. } => json_lines(stamp, bytes, end, carry, out),
        }
    }

    /// How many of `bytes` may be written although their last line is unfinished: all, but no JSON record ends within a
    /// character that would otherwise be whole.
    pub(super) fn piece(&self, bytes: &[u8]) -> usize {
        match self {
            Style::Plain | Style::Stamped(_) => bytes.len(),
            Style::Json { .. } => {
                let from = bytes.len().saturating_sub(3);
                for start in (from..bytes.len()).rev() {
                    let need = match bytes[start] {
                        0xC2..=0xDF => 2,
                        0xE0..=0xEF => 3,
                        0xF0..=0xF4 => 4,
                        0x80..=0xBF => continue,
                        _ => 1,
                    };
                    let incomplete = start + need > bytes.len() && start > 0;
                    return if incomplete { start } else { bytes.len() };
                }
                bytes.len()
            }
        }
    }
}

fn stamp_lines(stamp: &[u8], bytes: &[u8], end: End, carry: &mut Carry, out: &mut Vec<u8>) {
    for line in Lines(bytes) {
        if carry.0 == 0 {
            out.extend_from_slice(stamp);
        }
        out.extend_from_slice(line);
        // One number is enough here: the line is open or it isn't.
        carry.0 = u32::from(line.last() != Some(&b'\n'));
    }
    if end == End::Final && carry.0 != 0 {
        out.push(b'\n');
        carry.0 = 0;
    }
}

fn json_lines(stamp: &[u8], bytes: &[u8], end: End, carry: &mut Carry, out: &mut Vec<u8>) {
    for line in Lines(bytes) {
        let (text, whole) = match line.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (line, end == End::Final),
        };
        let part = (carry.0 > 0 || !whole).then(|| carry.0.saturating_add(1));
        json_record(stamp, text, part, out);
        carry.0 = if whole { 0 } else { part.unwrap_or(1) };
    }
    if end == End::Final {
        carry.0 = 0;
    }
}

fn json_record(stamp: &[u8], text: &[u8], part: Option<u32>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"message\":");
    let exact = match std::str::from_utf8(text) {
        Ok(text) => {
            put_json(out, text);
            true
        }
        Err(_) => {
            put_json(out, &String::from_utf8_lossy(text));
            false
        }
    };
    out.extend_from_slice(stamp);
    if !exact {
        out.extend_from_slice(b",\"raw_base64\":\"");
        base64(text, out);
        out.push(b'"');
    }
    if let Some(part) = part {
        // Writing to a Vec can't fail.
        let _ = write!(out, ",\"part\":{part}");
    }
    out.extend_from_slice(b"}\n");
}

fn put_json(out: &mut Vec<u8>, text: &str) {
    // Text to a Vec: neither serialising nor writing can fail.
    let _ = serde_json::to_writer(out, text);
}

/// Appends `bytes` in base64.
pub fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let value = (word >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= chunk.len() { DIGITS[value] } else { b'=' });
        }
    }
}

/// The lines of a buffer, each with its newline; the last one may have none.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr(b'\n', self.0).map_or(self.0.len(), |at| at + 1);
        let (line, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(line)
    }
}

/// The length of the whole lines that `bytes` starts with.
pub(super) fn whole_lines(bytes: &[u8]) -> usize {
    memrchr(b'\n', bytes).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn style(json: bool) -> Style {
        let format =
            Format { date: (!json).then(|| "x".into()), json, app_name: "a\"p".into(), process_id: 7, copy: false };
        Style::new(&format, Channel::Err)
    }

    fn render(style: &Style, chunks: &[&[u8]], wall: u64) -> Vec<u8> {
        let (mut out, mut carry) = (Vec::new(), Carry::default());
        for (index, chunk) in chunks.iter().enumerate() {
            let end = if index + 1 == chunks.len() { End::Final } else { End::Open };
            let stamp = style.stamp(WallTime(wall), &TimeZone::UTC);
            style.render(&stamp, chunk, end, &mut carry, &mut out);
        }
        assert_eq!(carry, Carry(0), "nothing is open after the last bytes");
        out
    }

    /// Bytes that make lines, partial lines and broken UTF-8 likely.
    fn noise() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![3 => Just(b'\n'), 8 => b'a'..=b'e', 1 => Just(0u8), 1 => any::<u8>(), 1 => Just(0xC3u8), 1 => Just(0xA9u8)];
        prop::collection::vec(byte, 0..200)
    }

    fn cut(bytes: &[u8], mut at: Vec<usize>) -> Vec<&[u8]> {
        at.retain(|cut| *cut <= bytes.len());
        at.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for to in at {
            chunks.push(&bytes[from..to]);
            from = to;
        }
        chunks.push(&bytes[from..]);
        chunks
    }

    fn unbase64(text: &str) -> Vec<u8> {
        let value = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            other => panic!("{other} is no digit"),
        };
        let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(value).collect();
        let mut out = Vec::new();
        for four in digits.chunks(4) {
            let word = four.iter().fold(0u32, |word, digit| word << 6 | u32::from(*digit)) << (6 * (4 - four.len()));
            out.extend_from_slice(&word.to_be_bytes()[1..four.len()]);
        }
        out
    }

    proptest! {
        #[test]
        fn a_stamped_line_does_not_depend_on_how_it_was_cut(bytes in noise(), at in prop::collection::vec(0usize..200, 0..12)) {
            let text = render(&style(false), &cut(&bytes, at), 5);
            prop_assert_eq!(&text, &render(&style(false), &[&bytes], 5));
            // Every line has exactly one stamp, and what follows the stamps is what came in.
            let mut back = Vec::new();
            for line in Lines(&text) {
                prop_assert!(line.starts_with(b"5: "));
                back.extend_from_slice(&line[3..]);
            }
            if bytes.last().is_some_and(|byte| *byte != b'\n') {
                prop_assert_eq!(back.pop(), Some(b'\n'));
            }
            prop_assert_eq!(back, bytes);
        }

        #[test]
        fn json_records_hold_every_byte_however_they_were_cut(bytes in noise(), at in prop::collection::vec(0usize..200, 0..12)) {
            let text = render(&style(true), &cut(&bytes, at), 5);
            let mut back: Vec<u8> = Vec::new();
            let mut parts = 0;
            let records: Vec<serde_json::Value> = Lines(&text).map(|line| serde_json::from_slice(line).expect("a JSON object")).collect();
            for (index, record) in records.iter().enumerate() {
                let message = match record.get("raw_base64") {
                    Some(raw) => unbase64(raw.as_str().expect("text")),
                    None => record["message"].as_str().expect("text").as_bytes().to_vec(),
                };
                prop_assert_eq!(record["message"].as_str().expect("text"), String::from_utf8_lossy(&message));
                prop_assert_eq!(&record["type"], "err");
                prop_assert_eq!(&record["process_id"], 7);
                prop_assert_eq!(&record["app_name"], "a\"p");
                prop_assert_eq!(&record["timestamp"], "1970-01-01T00:00:00.005Z");
                parts = match record.get("part").and_then(serde_json::Value::as_u64) {
                    Some(part) => {
                        prop_assert!(part == parts + 1 || part == 1, "part {part} after {parts}");
                        part
                    }
                    None => 0,
                };
                back.extend_from_slice(&message);
                let goes_on = records.get(index + 1).and_then(|next| next.get("part")).and_then(serde_json::Value::as_u64) == Some(parts + 1) && parts > 0;
                if !goes_on {
                    back.push(b'\n');
                }
            }
            // The newline of the last line is the only thing that a record can't tell.
            let mut expected = bytes.clone();
            if expected.last().is_some_and(|byte| *byte != b'\n') {
                expected.push(b'\n');
            }
            prop_assert_eq!(back, expected);
        }

        #[test]
        fn a_piece_ends_between_characters(text in "[a-zé€𝄞]{1,40}", cut in 0usize..160) {
            let bytes = &text.as_bytes()[..cut.min(text.len())];
            let piece = style(true).piece(bytes);
            prop_assert!(piece > 0 || bytes.is_empty());
            if let Err(broken) = std::str::from_utf8(&bytes[..piece]) {
                // Only when the whole buffer is one incomplete character.
                prop_assert_eq!(broken.valid_up_to(), 0);
            }
        }
    }

    #[test]
    fn whole_lines_end_at_the_last_newline() {
        assert_eq!(whole_lines(b""), 0);
        assert_eq!(whole_lines(b"abc"), 0);
        assert_eq!(whole_lines(b"a\nb\nc"), 4);
    }
}
