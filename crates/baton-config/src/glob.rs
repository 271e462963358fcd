//! Patterns of file and app names: `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any number of directories.

use regex_lite::Regex;
use std::path::{Component, Path, PathBuf};

/// A pattern as a regular expression over a whole text. `*` and `?` stop at a slash.
pub(crate) fn regex(pattern: &str) -> Option<Regex> {
    let mut text = String::from("^");
    let mut rest = pattern;
    let mut braces = 0_u32;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        match c {
            '*' if rest.starts_with("**/") => {
                text.push_str("(?:[^/]+/)*");
                length = 3;
            }
            '*' if rest.starts_with("**") => {
                text.push_str(".*");
                length = 2;
            }
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '[' if rest.find(']').is_some_and(|end| end > 1) => {
                let end = rest.find(']').unwrap_or_default();
                let inner = rest[1..end].replacen('!', "^", usize::from(rest[1..].starts_with('!')));
                text.push_str(&format!("[{}]", inner.replace('\\', "\\\\").replace('[', "\\[")));
                length = end + 1;
            }
            '{' if rest.contains('}') => {
                braces += 1;
                text.push_str("(?:");
            }
            ',' if braces > 0 => text.push('|'),
            '}' if braces > 0 => {
                braces -= 1;
                text.push(')');
            }
            c => text.push_str(&regex_lite::escape(c.encode_utf8(&mut [0; 4]))),
        }
        rest = &rest[length..];
    }
    text.push('$');
    Regex::new(&text).ok()
}

/// Whether a text has signs of a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The files that a pattern means, in the order of their names. `base` is what a relative pattern starts from;
/// `node_modules` and what begins with a dot is entered only where the pattern names it. Tells each directory that
/// is listed.
pub fn files(pattern: &str, base: &Path, mut listed: impl FnMut(&Path)) -> Vec<PathBuf> {
    let is_plain = |part: &Component<'_>| !is_pattern(&part.as_os_str().to_string_lossy());
    let plain: PathBuf = Path::new(pattern).components().take_while(is_plain).collect();
    // Only what the pattern says is a pattern: the directory it starts from may be called `[x]`.
    let root = crate::target::resolve(base, &plain);
    let rest: PathBuf = Path::new(pattern).components().skip_while(is_plain).collect();
    if rest.as_os_str().is_empty() {
        return if root.is_file() { vec![root] } else { Vec::new() };
    }
    let Some(wanted) = regex(&rest.to_string_lossy()) else { return Vec::new() };
    // Without `**` nothing deeper than the pattern itself can match.
    let deepest = if pattern.contains("**") { usize::MAX } else { rest.components().count() };
    let inside = |path: &Path| path.strip_prefix(&root).map(Path::to_owned).unwrap_or_default();
    let mut found = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        // One that is not there may come.
        listed(&directory);
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let hidden = (name.starts_with('.') || name == "node_modules") && !pattern.contains(&*name);
                if !hidden && inside(&path).components().count() < deepest {
                    directories.push(path);
                }
            } else if wanted.is_match(&inside(&path).to_string_lossy()) && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, yes, no) in [
            ("duck_*", &["duck_a", "duck_"][..], &["duck", "a_duck_b", "duck_a/b"][..]),
            ("a?c", &["abc"], &["ac", "a/c"]),
            ("[a-c]x", &["bx"], &["dx", "[x"]),
            ("[!a]x", &["bx"], &["ax"]),
            ("{api,web}.js", &["api.js", "web.js"], &["api,web.js", "apixjs"]),
            ("a.b+(c)", &["a.b+(c)"], &["axb+(c)"]),
            ("**/x.js", &["x.js", "a/x.js", "a/b/x.js"], &["ax.js"]),
            ("a/**", &["a/b", "a/b/c"], &["b/a"]),
        ] {
            let regex = regex(pattern).expect(pattern);
            assert!(yes.iter().all(|text| regex.is_match(text)), "{pattern}");
            assert!(!no.iter().any(|text| regex.is_match(text)), "{pattern}");
        }
        assert!(is_pattern("a*") && !is_pattern("a-b_c"));
    }

    #[test]
    fn files_are_found_in_order_and_never_in_packages() {
        let outer = tempfile::tempdir().expect("a directory");
        let root = outer.path().join("[x]{y}*");
        for name in ["s/b/e.js", "s/a/e.js", "s/a/deep/e.js", "s/node_modules/p/e.js", "s/.git/e.js", "s/a/other.js"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        let find = |pattern: &str| -> Vec<String> {
            let found = files(pattern, &root, |_| {});
            found.iter().map(|path| path.strip_prefix(&root).expect("inside").display().to_string()).collect()
        };
        assert_eq!(find("s/**/e.js"), ["s/a/deep/e.js", "s/a/e.js", "s/b/e.js"]);
        assert_eq!(find("./s/*/e.js"), ["s/a/e.js", "s/b/e.js"]);
        assert_eq!(find("s/b/e.js"), ["s/b/e.js"]);
        assert_eq!(find("s/../s/{a,b}/../b/e.js"), [""; 0], "no way leads back out of a pattern");
        assert_eq!(find("s/a/../?/e.js"), ["s/a/e.js", "s/b/e.js"]);
        assert_eq!(find("s/*/missing.js"), [""; 0]);
        let mut listed = Vec::new();
        files("s/*/e.js", &root, |path| listed.push(path.to_owned()));
        listed.sort();
        assert_eq!(listed, ["s", "s/a", "s/b"].map(|name| root.join(name)));
    }
}
