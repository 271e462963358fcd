//! Values that a listing must not show.

/// What stands for a secret.
pub const MASK: &str = "********";

/// Parts of names whose values are secrets.
const SECRET: &[&str] = &["TOKEN", "SECRET", "KEY", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"];
/// The same, where it is a whole word of the name: `DB_PASS` is a secret, `BYPASS_CACHE` is none.
const SECRET_WORD: &str = "PASS";

/// Whether a variable of this name holds a secret.
pub fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET.iter().any(|part| upper.contains(part)) || upper.split(['_', '-', '.']).any(|word| word == SECRET_WORD)
}

/// The value of a variable as a listing may show it. An empty one stays empty: that it is missing is no secret.
pub fn value<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) && !value.is_empty() { MASK } else { value }
}

#[cfg(test)]
mod tests {
    use super::{MASK, value};

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in
            ["API_KEY", "github_token", "DbPassword", "AWS_SECRET_ACCESS", "GOOGLE_CREDENTIALS", "PGPASSWD", "DB_PASS"]
        {
            assert_eq!(value(name, "s3cr3t"), MASK, "{name}");
        }
        for name in ["PATH", "PORT", "NODE_ENV", "BYPASS_CACHE"] {
            assert_eq!(value(name, "shown"), "shown", "{name}");
        }
        assert_eq!(value("TOKEN", ""), "");
    }
}
