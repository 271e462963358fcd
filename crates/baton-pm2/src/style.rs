//! Colours and columns of the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether output carries colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    #[default]
    Off,
    /// With terminal codes.
    On,
}

/// What a piece of text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The lines of a table, and what is off.
    Grey,
    /// Heads and numbers.
    BoldCyan,
    /// What is well.
    BoldGreen,
    /// What is bad.
    BoldRed,
    /// What is under way.
    Blue,
    /// Cluster mode.
    BoldBlue,
    /// Fork mode and titles.
    BoldInverse,
    /// Names of users.
    Bold,
    /// Prefix of plain messages.
    Green,
    /// Prefix of errors.
    Red,
    /// Prefix of warnings.
    Yellow,
    /// Prefix of remarks.
    Cyan,
}

impl Style {
    fn codes(self) -> (&'static str, &'static str) {
        match self {
            Style::Grey => ("\x1b[90m", "\x1b[39m"),
            Style::BoldCyan => ("\x1b[1m\x1b[36m", "\x1b[39m\x1b[22m"),
            Style::BoldGreen => ("\x1b[32m\x1b[1m", "\x1b[22m\x1b[39m"),
            Style::BoldRed => ("\x1b[31m\x1b[1m", "\x1b[22m\x1b[39m"),
            Style::Blue => ("\x1b[34m", "\x1b[39m"),
            Style::BoldBlue => ("\x1b[34m\x1b[1m", "\x1b[22m\x1b[39m"),
            Style::BoldInverse => ("\x1b[7m\x1b[1m", "\x1b[22m\x1b[27m"),
            Style::Bold => ("\x1b[1m", "\x1b[22m"),
            Style::Green => ("\x1b[32m", "\x1b[39m"),
            Style::Red => ("\x1b[31m", "\x1b[39m"),
            Style::Yellow => ("\x1b[33m", "\x1b[39m"),
            Style::Cyan => ("\x1b[36m", "\x1b[39m"),
        }
    }
}

impl Colour {
    /// `text` in this style.
    pub fn paint(self, style: Style, text: &str) -> String {
        match self {
            Colour::Off => text.to_owned(),
            Colour::On => {
                let (on, off) = style.codes();
                format!("{on}{text}{off}")
            }
        }
    }
}

/// Columns that `text` takes on a terminal.
pub fn width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { text.width() }
}

/// Whether every byte is a character of one column, as in nearly all texts.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// `text` in at most `columns` columns; what is longer ends with `…`. Control characters, which would break the line,
/// become `?`.
pub fn fit(text: &str, columns: usize) -> String {
    if is_plain(text) && text.len() <= columns {
        return text.to_owned();
    }
    let clean: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if width(&clean) <= columns {
        return clean;
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in clean.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}
