//! Values that a listing must not show.

use serde_json::Value;
use std::borrow::Cow;

/// What stands for a secret.
pub const MASK: &str = "********";

/// Parts of names whose values are secrets.
const SECRET: &[&str] = &["TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"];
/// The same, where it is a whole word of the name: `DB_PASS` is a secret, `BYPASS_CACHE` is none.
const SECRET_WORD: &str = "PASS";
/// The same, where a word ends so: `API_KEY` and `SSHKEY_PATH`, but not `KEYBOARD`.
const SECRET_ENDS: &[&str] = &["KEY", "KEYS"];
/// The same, where it is the last word: `NPM_AUTH`, but not `AUTH_URL`.
const SECRET_LAST: &[&str] = &["AUTH", "AUTHORIZATION", "COOKIE", "DSN", "SALT"];

/// Whether a variable of this name holds a secret.
pub fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    // `apiKeyPath` has words too.
    let words: Vec<String> = words(name);
    SECRET.iter().any(|part| upper.contains(part))
        || words.iter().any(|word| word == SECRET_WORD || SECRET_ENDS.iter().any(|end| word.ends_with(end)))
        || words.last().is_some_and(|word| SECRET_LAST.contains(&word.as_str()))
}

/// The words of a name in capitals: parted by signs, and by capitals inside.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (was_small && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        was_small = c.is_ascii_lowercase();
        if c.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(c.to_ascii_uppercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The value of a variable as a listing may show it: nothing of a secret; of an address with a password, all but that; of
/// JSON, all but its secrets. An empty one stays empty: that it is missing is no secret.
pub fn value<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if value.is_empty() {
        return value.into();
    }
    if is_secret(name) {
        return MASK.into();
    }
    if value.trim_start().starts_with(['{', '['])
        && let Ok(mut json) = serde_json::from_str::<Value>(value)
        && cover(&mut json)
    {
        return json.to_string().into();
    }
    address(value)
}

/// Covers what is secret in it; whether anything was.
fn cover(json: &mut Value) -> bool {
    match json {
        Value::Object(map) => map.iter_mut().fold(false, |any, (name, value)| {
            let is_one = is_secret(name) && !value.is_null();
            if is_one {
                *value = MASK.into();
            }
            any | (is_one || cover(value))
        }),
        Value::Array(list) => list.iter_mut().fold(false, |any, value| any | cover(value)),
        Value::String(text) => match address(text) {
            Cow::Borrowed(_) => false,
            Cow::Owned(covered) => {
                *text = covered;
                true
            }
        },
        _ => false,
    }
}

/// A text without the passwords of the addresses in it: `scheme://user:password@host`.
fn address(text: &str) -> Cow<'_, str> {
    let (mut shown, mut done) = (String::new(), 0);
    for start in text.match_indices("://").map(|(at, slashes)| at + slashes.len()) {
        let end = text[start..].find(['/', '?', '#', ' ']).map_or(text.len(), |at| start + at);
        let (Some(at), Some(colon)) = (text[start..end].rfind('@'), text[start..end].find(':')) else { continue };
        if colon + 1 < at {
            shown.push_str(&text[done..=start + colon]);
            shown.push_str(MASK);
            done = start + at;
        }
    }
    if done == 0 {
        return text.into();
    }
    shown.push_str(&text[done..]);
    shown.into()
}

/// Arguments as a listing may show them: nothing of what stands behind `--password`, or in `--password=…`.
pub fn arguments(args: &[String]) -> Vec<String> {
    let is_option = |word: &str| word.starts_with('-') && is_secret(word);
    let mut behind = false;
    let shown = args.iter().map(|word| {
        let before = std::mem::replace(&mut behind, is_option(word) && !word.contains('='));
        match word.split_once('=') {
            Some((name, value)) if is_option(name) && !value.is_empty() => format!("{name}={MASK}"),
            _ if before && !word.starts_with('-') => MASK.into(),
            _ => address(word).into_owned(),
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::{MASK, arguments, value};

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "API_KEY",
            "github_token",
            "DbPassword",
            "AWS_SECRET_ACCESS",
            "GOOGLE_CREDENTIALS",
            "PGPASSWD",
            "DB_PASS",
            "SSHKEY_PATH",
            "apiKey",
            "NPM_AUTH",
            "SENTRY_DSN",
        ] {
            assert_eq!(value(name, "s3cr3t"), MASK, "{name}");
        }
        for name in ["PATH", "PORT", "NODE_ENV", "BYPASS_CACHE", "KEYBOARD", "AUTH_URL", "PWD"] {
            assert_eq!(value(name, "shown"), "shown", "{name}");
        }
        assert_eq!(value("TOKEN", ""), "");
    }

    #[test]
    fn secrets_inside_a_value_are_covered_and_the_rest_shows() {
        assert_eq!(value("DATABASE_URL", "postgres://u:one@h:5/db?x=a@b"), format!("postgres://u:{MASK}@h:5/db?x=a@b"));
        for plain in ["http://h:80/a@b", "redis://h:1", "ssh://git@h", "a:b@c", "http://u:@h"] {
            assert_eq!(value("URL", plain), plain);
        }
        assert_eq!(value("CONF", r#"{"token":"one","level":2}"#), format!(r#"{{"token":"{MASK}","level":2}}"#));
        assert_eq!(value("CONF", r#"{ "level": 2 }"#), r#"{ "level": 2 }"#, "as it was written");
        assert_eq!(value("CONF", r#"["mongodb://u:p@h"]"#), format!(r#"["mongodb://u:{MASK}@h"]"#));
        assert_eq!(value("CONF", "\n{ \"token\": \"one\" }"), format!(r#"{{"token":"{MASK}"}}"#));
        assert_eq!(
            value("NODES", "redis://a:one@h1:1,redis://h2 http://b:t,w:o@h3/x@y"),
            format!("redis://a:{MASK}@h1:1,redis://h2 http://b:{MASK}@h3/x@y")
        );
    }

    #[test]
    fn arguments_behind_the_name_of_a_secret_are_covered() {
        let words = ["run", "--password=one", "--api-key", "two", "--port", "80", "--token", "--x"].map(str::to_owned);
        let secret = format!("--password={MASK}");
        assert_eq!(arguments(&words), ["run", &secret, "--api-key", MASK, "--port", "80", "--token", "--x"]);
    }
}
