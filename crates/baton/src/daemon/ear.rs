//! Listening for a line that an app is to write: in what it writes from now on, and in its log when it has begun before.

use super::inbox::{Inbox, Message};
use super::journal;
use super::life::{Began, Key};
use crate::home::Home;
use crate::logs::cursor::{Cursor, Wanted};
use crate::logs::source::{self, Source, Streams};
use crate::logs::stream::Stream;
use baton_core::world::InstanceView;
use baton_os::logs::date::DateFormat;
use baton_os::logs::{Channel, Ear, Format};
use jiff::tz::TimeZone;
use memchr::memchr;
use regex::bytes::Regex;
use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Of a longer line only the beginning is looked at (bytes).
const LONGEST: usize = 64 * 1024;

/// One regular expression that one life is to match; told once.
#[derive(Clone, Debug)]
pub(super) struct Search {
    key: Key,
    pattern: String,
    regex: Regex,
    found: Arc<AtomicBool>,
    inbox: Inbox,
}

impl Search {
    /// Begins nothing yet.
    ///
    /// # Errors
    /// When the pattern is no regular expression.
    pub(super) fn new(key: Key, pattern: &str, inbox: &Inbox) -> Result<Search, regex::Error> {
        let (pattern, regex) = (pattern.to_owned(), Regex::new(pattern)?);
        Ok(Search { key, pattern, regex, found: Arc::default(), inbox: inbox.clone() })
    }

    /// Hears what the life writes from now on.
    pub(super) fn ear(&self) -> Ear {
        let search = self.clone();
        let mut unfinished = [Vec::new(), Vec::new()];
        Box::new(move |channel, bytes| {
            let before = &mut unfinished[usize::from(channel == Channel::Err)];
            !search.is_found() && !search.look(before, bytes)
        })
    }

