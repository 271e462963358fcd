//! How a line of a log is shown. Its bytes are passed on as they are: nothing is taken for UTF-8 that need not be.

use super::source::{Source, Stream};
use baton_core::units::WallTime;
use baton_os::clock;
use baton_os::logs::date::{DateFormat, iso};
use baton_pm2::style::{Colour, Style};
use jiff::tz::TimeZone;
use serde_json::json;
use std::io::{self, Write};

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
    zone: TimeZone,
    width: usize,
}

impl Renderer {
    /// Shows lines in this form, with a date in front when there is a format, and a word set off.
    pub(crate) fn new(form: Form, stamp: Option<&str>, highlight: Option<&str>, colour: Colour) -> Self {
        Renderer {
            form,
            stamp: stamp.map(DateFormat::parse),
            highlight: highlight.filter(|word| !word.is_empty()).map(|word| word.as_bytes().to_vec()),
            colour,
            zone: TimeZone::system(),
            width: NARROWEST,
        }
    }

    /// Whether lines carry the name of who wrote them.
    pub(crate) fn is_labelled(&self) -> bool {
        matches!(self.form, Form::Labelled)
    }

    /// Shows one of the last lines of a file, without its newline.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn tail(&mut self, source: &Source, line: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let label = format!("{:TAIL_LABEL$.TAIL_LABEL$}", source.label());
        self.show(source, line, &label, out)
    }

    /// Shows a line that has just been written, without its newline. Empty lines are passed over unless lines are raw.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub(crate) fn line(&mut self, source: &Source, line: &[u8], out: &mut dyn Write) -> io::Result<()> {
        if line.is_empty() && !matches!(self.form, Form::Raw) {
            return Ok(());
        }
        let label = source.label();
        self.width = self.width.max(label.chars().count() + 1);
        let label = format!("{label:width$}", width = self.width);
        self.show(source, line, &label, out)
    }

    fn show(&self, source: &Source, line: &[u8], label: &str, out: &mut dyn Write) -> io::Result<()> {
        match self.form {
            Form::Raw if source.stream == Stream::Error => {
                let mut error = io::stderr().lock();
                error.write_all(line)?;
                error.write_all(b"\n")
            }
            Form::Raw => {
                out.write_all(line)?;
                out.write_all(b"\n")
            }
            Form::Labelled => {
                out.write_all(&self.date())?;
                out.write_all(self.colour.paint(style(source.stream), &format!("{label} | ")).as_bytes())?;
                self.body(line, out)?;
                out.write_all(b"\n")
            }
            Form::Json => {
                let mut record = json!({
                    "message": String::from_utf8_lossy(line),
                    "timestamp": text(|out| iso(now(), out)),
                    "type": kind(source.stream, "err"),
                    "process_id": source.id.0,
                    "app_name": source.name,
                });
                if source.stream == Stream::Daemon {
                    record["process_id"] = "PM2".into();
                }
                writeln!(out, "{record}")
            }
            Form::Pairs => {
                let date = text(|out| DateFormat::parse("YYYY-MM-DD-HH:mm:ssZZ").render(now(), &self.zone, out));
                match source.stream {
                    Stream::Daemon => write!(out, "timestamp={date} app=pm2 ")?,
                    Stream::Out | Stream::Error => {
                        write!(out, "timestamp={date} app={} id={} ", source.name, source.id)?
                    }
                }
                write!(out, "type={} message=", kind(source.stream, "error"))?;
                out.write_all(line)?;
                out.write_all(b"\n")
            }
        }
    }

    fn date(&self) -> Vec<u8> {
        let mut date = Vec::new();
        if let Some(format) = &self.stamp {
            format.render(now(), &self.zone, &mut date);
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

fn now() -> WallTime {
    clock::now().wall
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
            renderer.line(&source(Stream::Out), line, &mut out).unwrap();
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
        assert_eq!(shown(Form::Raw, None, &[b"\xff", b""]), b"\xff\n\n");
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
        assert!(record["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn pairs_end_with_the_message() {
        let line = String::from_utf8(shown(Form::Pairs, None, &[b"a b"])).unwrap();
        assert!(line.starts_with("timestamp=2") && line.ends_with(" app=web id=3 type=out message=a b\n"), "{line}");
    }
}
