//! JSON records as people read them: time, level, message, then the rest as `key=value`.

use super::record::{LEVELS, Level, MESSAGES, TIMES};
use baton_pm2::style::{Colour, Style};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Members that say for each record again what is known.
const KNOWN: &[&str] = &["hostname", "pid", "v"];
/// Members that are shown below, as they hold several lines.
const TRACES: &[&str] = &["stack", "stacktrace", "exception", "exc_info", "trace"];

/// A record in lines; `None` when the line is none, or one without message and level.
pub(crate) fn lines(line: &[u8], colour: Colour, zone: &TimeZone) -> Option<Vec<String>> {
    let line = line.trim_ascii();
    if line.first() != Some(&b'{') {
        return None;
    }
    let record: Map<String, Value> = serde_json::from_slice(line).ok()?;
    // A record of ours around one of the app: that one is of interest.
    if let (Some(Value::String(inner)), true) = (record.get("message"), record.contains_key("app_name")) {
        return Some(lines(inner.as_bytes(), colour, zone).unwrap_or_else(|| vec![clean(inner)]));
    }
    let first = |names: &[&str]| names.iter().find_map(|name| record.get_key_value(*name));
    let (level, message) = (first(LEVELS), first(MESSAGES));
    if level.is_none() && message.is_none() {
        return None;
    }
    let facts = super::record::facts(line, zone).unwrap_or_default();
    let mut head = String::new();
    if let Some(time) = facts.time.and_then(|time| i64::try_from(time).ok()) {
        let time = jiff::Timestamp::from_millisecond(time).ok()?.to_zoned(zone.clone());
        let time = time.strftime("%H:%M:%S%.3f").to_string();
        head.push_str(&colour.paint(Style::Grey, &time));
        head.push(' ');
    }
    if let Some((_, value)) = level {
        let (name, style) = match facts.level {
            Some(level) => (level.name().to_uppercase(), style(level)),
            None => (text(value), Style::Grey),
        };
        head.push_str(&colour.paint(style, &format!("{name:5}")));
        head.push(' ');
    }
    head.push_str(&message.map_or_else(String::new, |(_, value)| clean(&text(value))));

    let mut below: Vec<String> = Vec::new();
    let shown = [level, message].into_iter().flatten().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    for (name, value) in &record {
        let time = facts.time.is_some() && TIMES.contains(&name.as_str());
        if time || shown.contains(&name.as_str()) || KNOWN.contains(&name.as_str()) {
            continue;
        }
        let stack = match value {
            Value::String(trace) if TRACES.contains(&name.as_str()) => Some(trace.clone()),
            Value::Object(error) => error.get("stack").and_then(Value::as_str).map(str::to_owned),
            _ => None,
        };
        match stack {
            Some(stack) => below.extend(stack.lines().map(|line| format!("    {}", clean(line)))),
            None => {
                let name = colour.paint(Style::Cyan, &format!("{}=", clean(name)));
                // Writing to a String can't fail.
                let _ = write!(head, " {name}{}", clean(&value_text(value)));
            }
        }
    }
    let mut lines = vec![head.trim_end().to_owned()];
    lines.extend(below);
    Some(lines)
}

fn style(level: Level) -> Style {
    match level {
        Level::Trace | Level::Debug => Style::Grey,
        Level::Info => Style::Green,
        Level::Warn => Style::Yellow,
        Level::Error => Style::Red,
        Level::Fatal => Style::BoldRed,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=', '\n']) => text.clone(),
        other => other.to_string(),
    }
}

/// What was escaped in the record stays so: an app's text may not steer the terminal.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Option<Vec<String>> {
        lines(line.as_bytes(), Colour::Off, &TimeZone::UTC)
    }

    #[test]
    fn the_shapes_of_loggers_look_alike() {
        let expected = Some(vec!["12:00:00.000 WARN  slow path=/a n=3".to_owned()]);
        for line in [
            r#"{"level":40,"time":1795262400000,"pid":7,"hostname":"h","msg":"slow","path":"/a","n":3}"#,
            r#"{"level":"warn","message":"slow","timestamp":"2026-11-21T12:00:00.000Z","path":"/a","n":3}"#,
            r#"{"event":"slow","level":"warning","timestamp":"2026-11-21T12:00:00Z","path":"/a","n":3}"#,
            r#"{"message":"{\"level\":40,\"time\":1795262400000,\"msg\":\"slow\",\"path\":\"/a\",\"n\":3}","timestamp":"x","type":"out","process_id":0,"app_name":"a"}"#,
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn traces_stand_below_and_values_are_told_apart() {
        let line = r#"{"level":50,"msg":"broke","err":{"type":"Error","stack":"Error: x\n    at f (a.js:1)"},"a":"b c","d":{"e":[1]}}"#;
        assert_eq!(
            shown(line).unwrap(),
            ["ERROR broke a=\"b c\" d={\"e\":[1]}", "    Error: x", "        at f (a.js:1)"]
        );
    }

    #[test]
    fn control_characters_stay_escaped_and_other_lines_are_left() {
        assert_eq!(shown(r#"{"msg":"a\u001b[2Jb"}"#).unwrap(), [r"a\u{1b}[2Jb"]);
        for line in ["text", "{", r#"{"a":1}"#, "[1]"] {
            assert_eq!(shown(line), None, "{line}");
        }
    }
}
