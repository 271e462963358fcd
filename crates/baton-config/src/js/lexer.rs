//! Looks at module text without running it: is it an ES module, and which names does a CommonJS file export?
//!
//! Both answers are guesses by form, as Node's own are. Names that turn out not to exist are `undefined`.

use std::sync::LazyLock;

use indexmap::IndexSet;
use regex_lite::Regex;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("a pattern of ours is wrong: {error}"))
}

/// Whether anything in the text looks like an ES module: `import`, `export`, `import.meta` or a top-level `await`.
///
/// The loader asks only about files that nothing else decides, and believes a yes only when the text does not
/// compile as CommonJS.
pub(super) fn mentions_module_syntax(source: &str) -> bool {
    source.contains("import.meta")
        || source.contains("await ")
        || ["import", "export"].iter().any(|keyword| starts_statement(source, keyword))
}

/// Whether the word stands where a statement may begin: on a line of its own, or behind the end of another statement.
fn starts_statement(source: &str, keyword: &str) -> bool {
    source.match_indices(keyword).any(|(at, _)| {
        let before = source[..at].trim_end_matches([' ', '\t']);
        let after = &source[at + keyword.len()..];
        (before.is_empty() || before.ends_with(['\n', '\r', ';', '}', '/']))
            && (after.is_empty() || after.starts_with([' ', '\t', '\r', '\n', '{', '*', '"', '\'']))
    })
}

/// What a CommonJS file shows to `import { … }`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exports {
    /// The names it assigns.
    pub(super) names: IndexSet<String>,
    /// Specifiers of files whose exports it passes on.
    pub(super) passed_on: Vec<String>,
}

/// Finds the names that a CommonJS file assigns to its exports.
pub(super) fn exports(source: &str) -> Exports {
    static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| regex(r"\bexports\s*\.\s*([A-Za-z_$][A-Za-z0-9_$]*)\s*=[^=]"));
    static INDEXED: LazyLock<Regex> = LazyLock::new(|| regex(r#"\bexports\s*\[\s*['"]([^'"]+)['"]\s*\]\s*=[^=]"#));
    static DEFINED: LazyLock<Regex> =
        LazyLock::new(|| regex(r#"defineProperty\(\s*(?:module\s*\.\s*)?exports\s*,\s*['"]([^'"]+)['"]"#));
    static WHOLE: LazyLock<Regex> = LazyLock::new(|| regex(r"\bmodule\s*\.\s*exports\s*=\s*\{"));
    static PASSED_ON: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r#"(?:\bmodule\s*\.\s*exports\s*=\s*|__exportStar\(\s*|__export\(\s*|\.\.\.\s*)require\(\s*['"]([^'"]+)['"]\s*\)"#,
        )
    });
    let mut found = Exports::default();
    for pattern in [&ASSIGNED, &INDEXED, &DEFINED] {
        found.names.extend(pattern.captures_iter(source).map(|captures| captures[1].to_owned()));
    }
    for start in WHOLE.find_iter(source) {
        found.names.extend(keys_of_literal(&source[start.end()..]));
    }
    found.passed_on.extend(PASSED_ON.captures_iter(source).map(|captures| captures[1].to_owned()));
    found
}

/// The keys of an object literal whose `{` was just read, at its own depth.
fn keys_of_literal(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut depth = 0_u32;
    let mut expecting_key = true;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' if depth == 0 => break,
            '}' | ']' | ')' => depth -= 1,
            ',' if depth == 0 => expecting_key = true,
            '/' if text[at..].starts_with("//") => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            '/' if text[at..].starts_with("/*") => {
                let end = text[at..].find("*/").map_or(text.len(), |length| at + length + 2);
                while chars.next_if(|(at, _)| *at < end).is_some() {}
            }
            '"' | '\'' | '`' => {
                let start = at + 1;
                let mut end = start;
                while let Some((at, inner)) = chars.next() {
                    end = at;
                    match inner {
                        '\\' => drop(chars.next()),
                        inner if inner == c => break,
                        _ => {}
                    }
                }
                if depth == 0 && expecting_key {
                    keys.push(text[start..end].to_owned());
                    expecting_key = false;
                }
            }
            c if depth == 0 && expecting_key && (c.is_alphabetic() || c == '_' || c == '$') => {
                let mut end = at + c.len_utf8();
                while let Some((at, c)) = chars.next_if(|(_, c)| c.is_alphanumeric() || *c == '_' || *c == '$') {
                    end = at + c.len_utf8();
                }
                let word = &text[at..end];
                // `get x() {}` and `async x() {}`: the name is the next word.
                if !(matches!(word, "get" | "set" | "async") && text[end..].starts_with(' ')) {
                    keys.push(word.to_owned());
                    expecting_key = false;
                }
            }
            '.' if depth == 0 => expecting_key = false,
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_commonjs_exports_are_found_in_their_usual_forms() {
        let found = exports(
            "exports.one = 1; module.exports.two = 2; exports['three-3'] = 3;
             Object.defineProperty(exports, 'four', {}); if (exports.five == 5) {}
             module.exports = { six, seven: { no: 1 }, 'eight': [a, b], nine() { return no; }, get ten() {}, ...rest };
             __exportStar(require('./other'), exports);",
        );
        let names: Vec<_> = found.names.iter().map(String::as_str).collect();
        assert_eq!(names, ["one", "two", "three-3", "four", "six", "seven", "eight", "nine", "ten"]);
        assert_eq!(found.passed_on, ["./other"]);
    }

    #[test]
    fn module_syntax_is_told_from_words() {
        assert!(mentions_module_syntax("import path from 'path'"));
        assert!(mentions_module_syntax("const x = 1\nexport default { x }"));
        assert!(mentions_module_syntax("const u = import.meta.url"));
        for line in ["const a = 1; export default a", "if (a) {} export { a }", "/* a */ import'b'", "a;export*from'b'"]
        {
            assert!(mentions_module_syntax(line), "{line}");
        }
        assert!(!mentions_module_syntax("// what we export here\nmodule.exports = reexport;"));
        assert!(!mentions_module_syntax("exports.a = 1; const importer = 2; // important"));
    }
}
