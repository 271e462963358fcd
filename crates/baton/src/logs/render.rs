//! How a line of a log is shown. Its bytes are passed on as they are: nothing is taken for UTF-8 that need not be.

use super::pretty;
use super::source::{Source, Stream};
use baton_core::units::WallTime;
use baton_os::clock;
use baton_os::logs::base64;
use baton_os::logs::date::{DateFormat, iso};
use baton_pm2::style::{Colour, Style};
use jiff::tz::TimeZone;
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;

/// Narrowest label of a followed line.
const NARROWEST: usize = 3;
/// Width of a label in front of the last lines.
const TAIL_LABEL: usize = 10;

/// The form of a line.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// Who wrote it, a bar, and the line.
    Labelled,
    /// The line alone; what came from standard error goes there.
    Raw,
    /// A JSON object.
    Json,
    /// `key=value` pairs.
    Pairs,
}

/// Shows lines.
#[derive(Debug)]
pub(crate) struct Renderer {
    form: Form,
    stamp: Option<DateFormat>,
    highlight: Option<Vec<u8>>,
    colour: Colour,
    /// JSON records as people read them.
    pretty: bool,
    /// Standard output gets raw lines of standard error too.
    together: bool,
    zone: TimeZone,
    width: usize,
    /// Whose unfinished line is the last on standard output, and on standard error.
    unfinished: [Option<PathBuf>; 2],
}

impl Renderer {
    /// Shows lines in this form, with a date in front when there is a format, and a word set off.
    pub(crate) fn new(form: Form, stamp: Option<&str>, highlight: Option<&str>, colour: Colour) -> Self {
        Renderer {
            form,
            stamp: stamp.map(DateFormat::parse),
            highlight: highlight.filter(|word| !word.is_empty()).map(|word| word.as_bytes().to_vec()),
            colour,
            pretty: false,
            together: false,
            zone: TimeZone::system(),
            width: NARROWEST,
            unfinished: [None, None],
        }
    }

    /// Shows JSON records as people read them, where lines carry names.
    pub(crate) fn pretty(mut self, pretty: bool) -> Self {
        self.pretty = pretty && self.is_labelled();
        self
    }

    /// All lines go to standard output, below a heading of their app; JSON records as people read them if wished.
    pub(crate) fn below(mut self, pretty: bool) -> Self {
        (self.together, self.pretty) = (true, pretty);
        self
    }

    /// Whether lines carry the name of who wrote them.
    pub(crate) fn is_labelled(&self) -> bool {
        matches!(self.form, Form::Labelled)
    }

