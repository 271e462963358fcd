//! `errors`: the last error output of each app: what it wrote to standard error, and the records of level error and
//! above on its standard output. A stack trace is never cut.

use super::common::Common;
use super::failure::Failure;
use super::logs::tail::last_lines;
use super::session::{CalledAs, Session, list};
use crate::logs::cursor::{Cursor, Stop, Wanted};
use crate::logs::query::{Query, merge};
use crate::logs::record::Level;
use crate::logs::render::{Form, Renderer};
use crate::logs::source::{self, Filter, Source, Stream, Streams};
use baton_core::proto::List;
use baton_core::select::SelectError;
use baton_core::world::InstanceView;
use baton_os::clock;
use baton_pm2::style::Style;
use clap::Parser;
use jiff::tz::TimeZone;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// Lines for each app when nothing else is said.
const LINES: usize = 20;
/// A trace is shown from its beginning when that is at most so many lines further up.
const TRACE: usize = 200;

/// Show the last error output of each app.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Names, numbers, units, /pattern/ or `all`.
    #[arg(value_name = "name|id|namespace")]
    targets: Vec<String>,
    /// Lines for each app; more when a stack trace begins before them.
    #[arg(long, value_name = "NUMBER", default_value_t = LINES)]
    lines: usize,
    /// A JSON object for each line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// A line of error output.
struct Line {
    source: Source,
    stop: Stop,
    bytes: Vec<u8>,
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let filter = Filter::parse(&args.targets).map_err(|error| Failure::Usage(error.to_string()))?;
    let instances = list(&mut session.quiet_client()?, List::default())?.instances;
    for word in filter.strangers(&instances) {
        session.warn(&SelectError::NoName(word.to_owned()).to_string());
    }
    let form = if args.json { Form::Json } else { Form::Raw };
    let mut quiet = Vec::new();
    for view in instances.iter().filter(|view| filter.takes(view)) {
        let lines = error_output(view, args.lines, session)?;
        match lines.last() {
            None => quiet.push(view.name.as_str()),
            Some(last) if !args.json => session.line(&heading(view, &last.stop, lines.len(), session)),
            Some(_) => {}
        }
        let pretty = session.on_terminal() && session.called == CalledAs::Baton;
        let mut renderer = Renderer::new(form.clone(), None, None, session.colour).below(pretty);
        let mut out = BufWriter::new(io::stdout().lock());
        let mut show = || -> io::Result<()> {
            for line in &lines {
                renderer.line(&line.source, line.stop.time, &line.bytes, &mut out)?;
            }
            out.flush()
        };
        // A reader that has gone has had enough.
        show().map_err(|_| Failure::Told)?;
    }
    if !quiet.is_empty() && !args.json {
        quiet.dedup();
        session.line(&format!("no error output: {}", quiet.join(", ")));
    }
    Ok(())
}

/// The last `count` lines of an app's error output, by time.
fn error_output(view: &InstanceView, count: usize, session: &Session) -> Result<Vec<Line>, Failure> {
    let mut cursors: Vec<Cursor> = Vec::new();
    for source in source::of(view, Streams::Both) {
        let level = (source.stream == Stream::Out).then_some(Level::Error);
        let query = Query {
            wanted: Wanted { level, ..Wanted::default() },
            lines: Some(count + TRACE),
            times: session.home.times(),
            zone: TimeZone::system(),
        };
        match query.open(source.clone()) {
            Ok(cursor) => cursors.push(cursor),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => session.warn(&format!("{}: {error}", source.path.display())),
        }
    }
    let mut lines: Vec<Line> = Vec::new();
    merge(
        &mut cursors.iter_mut().collect::<Vec<_>>(),
        |_| true,
        |cursor| {
            if let Some((stop, bytes)) = cursor.current() {
                lines.push(Line { source: cursor.source.clone(), stop: stop.clone(), bytes: bytes.to_vec() });
            }
            Ok(())
        },
    )
    .map_err(Failure::system("reading log files"))?;
    for trouble in cursors.iter_mut().flat_map(|cursor| std::mem::take(&mut cursor.stream.troubles)) {
        session.warn(&trouble);
    }
    let mut start = lines.len().saturating_sub(count);
    let least = start.saturating_sub(TRACE);
    while start > least && start < lines.len() && belongs(&lines[start - 1], &lines[start]) {
        start -= 1;
    }
    Ok(lines.split_off(start))
}