    /// Looks at the next bytes of a stream, `before` being the beginning of the line that they go on with; true when a whole
    /// line matches.
    fn look(&self, before: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest);
            let piece = &rest[..end.unwrap_or(rest.len())];
            before.extend_from_slice(&piece[..piece.len().min(LONGEST - before.len())]);
            let Some(end) = end else { break };
            if self.matches(before) {
                self.tell();
                return true;
            }
            before.clear();
            rest = &rest[end + 1..];
        }
        false
    }

    fn matches(&self, line: &[u8]) -> bool {
        self.regex.is_match(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn is_found(&self) -> bool {
        self.found.load(Ordering::Relaxed)
    }

    fn tell(&self) {
        if !self.found.swap(true, Ordering::Relaxed) {
            self.inbox.send(Message::Heard { key: self.key, pattern: self.pattern.clone() });
        }
    }

    /// Looks, on a thread of its own, for the line in what the logs have since the life began. Whose a line is can't be told
    /// in a file of several writers; nor, when the life was begun by a predecessor of ours, right after its beginning.
    /// `format` is that of the life's lines.
    pub(super) fn past(self, view: InstanceView, format: Format, began: Vec<Began>, home: &Home) {
        let (id, times) = (view.id, home.times());
        let look = move || {
            let form = match Form::new(&format) {
                Ok(form) => form,
                Err(error) => return journal::error(format_args!("the logs of slot {id} can't be read: {error}")),
            };
            for source in source::of(&view, Streams::Both) {
                let began = began.iter().find(|began| began.path == source.path);
                if let Err(error) = self.look_into(source, began, &view, &form, &times) {
                    journal::error(format_args!("no look into a log of slot {id}: {error}"));
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("baton-past".into()).spawn(look) {
            journal::error(format_args!("no thread to look into the logs of slot {id}: {error}"));
        }
    }

    fn look_into(
        &self,
        source: Source,
        began: Option<&Began>,
        view: &InstanceView,
        form: &Form,
        times: &Path,
    ) -> io::Result<()> {
        let mut stream = match Stream::open(&source.path, times) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let zone = TimeZone::system();
        if !began.is_some_and(|began| stream.seek_file(began.file, began.size)) {
            stream.seek_time(view.started_at.unwrap_or_default().0, &zone);
        }
        let wanted = Wanted { longest: LONGEST, timed: false, ..Wanted::default() };
        let mut cursor = Cursor::new(source, stream, wanted, zone);
        while !self.is_found() && cursor.advance()? {
            let line = cursor.current().map_or(&[][..], |(_, line)| line);
            if form.message(line).is_some_and(|message| self.matches(&message)) {
                self.tell();
            }
        }
        Ok(())
    }
}

/// What the lines of a log have beside what the app wrote.
#[derive(Debug)]
enum Form {
    /// Nothing.
    Plain,
    /// Each a stamp in front, which this matches.
    Stamped(Regex),
    /// Each is a record.
    Json,
}

impl Form {
    fn new(format: &Format) -> Result<Form, regex::Error> {
        match format.date.as_deref().filter(|date| !date.is_empty()) {
            _ if format.json => Ok(Form::Json),
            Some(date) => Ok(Form::Stamped(Regex::new(&format!("^{}: ", DateFormat::parse(date).pattern()))?)),
            None => Ok(Form::Plain),
        }
    }

    /// What the app wrote, of a line of its log; `None` of what is no record where there should be one.
    fn message<'a>(&self, line: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        match self {
            Form::Plain => Some(line.into()),
            // A line without one is of a time before stamps were asked for, or of another writer.
            Form::Stamped(stamp) => Some(line[stamp.find(line).map_or(0, |found| found.end())..].into()),
            Form::Json => {
                let record: serde_json::Value = serde_json::from_slice(line).ok()?;
                Some(record.get("message")?.as_str()?.as_bytes().to_vec().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::units::{Incarnation, InstanceId, WallTime};

    fn search(pattern: &str) -> (Search, impl FnMut() -> bool) {
        let (inbox, mut received) = Inbox::new();
        let search = Search::new((InstanceId(1), Incarnation(2)), pattern, &inbox).unwrap();
        (search, move || matches!(received.try_recv(), Ok(Message::Heard { .. })))
    }

    #[test]
    fn a_line_is_found_however_it_is_cut_and_told_once() {
        for pieces in [&["up\n"][..], &["u", "p", "\n"], &["x\nu", "p\r\ny"]] {
            let (search, mut told) = search("^up$");
            let mut ear = search.ear();
            let mut more = true;
            for piece in pieces {
                assert!(more, "{pieces:?}");
                more = ear(Channel::Out, piece.as_bytes());
            }
            assert_eq!((more, told(), told()), (false, true, false), "{pieces:?}");
        }
    }

    #[test]
    fn the_two_streams_do_not_run_into_each_other() {
        let (search, mut told) = search("^up$");
        let mut ear = search.ear();
        assert!(ear(Channel::Out, b"u") && ear(Channel::Err, b"p\n") && ear(Channel::Out, b"\xff\n"));
        assert!(ear(Channel::Out, b"up") && ear(Channel::Out, b"date\n"));
        assert!(!told());
        assert!(!ear(Channel::Out, b"up\n"));
        assert!(told());
    }

    fn message(date: Option<&str>, json: bool, line: &str) -> Option<String> {
        let form = Form::new(&Format { date: date.map(str::to_owned), json, ..Format::default() }).unwrap();
        form.message(line.as_bytes()).map(|message| String::from_utf8(message.into_owned()).unwrap())
    }

    #[test]
    fn of_a_line_in_a_log_counts_what_the_app_wrote_and_nothing_else() {
        let written = |text: &str| Some(text.to_owned());
        // No stamp is asked for: whatever looks like one is the app's own.
        for line in ["up", "not yet: ready in 30s", "2026-11-21T10:00:00: up", "{\"message\":\"up\"}"] {
            assert_eq!(message(None, false, &format!("{line}\n")), written(line));
            assert_eq!(message(Some(""), false, line), written(line));
        }
        let date = Some("YYYY-MM-DDTHH:mm:ss");
        assert_eq!(message(date, false, "2026-11-21T10:00:00: not yet: ready\n"), written("not yet: ready"));
        assert_eq!(message(date, false, "not yet: ready\n"), written("not yet: ready"));
        for date in [None, date] {
            let record = "{\"message\":\"so: up\\tnow\",\"timestamp\":\"x\",\"type\":\"out\"}\n";
            assert_eq!(message(date, true, record), written("so: up\tnow"));
            assert_eq!(message(date, true, "up\n"), None);
        }
    }

    #[test]
    fn a_stamp_of_any_format_is_known_as_one() {
        let formats = [
            "YYYY-MM-DD HH:mm:ss.SSS Z",
            "YY M D H m s ZZ [at: (x.y)]",
            "dddd ddd dd d, MMMM MMM",
            "hh:mm A h a SS S",
            "X x",
            "[T]",
            "[a: ]ü",
        ];
        for format in formats {
            for wall in [0, 1_795_225_954_073, 1_795_303_999_999] {
                let mut line = Vec::new();
                DateFormat::parse(format).render(WallTime(wall), &TimeZone::fixed(jiff::tz::offset(-5)), &mut line);
                let line = format!("{}: so: up\n", String::from_utf8(line).unwrap());
                assert_eq!(message(Some(format), false, &line).as_deref(), Some("so: up"), "{line}");
            }
        }
    }
}