    /// Makes room for the names of these, so that lines begin at one column.
    pub(crate) fn make_room<'a>(&mut self, sources: impl IntoIterator<Item = &'a Source>) {
        let widest = sources.into_iter().map(|source| source.label().chars().count() + 1).max();
        self.width = self.width.max(widest.unwrap_or(0));
    }

    /// Shows one of the last lines of a file.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn tail(&mut self, source: &Source, line: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let label = format!("{:TAIL_LABEL$.TAIL_LABEL$}", source.label());
        self.show(source, clock::now().wall, line, &label, out)
    }

    /// Shows a line of this time (ms since the Unix epoch), with its newline if it has one. Empty lines are passed over
    /// unless lines are raw.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn line(&mut self, source: &Source, time: u64, line: &[u8], out: &mut dyn Write) -> io::Result<()> {
        if matches!(line, b"" | b"\n") && !matches!(self.form, Form::Raw) {
            return Ok(());
        }
        self.make_room([source]);
        let label = format!("{:width$}", source.label(), width = self.width);
        self.show(source, WallTime(time), line, &label, out)
    }

    /// Shows that lines were left out.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn gap(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.is_labelled() { out.write_all(b"--\n") } else { Ok(()) }
    }

    fn show(
        &mut self,
        source: &Source,
        time: WallTime,
        line: &[u8],
        label: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        match self.form {
            Form::Raw if source.stream == Stream::Error && !self.together => {
                raw(source, line, &mut self.unfinished[1], &mut io::stderr().lock())
            }
            Form::Raw if self.together => {
                let pretty = if self.pretty { pretty::lines(text, self.colour, &self.zone) } else { None };
                for text in pretty.iter().flatten() {
                    writeln!(out, "{text}")?;
                }
                if pretty.is_some() {
                    return Ok(());
                }
                out.write_all(text)?;
                out.write_all(b"\n")
            }
            Form::Raw => raw(source, line, &mut self.unfinished[0], out),
            Form::Labelled => {
                let label = self.colour.paint(style(source.stream), &format!("{label} | "));
                let label = [self.date(time), label.into_bytes()].concat();
                let pretty = if self.pretty { pretty::lines(text, self.colour, &self.zone) } else { None };
                for text in pretty.iter().flatten() {
                    out.write_all(&label)?;
                    self.body(text.as_bytes(), out)?;
                    out.write_all(b"\n")?;
                }
                if pretty.is_none() {
                    out.write_all(&label)?;
                    self.body(text, out)?;
                    out.write_all(b"\n")?;
                }
                Ok(())
            }
            Form::Json if is_our_record(text) => {
                out.write_all(text)?;
                out.write_all(b"\n")
            }
            Form::Json => {
                let mut record = json!({
                    "message": String::from_utf8_lossy(text),
                    "timestamp": self::text(|out| iso(time, out)),
                    "type": kind(source.stream, "err"),
                    "process_id": source.id.0,
                    "app_name": source.name,
                });
                if source.stream == Stream::Daemon {
                    record["process_id"] = "PM2".into();
                }
                if std::str::from_utf8(text).is_err() {
                    record["raw_base64"] = self::text(|out| base64(text, out)).into();
                }
                writeln!(out, "{record}")
            }
            Form::Pairs => {
                let format = DateFormat::parse("YYYY-MM-DD-HH:mm:ssZZ");
                let date = self::text(|out| format.render(time, &self.zone, out));
                match source.stream {
                    Stream::Daemon => write!(out, "timestamp={date} app=pm2 ")?,
                    Stream::Out | Stream::Error => {
                        write!(out, "timestamp={date} app={} id={} ", source.name, source.id)?
                    }
                }
                write!(out, "type={} message=", kind(source.stream, "error"))?;
                out.write_all(text)?;
                out.write_all(b"\n")
            }
        }
    }

    fn date(&self, time: WallTime) -> Vec<u8> {
        let mut date = Vec::new();
        if let Some(format) = &self.stamp {
            format.render(time, &self.zone, &mut date);
            date.extend(b": ");
        }
        date
    }

    /// The line with the first occurrence of the highlighted word on grey.
    fn body(&self, line: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let found = self.highlight.as_ref().and_then(|word| {
            line.windows(word.len()).position(|window| window == word).map(|at| (at, at + word.len()))
        });
        let Some((start, end)) = found else {
            return out.write_all(line);
        };
        out.write_all(&line[..start])?;
        out.write_all(b"\x1b[100m")?;
        out.write_all(&line[start..end])?;
        out.write_all(b"\x1b[49m")?;
        out.write_all(&line[end..])
    }
}

/// The bytes as they are. Only where another log goes on behind an unfinished line is a newline put in.
fn raw(source: &Source, line: &[u8], unfinished: &mut Option<PathBuf>, out: &mut dyn Write) -> io::Result<()> {
    if unfinished.take().is_some_and(|path| path != source.path) {
        out.write_all(b"\n")?;
    }
    if line.last() != Some(&b'\n') {
        *unfinished = Some(source.path.clone());
    }
    out.write_all(line)
}

