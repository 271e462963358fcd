//! Files of variables: `KEY=value` lines, as dotenv reads them.

use baton_core::spec::Environment;

/// Reads a file of variables. Lines that are no assignment are passed over; the last value of a name counts.
///
/// `export` in front, blanks around `=` (or `: `), comments with `#` on a line of their own or behind a value, values in
/// `'…'`, `` `…` `` (literal) or `"…"` (with `\n` and `\r`), each over several lines. Nothing is expanded.
/// Bytes that are no UTF-8 are replaced.
pub fn parse(bytes: &[u8]) -> Environment {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut found = Environment::new();
    let mut rest = text;
    while !rest.is_empty() {
        match assignment(rest) {
            Some((name, value, after)) => {
                found.insert(name, value);
                rest = after;
            }
            None => rest = rest.split_once('\n').map_or("", |(_, after)| after),
        }
    }
    found
}

/// One assignment at the start of the text, and what follows its line.
fn assignment(text: &str) -> Option<(String, String, &str)> {
    let blanks: &[char] = &[' ', '\t'];
    let line_start = text.trim_start_matches(blanks);
    let line_start = match line_start.strip_prefix("export") {
        Some(after) if after.starts_with(blanks) => after.trim_start_matches(blanks),
        _ => line_start,
    };
    let end = line_start.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))?;
    let (name, after) = line_start.split_at(end);
    if name.is_empty() {
        return None;
    }
    let value = match after.trim_start_matches(blanks).strip_prefix('=') {
        Some(value) => value,
        // `NAME: value`, as in YAML; the blank tells it from `a:b`.
        None => after.strip_prefix(':').filter(|value| value.starts_with(blanks))?,
    };
    let value = value.trim_start_matches(blanks);
    if let Some((inner, rest)) = quoted(value) {
        return Some((name.into(), inner, rest));
    }
    let (line, rest) = value.split_once('\n').unwrap_or((value, ""));
    let line = line.split_once('#').map_or(line, |(before, _)| before);
    Some((name.into(), line.trim().into(), rest))
}

/// A value in quotes, and what follows its line. `None` when there is no closing quote, or text behind it.
fn quoted(value: &str) -> Option<(String, &str)> {
    let quote = value.chars().next().filter(|c| "'\"`".contains(*c))?;
    let body = &value[1..];
    let mut escaped = false;
    let end = body.find(|c: char| {
        let closes = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    })?;
    let (line, rest) = body[end + 1..].split_once('\n').unwrap_or((&body[end + 1..], ""));
    if !(line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return None;
    }
    let inner = &body[..end];
    if quote != '"' {
        return Some((inner.into(), rest));
    }
    Some((unescape(inner), rest))
}

fn unescape(inner: &str) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some(same @ ('"' | '\\' | '$')) => text.push(same),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes()).into_iter().collect()
    }

    #[test]
    fn reads_each_form_of_a_line() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("A=1", &[("A", "1")]),
            ("export A = b c  # note", &[("A", "b c")]),
            ("# A=1\n\nB=2\n", &[("B", "2")]),
            ("A=", &[("A", "")]),
            ("A='x # y' # note", &[("A", "x # y")]),
            ("A='it\\n'", &[("A", "it\\n")]),
            ("A=\"l1\nl2\\nl3\"\nB=2", &[("A", "l1\nl2\nl3"), ("B", "2")]),
            ("A=\"say \\\"hi\\\" \\\\ $HOME\"", &[("A", "say \"hi\" \\ $HOME")]),
            ("A=`it's \"x\"`", &[("A", "it's \"x\"")]),
            ("A=\"open\nB=2", &[("A", "\"open"), ("B", "2")]),
            ("A: yaml", &[("A", "yaml")]),
            ("a.b-c=1\r\nD=2\r\n", &[("D", "2"), ("a.b-c", "1")]),
            ("A=1\nA=2", &[("A", "2")]),
            ("not a line\n=x\nexportA=1", &[("exportA", "1")]),
            ("URL=http://h:1/p?a=b", &[("URL", "http://h:1/p?a=b")]),
            ("\u{feff}A=1", &[("A", "1")]),
        ];
        for (text, wanted) in table {
            let wanted: Vec<(String, String)> = wanted.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            assert_eq!(one(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_the_rest_is_read() {
        let found = parse(b"A=\xff\nB=2");
        assert_eq!(found["A"], "\u{fffd}");
        assert_eq!(found["B"], "2");
    }
}
