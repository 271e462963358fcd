//! Values in the notation of Node's `util.inspect`, which `prettylist`, `id` and `ping` print.
//!
//! A container stands on one line when it is among the innermost three levels and fits into 80 columns; a list of more
//! than six short members is set in columns; long texts are broken at their newlines.

use serde_json::{Map, Number, Value};

/// Columns after which a line is broken.
const LINE: usize = 80;
/// How many of the innermost levels may share a line.
const INNERMOST: usize = 3;
/// Members of a list that are shown.
const LONGEST_LIST: usize = 100;
/// UTF-16 units of a text that are shown.
const LONGEST_TEXT: usize = 10_000;

/// How deep containers are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of them.
    Whole,
    /// Those at most this deep; deeper ones are `[Object]` or `[Array]`. `console.log` uses 2.
    Upto(usize),
}

/// A value with every container open.
pub fn render(value: &Value) -> String {
    render_to(value, Depth::Whole)
}

/// A value with containers open down to a depth.
pub fn render_to(value: &Value, depth: Depth) -> String {
    Inspector { depth, indent: 0, last_level: 0 }.value(value, 0)
}

struct Inspector {
    depth: Depth,
    /// Columns that the line under way is indented.
    indent: usize,
    /// Level of the container that was opened last: how Node tells which ones are innermost.
    last_level: usize,
}

impl Inspector {
    fn value(&mut self, value: &Value, level: usize) -> String {
        match value {
            Value::Null => "null".into(),
            Value::Bool(yes) => yes.to_string(),
            Value::Number(number) => number_text(number),
            Value::String(text) => self.text(text),
            Value::Array(items) => self.list(items, level),
            Value::Object(members) => self.object(members, level),
        }
    }

    fn too_deep(&self, level: usize) -> bool {
        matches!(self.depth, Depth::Upto(depth) if level > depth)
    }

    fn list(&mut self, items: &[Value], level: usize) -> String {
        if items.is_empty() {
            return "[]".into();
        }
        if self.too_deep(level) {
            return "[Array]".into();
        }
        self.last_level = level + 1;
        self.indent += 2;
        let shown = &items[..items.len().min(LONGEST_LIST)];
        let mut entries: Vec<String> = shown.iter().map(|item| self.value(item, level + 1)).collect();
        self.indent -= 2;
        let hidden = items.len() - shown.len();
        if hidden > 0 {
            entries.push(format!("... {hidden} more item{}", if hidden == 1 { "" } else { "s" }));
        }
        let count = entries.len();
        let entries = if count > 6 { self.columns(entries, items, hidden > 0) } else { entries };
        let grouped = entries.len() != count;
        self.join(&entries, ["[", "]"], level, !grouped)
    }

    fn object(&mut self, members: &Map<String, Value>, level: usize) -> String {
        if members.is_empty() {
            return "{}".into();
        }
        if self.too_deep(level) {
            return "[Object]".into();
        }
        self.last_level = level + 1;
        self.indent += 2;
        let entries: Vec<String> =
            members.iter().map(|(key, item)| format!("{}: {}", key_text(key), self.value(item, level + 1))).collect();
        self.indent -= 2;
        self.join(&entries, ["{", "}"], level, true)
    }

    /// On one line where that is allowed and fits, else one entry a line.
    fn join(&self, entries: &[String], [open, close]: [&str; 2], level: usize, may_share: bool) -> String {
        if may_share && self.last_level - (level + 1) < INNERMOST {
            let start = entries.len() + self.indent + 1 + 10;
            let length = entries.iter().map(|entry| units(entry)).sum::<usize>() + entries.len() + start;
            let joined = entries.join(", ");
            if length <= LINE && !joined.contains('\n') {
                return format!("{open} {joined} {close}");
            }
        }
        let indent = " ".repeat(self.indent);
        format!("{open}\n{indent}  {}\n{indent}{close}", entries.join(&format!(",\n{indent}  ")))
    }