/// Whether a line is of `log_type: json` and so has the form already.
fn is_our_record(line: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(line, text).is_some();
    line.starts_with(b"{\"message\":") && line.ends_with(b"}") && has(b",\"process_id\":") && has(b",\"app_name\":")
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn kind(stream: Stream, error: &'static str) -> &'static str {
    match stream {
        Stream::Out => "out",
        Stream::Error => error,
        Stream::Daemon => "PM2",
    }
}

fn style(stream: Stream) -> Style {
    match stream {
        Stream::Out => Style::Green,
        Stream::Error => Style::Red,
        Stream::Daemon => Style::Blue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::units::InstanceId;

    fn source(stream: Stream) -> Source {
        Source { path: "/x.log".into(), stream, id: InstanceId(3), name: "web".into() }
    }

    fn shown(form: Form, highlight: Option<&str>, lines: &[&[u8]]) -> Vec<u8> {
        let mut renderer = Renderer::new(form, None, highlight, Colour::Off);
        let mut out = Vec::new();
        for line in lines {
            renderer.line(&source(Stream::Out), 1_795_262_400_000, line, &mut out).unwrap();
        }
        out
    }

    #[test]
    fn labels_are_as_wide_as_the_longest_so_far() {
        assert_eq!(shown(Form::Labelled, None, &[b"a", b"", b"b"]), b"3|web  | a\n3|web  | b\n");
        let mut renderer = Renderer::new(Form::Labelled, None, None, Colour::Off);
        let mut out = Vec::new();
        renderer.tail(&source(Stream::Out), b"x", &mut out).unwrap();
        renderer.tail(&Source { name: "a-very-long-name".into(), ..source(Stream::Out) }, b"", &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "3|web      | x\n3|a-very-l | \n");
    }

    #[test]
    fn bytes_that_are_no_text_are_passed_on() {
        assert_eq!(shown(Form::Labelled, None, &[b"\xff\xfe"]), b"3|web  | \xff\xfe\n");
        assert_eq!(shown(Form::Raw, None, &[b"\xff", b""]), b"\xff");
        assert_eq!(shown(Form::Raw, None, &[b"\xff\n", b"\n"]), b"\xff\n\n");
        assert_eq!(shown(Form::Labelled, Some("b"), &[b"abab"]), b"3|web  | a\x1b[100mb\x1b[49mab\n");
    }

    #[test]
    fn json_lines_have_the_members_that_pm2_gives_them() {
        let line = shown(Form::Json, None, &[b"hello"]);
        let record: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(record["message"], "hello");
        assert_eq!(
            (&record["type"], &record["process_id"], &record["app_name"]),
            (&"out".into(), &3.into(), &"web".into())
        );
        assert_eq!(record["timestamp"], "2026-11-21T12:00:00.000Z");
        let binary: serde_json::Value = serde_json::from_slice(&shown(Form::Json, None, &[b"\xff"])).unwrap();
        assert_eq!(binary["raw_base64"], "/w==");
        let ours = br#"{"message":"a","timestamp":"x","type":"out","process_id":1,"app_name":"b"}"#;
        assert_eq!(shown(Form::Json, None, &[ours]), [ours, &b"\n"[..]].concat());
    }

    #[test]
    fn an_unfinished_raw_line_is_ended_only_before_another_log() {
        let other = Source { path: "/y.log".into(), ..source(Stream::Out) };
        let mut renderer = Renderer::new(Form::Raw, None, None, Colour::Off);
        let mut out = Vec::new();
        for (source, line) in
            [(&source(Stream::Out), "a"), (&source(Stream::Out), "b\n"), (&source(Stream::Out), "c"), (&other, "d")]
        {
            renderer.line(source, 0, line.as_bytes(), &mut out).unwrap();
        }
        assert_eq!(out, b"ab\nc\nd");
    }

    #[test]
    fn pairs_end_with_the_message() {
        let line = String::from_utf8(shown(Form::Pairs, None, &[b"a b"])).unwrap();
        assert!(line.starts_with("timestamp=2") && line.ends_with(" app=web id=3 type=out message=a b\n"), "{line}");
    }
}
