//! Where an app stands in the text of a process file that is a program.
//!
//! The values that a program gives carry no positions. When one of them is refused, the texts of the files that were
//! read are searched for the app's name as it is usually written: `name: "api"`, `defineApp("api"`, `(defapp "api"`. A
//! name that the program puts together is not found; then the file alone is told.

use crate::error::{Place, Position};
use crate::keys;
use regex_lite::Regex;
use std::path::{Path, PathBuf};

/// Extensions of files that are searched.
const SEARCHED: &[&str] =
    &["js", "cjs", "mjs", "ts", "mts", "cts", "json", "yaml", "yml", "toml", "clj", "cljs", "cljc", "edn"];
/// Longer texts are bundles, in which a position helps nobody (bytes).
const LONGEST: usize = 1 << 18;

/// Searches the files that were read for a process file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    /// The process file first.
    pub(crate) inputs: &'a [PathBuf],
}

/// A place in a text.
struct Hit {
    file: PathBuf,
    text: String,
    at: usize,
    end: usize,
}

impl Hit {
    fn place(&self, at: usize) -> Place {
        let before = &self.text[..at];
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = before.matches('\n').count() + 1;
        Place {
            file: Some(self.file.clone()),
            position: Some(Position { line, column: before[start..].chars().count() + 1 }),
        }
    }
}

impl Search<'_> {
    /// Where the app of this name stands, or a key of it; `nth` counts the apps of that name, from 0. Where there are
    /// fewer places than apps nothing is told: it might be the wrong one.
    pub(crate) fn app(&self, names: &[String], nth: usize, key: Option<&str>) -> Option<Place> {
        let mut hits: Vec<Hit> = Vec::new();
        for name in names {
            hits = self.hits(name);
            if !hits.is_empty() {
                break;
            }
        }
        let hit = hits.get(nth)?;
        let of_key = || {
            let rest = &hit.text[hit.end..];
            // The app ends where the next one begins.
            let end = naming(None)?.find(rest).map_or(rest.len(), |next| next.start());
            let found = written(key?)?.captures(&rest[..end])?;
            Some(hit.place(hit.end + found.get(1)?.start()))
        };
        Some(of_key().unwrap_or_else(|| hit.place(hit.at)))
    }

    /// The only place where a word stands as a key in the process file itself.
    pub(crate) fn key(&self, key: &str) -> Option<Place> {
        let hit = read(self.inputs.first()?)?;
        let mut found = written(key)?
            .captures_iter(&hit.text)
            .filter_map(|found| found.get(1).map(|one| one.start()))
            .collect::<Vec<_>>()
            .into_iter();
        let first = found.next()?;
        found.next().is_none().then(|| hit.place(first))
    }

    fn hits(&self, name: &str) -> Vec<Hit> {
        let Some(pattern) = naming(Some(name)) else { return Vec::new() };
        let mut hits = Vec::new();
        for hit in self.inputs.iter().filter_map(|file| read(file)) {
            let found: Vec<(usize, usize)> = pattern.find_iter(&hit.text).map(|one| (one.start(), one.end())).collect();
            let each = found.into_iter();
            hits.extend(each.map(|(at, end)| Hit { at, end, text: hit.text.clone(), file: hit.file.clone() }));
        }
        hits
    }
}

fn read(file: &Path) -> Option<Hit> {
    let ending = file.extension()?.to_str()?;
    let is_package = file.components().any(|part| part.as_os_str() == "node_modules");
    if !SEARCHED.contains(&ending) || is_package {
        return None;
    }
    let text = std::fs::read_to_string(file).ok().filter(|text| text.len() <= LONGEST)?;
    Some(Hit { file: file.to_owned(), text, at: 0, end: 0 })
}

/// The ways in which an app is given its name; any name when none is said.
fn naming(name: Option<&str>) -> Option<Regex> {
    let name = name.map_or_else(|| "[^\"'`\\n]+".to_owned(), regex_lite::escape);
    let program =
        "[\"'`]?\\bname[\"'`]?\\s*[:=]\\s*|\\bdefine\\w*\\(\\s*|:name\\s+|\\([\\w.-]*/?(?:defapp|def-app|app)\\s+";
    // YAML needs no quotes.
    let plain = format!("\\bname: +{name}[ \\r]*(?:$|[,}}#\\n])");
    Regex::new(&format!("(?:(?:{program})[\"'`]{name}[\"'`]|{plain})")).ok()
}

/// A key where a value follows: `key:`, `"key":` and `:key` in any spelling of that key.
fn written(key: &str) -> Option<Regex> {
    let mut spellings = vec![key.to_owned()];
    if let Some((field, _)) = keys::find(key) {
        spellings.push(field.name.to_owned());
        spellings.push(field.name.replace('_', "-"));
    }
    let any: Vec<String> = spellings.iter().map(|spelling| regex_lite::escape(spelling)).collect();
    let any = any.join("|");
    Regex::new(&format!("(?:^|[\\s,{{(])([\"'`]?(?:{any})[\"'`]?\\s*[:=]|:(?:{any})\\s)")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(name: &str, text: &str, names: &[&str], key: Option<&str>) -> Vec<(usize, usize)> {
        let root = tempfile::tempdir().expect("a directory");
        let file = root.path().join(name);
        std::fs::write(&file, text).expect("written");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let inputs = [file];
        let search = Search { inputs: &inputs };
        let each = (0..).map_while(|nth| search.app(&names, nth, key)?.position);
        each.map(|at| (at.line, at.column)).collect()
    }

    #[test]
    fn names_are_found_where_an_app_is_named() {
        let text = "const x = 'api';\nmodule.exports = { apps: [\n  { name: 'api', script: 'x' },\n  defineApp(\"api\", 'y'),\n  { \"name\": `api` } ] };";
        assert_eq!(places("a.js", text, &["api"], None), [(3, 5), (4, 3), (5, 5)]);
        assert_eq!(places("a.js", text, &["ap"], None), []);
        assert_eq!(places("a.js", text, &["duck_api", "api"], None).len(), 3);
        let text = "(ns a)\n(defapp \"api\" {:script 1})\n(clobber.macro/defapp \"web\" {})\n{:apps [{:name \"api\"}]}";
        assert_eq!(places("a.cljs", text, &["api"], None), [(2, 1), (4, 10)]);
        assert_eq!(places("a.cljs", text, &["web"], None), [(3, 1)]);
        assert_eq!(
            places("a.yaml", "apps:\n  - name: api\n  - name: apiary\n  - {name: \"api\"}\n", &["api"], None),
            [(2, 5), (4, 6)]
        );
        assert_eq!(places("a.toml", "[[apps]]\nname = 'api'\n", &["api"], None), [(2, 1)]);
        assert_eq!(places("a.txt", text, &["api"], None), []);
    }

    #[test]
    fn keys_are_found_within_their_app() {
        let text = "module.exports = [\n  { name: 'a', script: 'x' },\n  { name: 'b',\n    script: 'x', maxRestarts: 'y' },\n  { name: 'c', max_restarts: 1 }]";
        assert_eq!(places("a.js", text, &["b"], Some("maxRestarts")), [(4, 18)]);
        assert_eq!(
            places("a.js", text, &["a"], Some("max_restarts")),
            [(2, 5)],
            "the app's own place, not another's key"
        );
        let text = "(defapp \"a\"\n {:script \"x\"\n  :max-restarts \"y\"})\n(defapp \"b\" {:max-restarts 1})";
        assert_eq!(places("a.cljs", text, &["a"], Some("max-restarts")), [(3, 3)]);
    }
}
