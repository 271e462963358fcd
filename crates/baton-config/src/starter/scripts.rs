//! Lines added to the `scripts` of a `package.json`. Everything else keeps its bytes: order, blanks, line ends.

use serde_json::Value;

/// The scripts, by the verb that each calls.
const VERBS: &[&str] = &["start", "stop", "status", "logs"];
/// What goes before the names where one of the plain ones is taken.
const PREFIX: &str = "baton:";

/// What became of a `package.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The new text; the old one when nothing is to be added.
    pub text: String,
    /// Names of the scripts that were added.
    pub added: Vec<String>,
    /// Names that the scripts have now, in the order of the verbs.
    pub names: Vec<String>,
}

/// Adds thin scripts for a process file to the text of a `package.json`. None that is there is changed: where one of the
/// names is taken, all of them get a prefix.
///
/// # Errors
/// When the text is no JSON object, or its `scripts` are none; the text says which.
pub fn add(text: &str, process_file: &str) -> Result<Edit, String> {
    let root: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|wrong| wrong.to_string())?;
    if !root.is_object() {
        return Err("it holds no object".into());
    }
    let scripts = root.get("scripts");
    if scripts.is_some_and(|scripts| !scripts.is_object()) {
        return Err("its `scripts` are no object".into());
    }
    let lines: Vec<(&str, String)> = VERBS.iter().map(|verb| (*verb, command(verb, process_file))).collect();
    let known = |name: &str| scripts.and_then(|scripts| scripts.get(name));
    let is_free = |prefix: &str| {
        lines.iter().all(|(verb, line)| known(&format!("{prefix}{verb}")).is_none_or(|own| own == line.as_str()))
    };
    let prefix = if is_free("") { "" } else { PREFIX };
    let names: Vec<String> = lines.iter().map(|(verb, _)| format!("{prefix}{verb}")).collect();
    let wanted: Vec<(&String, &String)> =
        names.iter().zip(lines.iter().map(|(_, line)| line)).filter(|(name, _)| known(name).is_none()).collect();
    let added: Vec<String> = wanted.iter().map(|(name, _)| (*name).clone()).collect();
    if wanted.is_empty() {
        return Ok(Edit { text: text.into(), added, names });
    }
    let start = text.find('{').unwrap_or_default();
    let layout = Layout::of(text, start);
    let text = match layout.member(text, start, "scripts") {
        Some(at) => layout.append(text, at, 2, &members(&wanted)),
        None => {
            let unit = layout.unit.repeat(2);
            let body: Vec<String> = members(&wanted).iter().map(|line| format!("{unit}{line}")).collect();
            let (end, close) = (layout.end, &layout.unit);
            let whole = if layout.inline {
                format!("\"scripts\": {{ {} }}", members(&wanted).join(", "))
            } else {
                format!("\"scripts\": {{{end}{}{end}{close}}}", body.join(&format!(",{end}")))
            };
            layout.append(text, start, 1, &[whole])
        }
    };
    Ok(Edit { text, added, names })
}

fn command(verb: &str, process_file: &str) -> String {
    match verb {
        "start" | "stop" => format!("baton {verb} {}", crate::words::quote(process_file)),
        _ => format!("baton {verb}"),
    }
}

fn members(wanted: &[(&String, &String)]) -> Vec<String> {
    let text = |value: &str| Value::from(value).to_string();
    wanted.iter().map(|(name, line)| format!("{}: {}", text(name), text(line))).collect()
}

/// How a text is laid out.
struct Layout {
    /// What a level is moved in by.
    unit: String,
    /// What ends a line.
    end: &'static str,
    /// Whether the whole object stands on one line.
    inline: bool,
}

impl Layout {
    /// From the object that begins here: the blanks before its first member.
    fn of(text: &str, start: usize) -> Layout {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let body = &text[start + 1..];
        let blanks = &body[..body.len() - body.trim_start().len()];
        let inline = !blanks.contains('\n') && !body.trim_start().starts_with('}');
        let unit = match blanks.rsplit_once('\n') {
            Some((_, unit)) if !unit.is_empty() => unit.to_owned(),
            _ => "  ".into(),
        };
        Layout { unit, end, inline }
    }

    /// Where the object begins that is the value of a member of the object that begins at `start`.
    fn member(&self, text: &str, start: usize, name: &str) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut at = start + 1;
        loop {
            at = skip_blanks(bytes, at);
            if bytes.get(at)? == &b',' {
                at = skip_blanks(bytes, at + 1);
            }
            if bytes.get(at)? == &b'}' {
                return None;
            }
            let key_end = skip_value(bytes, at);
            let key: String = serde_json::from_str(text.get(at..key_end)?).ok()?;
            at = skip_blanks(bytes, key_end);
            at = skip_blanks(bytes, at + 1);
            if key == name {
                return Some(at);
            }
            at = skip_value(bytes, at);
        }
    }

    /// The text with more members at the end of the object that begins at `start`, whose members stand this deep.
    fn append(&self, text: &str, start: usize, depth: usize, members: &[String]) -> String {
        let close = skip_value(text.as_bytes(), start) - 1;
        let inside = &text[start + 1..close];
        let body = inside.trim_end();
        let is_empty = body.trim().is_empty();
        let comma = if is_empty { "" } else { "," };
        let one_line = !inside.contains('\n') && !is_empty || self.inline;
        let (head, tail) = (&text[..start + 1], &text[close..]);
        if one_line {
            let list = members.join(", ");
            let blank = if inside.starts_with(' ') || is_empty { " " } else { "" };
            return format!("{head}{body}{comma} {list}{blank}{tail}");
        }
        let (unit, end) = (self.unit.repeat(depth), self.end);
        let lines: Vec<String> = members.iter().map(|member| format!("{unit}{member}")).collect();
        let (list, outer) = (lines.join(&format!(",{end}")), self.unit.repeat(depth - 1));
        let body = if is_empty { "" } else { body };
        format!("{head}{body}{comma}{end}{list}{end}{outer}{tail}")
    }
}

fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The index behind the value that begins here; the text is known to be JSON.
fn skip_value(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth, mut quoted) = (start, 0_usize, false);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => {
                quoted = !quoted;
                if !quoted && depth == 0 {
                    return at;
                }
            }
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at - 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            b',' if depth == 0 => return at - 1,
            _ => {}
        }
    }
    at
}
