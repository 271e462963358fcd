//! `--grep`: which lines a regular expression matches, found in whole blocks of lines instead of line by line.

use memchr::{memchr, memrchr};
use regex::bytes::{Regex, RegexBuilder};
use std::ops::Range;

/// A pattern for lines.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// With `^` and `$` at the ends of lines.
    block: Regex,
    /// For a single line.
    line: Regex,
    /// `\A` and `\z` mean something else in a block.
    by_line: bool,
}

impl Pattern {
    /// Reads a regular expression. It need not be valid UTF-8 that it is matched with.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(text: &str) -> Result<Pattern, regex::Error> {
        let built = |multiple| RegexBuilder::new(text).multi_line(multiple).build();
        let by_line = [r"\A", r"\z", "-m", "-u"].iter().any(|special| text.contains(special));
        Ok(Pattern { block: built(true)?, line: built(false)?, by_line })
    }

    /// Whether a line, without its newline, matches.
    pub(crate) fn matches(&self, line: &[u8]) -> bool {
        self.line.is_match(line)
    }

    /// The first matching line in `lines` from `start` on, with its newline. `start` is the beginning of a line.
    pub(crate) fn next(&self, lines: &[u8], start: usize) -> Option<Range<usize>> {
        let mut at = start;
        if !self.by_line {
            let found = self.block.find_at(lines, at)?;
            if found.start() >= lines.len() {
                // Behind the last newline is no line.
                return None;
            }
            let line = line_at(lines, found.start(), start);
            if found.end() <= content(lines, &line).end {
                return Some(line);
            }
            // It goes over the end of its line, which alone may match all the same. So may the next ones, and looking for
            // them in the block could go over the same bytes again and again.
            at = line.start;
        }
        while at < lines.len() {
            let line = line_at(lines, at, at);
            if self.matches(&lines[content(lines, &line)]) {
                return Some(line);
            }
            at = line.end;
        }
        None
    }
}

/// The line around a place, with its newline; it does not begin before `floor`.
fn line_at(lines: &[u8], place: usize, floor: usize) -> Range<usize> {
    let begin = memrchr(b'\n', &lines[floor..place]).map_or(floor, |at| floor + at + 1);
    let end = memchr(b'\n', &lines[place..]).map_or(lines.len(), |at| place + at + 1);
    begin..end
}

fn content(lines: &[u8], line: &Range<usize>) -> Range<usize> {
    let newline = lines[line.clone()].last() == Some(&b'\n');
    line.start..line.end - usize::from(newline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching<'a>(pattern: &str, lines: &'a [u8]) -> Vec<&'a [u8]> {
        let pattern = Pattern::parse(pattern).unwrap();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(line) = pattern.next(lines, at) {
            at = line.end;
            found.push(&lines[line]);
        }
        found
    }

    #[test]
    fn a_block_has_the_same_matches_as_its_lines() {
        let lines = b"one\n\ntwo \xff x\r\nthree\nerror: a\n  at b\nend";
        for pattern in [
            "o",
            "^two",
            "three$",
            "^$",
            r"\s",
            r"[^a]+end",
            "[^z]*",
            "",
            r"\Aone",
            r"e\z",
            "a\n",
            "(?s).+",
            r"\xff",
            r"(?-u)\xff",
            "x\r",
            "error(.|\n)*end",
            "(?i)THREE",
            "e$",
            r"\bat\b",
        ] {
            let each: Vec<&[u8]> = {
                let line = Pattern::parse(pattern).unwrap();
                let without = |line: &&[u8]| line.strip_suffix(b"\n").unwrap_or(line).to_vec();
                lines.split_inclusive(|byte| *byte == b'\n').filter(|l| line.matches(&without(l))).collect()
            };
            assert_eq!(matching(pattern, lines), each, "{pattern:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        assert!(Pattern::parse("(").is_err());
    }
}