    /// The members of a long list side by side, when they are short and of similar length.
    fn columns(&self, entries: Vec<String>, items: &[Value], cut: bool) -> Vec<String> {
        const GAP: usize = 2;
        let count = entries.len() - usize::from(cut);
        let widths: Vec<usize> = entries[..count].iter().map(|entry| crate::style::width(entry)).collect();
        let total: usize = widths.iter().map(|width| width + GAP).sum();
        let longest = widths.iter().copied().max().unwrap_or(0);
        let widest = longest + GAP;
        let even = total as f64 / widest as f64 > 5.0 || longest <= 6;
        if widest * 3 + self.indent >= LINE || !even {
            return entries;
        }
        let bias = (widest as f64 - total as f64 / entries.len() as f64).sqrt();
        let biased = (widest as f64 - 3.0 - bias).max(1.0);
        let square = ((2.5 * biased * count as f64).sqrt() / biased).round() as usize;
        let columns = square.min((LINE - self.indent) / widest).min(INNERMOST * 4).min(15);
        if columns <= 1 {
            return entries;
        }
        let column_widths: Vec<usize> = (0..columns)
            .map(|column| widths.iter().skip(column).step_by(columns).copied().max().unwrap_or(0) + GAP)
            .collect();
        let right = items.iter().take(entries.len()).all(Value::is_number);
        let mut lines: Vec<String> = (0..count)
            .step_by(columns)
            .map(|first| {
                let last = (first + columns).min(count) - 1;
                let mut line = String::new();
                for index in first..=last {
                    let (entry, column) = (&entries[index], column_widths[index - first]);
                    let is_last = index == last;
                    let taken = widths[index] + if is_last { 0 } else { GAP };
                    let room = if is_last { column - GAP } else { column };
                    let blanks = " ".repeat(room.saturating_sub(taken));
                    let comma = if is_last { "" } else { ", " };
                    match (right, is_last) {
                        (true, _) => line.push_str(&format!("{blanks}{entry}{comma}")),
                        (false, false) => line.push_str(&format!("{entry}{comma}{blanks}")),
                        (false, true) => line.push_str(entry),
                    }
                }
                line
            })
            .collect();
        if cut {
            lines.extend(entries.into_iter().skip(count));
        }
        lines
    }

    fn text(&self, text: &str) -> String {
        let length = units(text);
        let (shown, trailer) = if length > LONGEST_TEXT {
            let hidden = length - LONGEST_TEXT;
            let trailer = format!("... {hidden} more character{}", if hidden == 1 { "" } else { "s" });
            (first_units(text, LONGEST_TEXT), trailer)
        } else {
            (text, String::new())
        };
        let length = units(shown);
        if length > 16 && length + self.indent + 4 > LINE {
            let parts: Vec<String> = shown.split_inclusive('\n').map(quoted).collect();
            return parts.join(&format!(" +\n{}", " ".repeat(self.indent + 2))) + &trailer;
        }
        quoted(shown) + &trailer
    }
}

/// Length as JavaScript counts it.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The beginning of a text up to a number of UTF-16 units, never half a character.
fn first_units(text: &str, limit: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.len_utf16();
        used > limit
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// A key: bare when it is a plain word, else quoted.
fn key_text(key: &str) -> String {
    let mut bytes = key.bytes();
    let plain = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match key {
        "__proto__" => "['__proto__']".into(),
        _ if plain => key.into(),
        _ => quoted(key),
    }
}

/// A text in quotes: single ones, unless it holds those and another kind needs no escape.
fn quoted(text: &str) -> String {
    let quote = match (text.contains('\''), text.contains('"'), text.contains('`') || text.contains("${")) {
        (false, _, _) | (true, true, true) => '\'',
        (true, false, _) => '"',
        (true, true, false) => '`',
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\x{:02X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// A number as JavaScript writes it.
fn number_text(number: &Number) -> String {
    const SAFE: u64 = 1 << 53;
    if let Some(whole) = number.as_i64().filter(|whole| whole.unsigned_abs() <= SAFE) {
        return whole.to_string();
    }
    let value = number.as_f64().unwrap_or(f64::NAN);
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.into();
    }
    // Rust writes the shortest digits that name the number, as JavaScript does; only where the exponent begins differs.
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if exponent >= 21 => format!("{digits}e+{exponent}"),
        Ok(exponent) if exponent < -6 => format!("{digits}e{exponent}"),
        Ok(_) | Err(_) => plain(&scientific),
    }
}

/// `1.5e3` as `1500`: JavaScript's notation between 1e-7 and 1e21 has the shortest digits padded with zeros.
fn plain(scientific: &str) -> String {
    scientific.parse::<f64>().map_or_else(|_| scientific.into(), |value| format!("{value}"))
}
