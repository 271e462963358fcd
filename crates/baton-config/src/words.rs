//! A text split into arguments, as a shell splits a simple command: no variables, no globs, no operators.

/// Splits a text into words.
///
/// Blanks outside of quotes separate; `'…'` is literal; in `"…"` a backslash escapes `"`, `\`, `` ` ``, `$` and a line
/// end; outside it escapes any character. Quotes are removed wherever they stand, and an empty pair of them is an empty
/// word. A quote that is never closed is taken as an ordinary character, so that `it's` stays what it is.
pub fn split(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\\' => match chars.get(at) {
                // A line end after a backslash joins the lines.
                Some('\n') => at += 1,
                Some(&next) => {
                    word.get_or_insert_default().push(next);
                    at += 1;
                }
                None => word.get_or_insert_default().push('\\'),
            },
            '\'' | '"' => match quoted(&chars, at, c) {
                Some((inner, after)) => {
                    word.get_or_insert_default().push_str(&inner);
                    at = after;
                }
                None => word.get_or_insert_default().push(c),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// The text up to the closing quote, and the index behind it; `None` when it is never closed.
fn quoted(chars: &[char], start: usize, quote: char) -> Option<(String, usize)> {
    let mut inner = String::new();
    let mut at = start;
    loop {
        let &c = chars.get(at)?;
        at += 1;
        if c == quote {
            return Some((inner, at));
        }
        if c == '\\' && quote == '"' {
            let &next = chars.get(at)?;
            at += 1;
            match next {
                '"' | '\\' | '`' | '$' => inner.push(next),
                '\n' => {}
                other => {
                    inner.push('\\');
                    inner.push(other);
                }
            }
        } else {
            inner.push(c);
        }
    }
}

/// A word quoted so that a shell reads it back as it is.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_as_a_shell_does() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  a   b\tc\n", &["a", "b", "c"]),
            ("run --config '' --adapter ''", &["run", "--config", "", "--adapter", ""]),
            ("--k='v w' x", &["--k=v w", "x"]),
            (r#"--k="v w""#, &["--k=v w"]),
            (r#"a" b "'c d'e"#, &["a b c de"]),
            (r"a\ b \'", &["a b", "'"]),
            (r#""a\"b\$c\d""#, &[r#"a"b$c\d"#]),
            (r"'a\b'", &[r"a\b"]),
            ("it's fine", &["it's", "fine"]),
            ("a\\\nb", &["ab"]),
            ("end\\", &["end\\"]),
            ("-X 'é ü'", &["-X", "é ü"]),
        ];
        for (text, words) in table {
            assert_eq!(split(text), *words, "{text:?}");
        }
    }

    /// What `sh` makes of the text.
    fn shell(text: &str) -> Vec<String> {
        #[expect(clippy::disallowed_methods, reason = "the shell is what the splitter is compared with")]
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("set -f; for w in {text}; do printf '%s\\0' \"$w\"; done")])
            .output()
            .expect("sh runs");
        let text = String::from_utf8(output.stdout).expect("words are text");
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn agrees_with_sh(parts in prop::collection::vec(
            prop_oneof![
                "[a-z=./-]{1,4}".prop_map(|s| s),
                "[a-z \\\\$#]{0,5}".prop_map(|s| format!("'{s}'")),
                "[a-z ']{0,5}".prop_map(|s| format!("\"{s}\"")),
                Just("\\\"".to_owned()), Just("\\ ".to_owned()), Just(" ".to_owned()), Just("  ".to_owned()),
            ], 0..8)) {
            let text = parts.concat();
            prop_assert_eq!(split(&text), shell(&text), "{:?}", text);
        }

        #[test]
        fn a_quoted_word_comes_back(word in "\\PC{0,12}") {
            prop_assert_eq!(split(&quote(&word)), vec![word]);
        }
    }
}