/// The last `count` lines of a file of error output; more when a stack trace begins before them.
pub(super) fn last_report(file: &File, count: usize) -> io::Result<Vec<u8>> {
    let (bytes, _) = last_lines(file, count + TRACE)?;
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let mut start = lines.len().saturating_sub(count);
    while start > 0 && start < lines.len() && goes_on(lines[start - 1], lines[start]) {
        start -= 1;
    }
    Ok(lines[start..].concat())
}

/// Whether a line goes on with the report of the one before it.
fn belongs(before: &Line, line: &Line) -> bool {
    before.source.path == line.source.path && goes_on(&before.bytes, &line.bytes)
}

/// Whether `line` is part of the trace that `before` is in: what is indented, what closes it, what languages write
/// between two traces, and the line behind an indented one that names the error, as Python has it.
fn goes_on(before: &[u8], line: &[u8]) -> bool {
    let indented = |line: &[u8]| line.first().is_some_and(|byte| *byte == b' ' || *byte == b'\t');
    const INNER: &[&[u8]] =
        &[b"Caused by:", b"During handling of", b"The above exception", b"...", b"}", b"]", b")", b"^", b"Emitted '"];
    if indented(line) || INNER.iter().any(|text| line.starts_with(text)) {
        return true;
    }
    let empty = |line: &[u8]| line.trim_ascii().is_empty();
    let begins = line.starts_with(b"Traceback") || line.first() == Some(&b'{');
    // Node writes where, an empty line and then the error; Python the error behind its trace.
    !begins && (indented(before) && !empty(line) && names_an_error(line) || empty(line) && indented(before))
}

/// `ValueError: x`, `requests.exceptions.Timeout`: one word, perhaps with dots, and then nothing or a colon.
fn names_an_error(line: &[u8]) -> bool {
    let word = line.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')).count();
    word > 0 && matches!(line[word..].trim_ascii_end().first(), None | Some(b':'))
}

fn heading(view: &InstanceView, last: &Stop, lines: usize, session: &Session) -> String {
    let name = session.colour.paint(Style::Bold, &format!("{} ({})", view.name, view.id));
    let ago = clock::now().wall.0.saturating_sub(last.time) / 1000;
    let ago = match ago {
        0..120 => format!("{ago} s"),
        120..7_200 => format!("{} min", ago / 60),
        7_200..172_800 => format!("{} h", ago / 3_600),
        _ => format!("{} d", ago / 86_400),
    };
    let lines = if lines == 1 { "1 line".into() } else { format!("{lines} lines") };
    format!("{name}: {lines} of error output, the last {ago} ago")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many lines the report has that the last line is part of.
    fn report(text: &str) -> usize {
        let lines: Vec<&[u8]> = text.split_inclusive('\n').map(str::as_bytes).collect();
        1 + lines.windows(2).rev().take_while(|pair| goes_on(pair[0], pair[1])).count()
    }

    #[test]
    fn the_last_lines_begin_with_their_report() {
        let mut file = tempfile::tempfile().expect("file");
        let trace: String = (0..30).map(|frame| format!("    at f{frame} (/a.js:1:1)\n")).collect();
        write!(file, "first\nlistening\nError: no\n{trace}").expect("written");
        let shown = String::from_utf8(last_report(&file, 10).expect("read")).expect("text");
        assert!(shown.starts_with("Error: no\n    at f0 ") && shown.ends_with("at f29 (/a.js:1:1)\n"), "{shown}");
        assert_eq!(last_report(&tempfile::tempfile().expect("file"), 10).expect("read"), b"");
    }

    #[test]
    fn traces_of_several_languages_are_one_report() {
        let node = "before\nError: no\n    at f (/a.js:1:1) {\n  code: 'E'\n}\n";
        assert_eq!(report(node), 4);
        let python =
            "before\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: no\n";
        assert_eq!(report(python), 4);
        let java = "before\njava.lang.Error: no\n\tat a.B.c(B.java:1)\nCaused by: x.Y: z\n\tat a.B.d(B.java:2)\n\t... 3 more\n";
        assert_eq!(report(java), 5);
    }

    #[test]
    fn lines_of_their_own_are_apart() {
        assert_eq!(report("one\ntwo\n"), 1);
        assert_eq!(report("  detail of one\ntwo words\n"), 1);
        assert_eq!(report("    at f\n{\"level\":50}\n"), 1);
    }
}
