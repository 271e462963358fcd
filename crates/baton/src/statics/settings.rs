//! What is served, and how: PM2's variables, then the words of the command line, then PM2's defaults.

use crate::http::base64;
use baton_config::statics::{HOST, PORT};
use std::path::{Path, PathBuf};

/// What is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The folder: absolute, and looked up anew for each request, so that a link may be turned to another.
    pub(crate) root: PathBuf,
    /// Where it listens.
    pub(crate) host: String,
    /// And on which port.
    pub(crate) port: u16,
    /// Paths that are not there are the homepage.
    pub(crate) spa: bool,
    /// Folders without an `index.html` are listed.
    pub(crate) listing: bool,
    /// What `/` is, without the slash in front.
    pub(crate) homepage: String,
    /// What a client must say to be let in: name and password as the header has them.
    pub(crate) password: Option<String>,
}

impl Settings {
    /// Reads them; `words` are `[path] [port] [host]`.
    ///
    /// # Errors
    /// When a value can't be what it is for.
    pub(super) fn read(
        variable: impl Fn(&str) -> Option<String>,
        words: &[String],
        directory: &Path,
    ) -> Result<Settings, String> {
        let given = |name: &str, at: Option<usize>| {
            let word = || at.and_then(|at| words.get(at).cloned());
            variable(&format!("PM2_SERVE_{name}")).filter(|value| !value.is_empty()).or_else(word)
        };
        let on = |name: &str| given(name, None).is_some_and(|value| value == "true");
        let port = given("PORT", Some(1)).unwrap_or_else(|| PORT.to_string());
        let password = match (on("BASIC_AUTH"), given("BASIC_AUTH_USERNAME", None), given("BASIC_AUTH_PASSWORD", None))
        {
            (false, _, _) => None,
            (true, Some(name), Some(password)) if !name.contains(':') => {
                Some(base64(format!("{name}:{password}").as_bytes()))
            }
            (true, Some(_), Some(_)) => return Err("PM2_SERVE_BASIC_AUTH_USERNAME holds a colon".into()),
            (true, _, _) => {
                return Err(
                    "PM2_SERVE_BASIC_AUTH needs PM2_SERVE_BASIC_AUTH_USERNAME and PM2_SERVE_BASIC_AUTH_PASSWORD".into(),
                );
            }
        };
        Ok(Settings {
            // Without the `.` of `./dist`.
            root: directory.join(given("PATH", Some(0)).unwrap_or_else(|| ".".into())).components().collect(),
            host: given("HOST", Some(2)).unwrap_or_else(|| HOST.into()),
            port: port.parse().map_err(|_| format!("PM2_SERVE_PORT: {port:?} is no port"))?,
            spa: on("SPA"),
            listing: on("FTP"),
            homepage: given("HOMEPAGE", None).unwrap_or_else(|| "/index.html".into()).trim_matches('/').to_owned(),
            password,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], words: &[&str]) -> Result<Settings, String> {
        let find =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Settings::read(find, &words, Path::new("/srv"))
    }

    #[test]
    fn variables_come_before_words_and_words_before_defaults() {
        let plain = read(&[], &[]).unwrap();
        assert_eq!((plain.root.as_path(), plain.host.as_str(), plain.port), (Path::new("/srv"), "0.0.0.0", 8080));
        assert_eq!(
            (plain.spa, plain.listing, plain.homepage.as_str(), plain.password),
            (false, false, "index.html", None)
        );
        let words = read(&[], &["www", "81", "127.0.0.1"]).unwrap();
        assert_eq!((words.root.as_path(), words.host.as_str(), words.port), (Path::new("/srv/www"), "127.0.0.1", 81));
        let both =
            read(&[("PM2_SERVE_PATH", "/x"), ("PM2_SERVE_PORT", "82"), ("PM2_SERVE_SPA", "true")], &["www", "81"]);
        let both = both.unwrap();
        assert_eq!((both.root.as_path(), both.port, both.spa), (Path::new("/x"), 82, true));
    }

    #[test]
    fn what_can_not_be_is_told() {
        assert!(read(&[("PM2_SERVE_PORT", "http")], &[]).unwrap_err().contains("no port"));
        assert!(read(&[("PM2_SERVE_BASIC_AUTH", "true")], &[]).unwrap_err().contains("_PASSWORD"));
        let auth = [
            ("PM2_SERVE_BASIC_AUTH", "true"),
            ("PM2_SERVE_BASIC_AUTH_USERNAME", "a"),
            ("PM2_SERVE_BASIC_AUTH_PASSWORD", "b:c"),
        ];
        assert_eq!(read(&auth, &[]).unwrap().password.as_deref(), Some("YTpiOmM="));
    }
}
