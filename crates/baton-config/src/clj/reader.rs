//! The reader: text to forms, one at a time, each with its place.
//!
//! What it refuses it names: macros (syntax quote, unquote) and read-time evaluation have no meaning here.

use super::form::{Form, Kind, Span};
use super::numbers;
use std::rc::Rc;

/// How deep forms may nest: far more than anybody writes, far less than the stack holds.
const MAX_DEPTH: u32 = 200;

/// A text that is no Clojure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadError {
    pub(super) at: Span,
    pub(super) message: String,
}

/// Reads the forms of one file.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    rest: &'t str,
    here: Span,
    depth: u32,
    /// The highest argument of the `#( … )` that is being read: `%` and `%1` are 1, and whether `%&` occurs.
    arguments: Option<(usize, bool)>,
}

/// What stands next in a collection.
enum Item {
    Form(Form),
    /// The forms of `#?@( … )`.
    Several(Vec<Form>),
    Close(char, Span),
    End,
}

type Read<T> = Result<T, ReadError>;

impl<'t> Reader<'t> {
    /// A reader at the start of a text. `file` goes into the places.
    pub(super) fn new(text: &'t str, file: u16) -> Reader<'t> {
        let here = Span { file, line: 1, column: 1 };
        Reader { rest: text, here, depth: 0, arguments: None }
    }

    /// The next form at the top of the file; `None` at its end.
    pub(super) fn next(&mut self) -> Read<Option<Form>> {
        match self.item()? {
            Item::Form(form) => Ok(Some(form)),
            Item::Several(_) => Err(self.error(self.here, "`#?@` has a meaning only inside of a form")),
            Item::Close(closing, at) => Err(self.error(at, format!("`{closing}` closes nothing that is open"))),
            Item::End => Ok(None),
        }
    }

    fn error(&self, at: Span, message: impl Into<String>) -> ReadError {
        ReadError { at, message: message.into() }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        if c == '\n' {
            self.here.line += 1;
            self.here.column = 1;
        } else {
            self.here.column += 1;
        }
        Some(c)
    }

    fn skip_line(&mut self) {
        while self.take().is_some_and(|c| c != '\n') {}
    }

    fn skip_blank(&mut self) {
        while let Some(c) = self.peek() {
            match c {
                ';' => self.skip_line(),
                '#' if self.rest.starts_with("#!") => self.skip_line(),
                ',' => drop(self.take()),
                c if c.is_whitespace() => drop(self.take()),
                _ => break,
            }
        }
    }

    /// The form that a prefix such as `'` belongs to.
    fn after(&mut self, prefix: &str, at: Span) -> Read<Form> {
        match self.item()? {
            Item::Form(form) => Ok(form),
            Item::Several(_) | Item::Close(..) | Item::End => {
                Err(self.error(at, format!("nothing stands behind `{prefix}`")))
            }
        }
    }

    fn item(&mut self) -> Read<Item> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(self.here, format!("forms are nested more than {MAX_DEPTH} deep")));
        }
        let item = self.item_here();
        self.depth -= 1;
        item
    }

    fn item_here(&mut self) -> Read<Item> {
        loop {
            self.skip_blank();
            let at = self.here;
            let Some(c) = self.peek() else { return Ok(Item::End) };
            let kind = match c {
                ')' | ']' | '}' => {
                    self.take();
                    return Ok(Item::Close(c, at));
                }
                '(' => Kind::List(self.collection('(', ')', at)?.into()),
                '[' => Kind::Vector(self.collection('[', ']', at)?.into()),
                '{' => Kind::Map(self.map(at)?.into()),
                '"' => Kind::Text(self.text(at)?.into()),
                '\\' => Kind::Text(self.character(at)?.into()),
                '\'' => {
                    self.take();
                    Kind::Quote(Rc::new(self.after("'", at)?))
                }
                '@' => {
                    self.take();
                    let inner = self.after("@", at)?;
                    Kind::List([Form::symbol_at("deref", at), inner].into())
                }
                '^' => {
                    self.take();
                    self.after("^", at)?;
                    return self.after("^", at).map(Item::Form);
                }
                '`' => return Err(self.error(at, "syntax quote is not supported: process files define no macros")),
                '~' => return Err(self.error(at, "unquote is not supported: process files define no macros")),
                '#' => match self.dispatch(at)? {
                    Some(item) => return Ok(item),
                    None => continue,
                },
                _ => self.token(at)?,
            };
            return Ok(Item::Form(Form { at, kind }));
        }
    }

    /// Everything up to the closing bracket.
    fn collection(&mut self, opening: char, closing: char, at: Span) -> Read<Vec<Form>> {
        self.take();
        let mut forms = Vec::new();
        loop {
            match self.item()? {
                Item::Form(form) => forms.push(form),
                Item::Several(several) => forms.extend(several),
                Item::Close(found, _) if found == closing => return Ok(forms),
                Item::Close(found, place) => {
                    let message =
                        format!("`{found}` does not close the `{opening}` of line {}, column {}", at.line, at.column);
                    return Err(self.error(place, message));
                }
                Item::End => return Err(self.error(at, format!("this `{opening}` is never closed"))),
            }
        }
    }

    fn map(&mut self, at: Span) -> Read<Vec<(Form, Form)>> {
        let mut forms = self.collection('{', '}', at)?.into_iter();
        let mut pairs: Vec<(Form, Form)> = Vec::new();
        while let Some(key) = forms.next() {
            let Some(value) = forms.next() else {
                return Err(self.error(key.at, "the last key of this map has no value"));
            };
            if pairs.iter().any(|(other, _)| other.same_constant(&key)) {
                return Err(self.error(key.at, "this map already has this key"));
            }
            pairs.push((key, value));
        }
        Ok(pairs)
    }

    fn text(&mut self, at: Span) -> Read<String> {
        self.take();
        let mut text = String::new();
        loop {
            let place = self.here;
            match self.take() {
                None => return Err(self.error(at, "this text is never closed")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape(place, at)?),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self, at: Span, text: Span) -> Read<char> {
        let Some(c) = self.take() else { return Err(self.error(text, "this text is never closed")) };
        Ok(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '"' | '\\' | '\'' => c,
            'u' => {
                let first = self.unit(at)?;
                // Half of a pair: the other half is an escape as well.
                if (0xd800..0xdc00).contains(&first) && self.rest.starts_with("\\u") {
                    self.take();
                    self.take();
                    let second = self.unit(at)?;
                    char::decode_utf16([first, second]).next().and_then(Result::ok).unwrap_or('\u{fffd}')
                } else {
                    char::from_u32(first.into()).unwrap_or('\u{fffd}')
                }
            }
            '0'..='7' => {
                let mut digits = String::from(c);
                while digits.len() < 3 && self.peek().is_some_and(|c| ('0'..='7').contains(&c)) {
                    digits.extend(self.take());
                }
                u32::from_str_radix(&digits, 8).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
            }
            other => return Err(self.error(at, format!("`\\{other}` is no escape of a text"))),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self, at: Span) -> Read<u16> {
        let digits: String = self.rest.chars().take(4).collect();
        let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4 && !digits.starts_with('+'));
        let Some(unit) = unit else { return Err(self.error(at, "`\\u` needs four hexadecimal digits")) };
        for _ in 0..4 {
            self.take();
        }
        Ok(unit)
    }

    fn character(&mut self, at: Span) -> Read<String> {
        self.take();
        let Some(first) = self.take() else { return Err(self.error(at, "nothing stands behind `\\`")) };
        let mut name = String::from(first);
        if first.is_alphanumeric() {
            name.push_str(&self.word());
        }
        let code = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let c = match &*name {
            "newline" => Some('\n'),
            "space" => Some(' '),
            "tab" => Some('\t'),
            "return" => Some('\r'),
            "backspace" => Some('\u{8}'),
            "formfeed" => Some('\u{c}'),
            _ if name.chars().count() == 1 => Some(first),
            _ if first == 'u' && name.len() == 5 => code(&name[1..], 16),
            _ if first == 'o' => code(&name[1..], 8),
            _ => None,
        };
        c.map(String::from).ok_or_else(|| self.error(at, format!("`\\{name}` is no character")))
    }

    /// The characters up to the next one that ends a token.
    fn word(&mut self) -> String {
        let ends = |c: char| c.is_whitespace() || ",()[]{}\";@^`~\\".contains(c);
        let length = self.rest.find(ends).unwrap_or(self.rest.len());
        let word = self.rest[..length].to_owned();
        self.rest = &self.rest[length..];
        self.here.column += u32::try_from(word.chars().count()).unwrap_or(u32::MAX);
        word
    }

    fn token(&mut self, at: Span) -> Read<Kind> {
        let word = self.word();
        let mut chars = word.chars();
        let first = chars.next().unwrap_or(' ');
        let numeric = first.is_ascii_digit()
            || (matches!(first, '+' | '-') && chars.next().is_some_and(|second| second.is_ascii_digit()));
        if numeric {
            return numbers::read(&word).ok_or_else(|| self.error(at, format!("`{word}` is no number")));
        }
        Ok(match &*word {
            "nil" => Kind::Nil,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            _ => match word.strip_prefix(':') {
                Some(name) => self.keyword(name, &word, at)?,
                None => Kind::Symbol(self.symbol(word).into()),
            },
        })
    }

    fn keyword(&self, name: &str, word: &str, at: Span) -> Read<Kind> {
        let plain = name.strip_prefix(':').unwrap_or(name);
        if plain.is_empty() || plain.starts_with(':') || plain.ends_with(':') || plain.ends_with('/') {
            return Err(self.error(at, format!("`{word}` is no keyword")));
        }
        Ok(if name.len() == plain.len() { Kind::Keyword(plain.into()) } else { Kind::AutoKeyword(plain.into()) })
    }

    /// A symbol; the arguments of the function literal around it are noted.
    fn symbol(&mut self, word: String) -> String {
        let Some((highest, rest)) = &mut self.arguments else { return word };
        match word.strip_prefix('%') {
            Some("&") => *rest = true,
            Some("") => {
                *highest = (*highest).max(1);
                return "%1".into();
            }
            Some(number) => {
                if let Some(number) = number.parse().ok().filter(|number| (1..=20).contains(number)) {
                    *highest = (*highest).max(number);
                }
            }
            None => {}
        }
        word
    }

    /// What `#` starts. `None`: nothing is left of it.
    fn dispatch(&mut self, at: Span) -> Read<Option<Item>> {
        self.take();
        let kind = match self.peek() {
            Some('_') => {
                self.take();
                self.after("#_", at)?;
                return Ok(None);
            }
            Some('{') => {
                let forms = self.collection('{', '}', at)?;
                let twice =
                    forms.iter().enumerate().find(|(n, form)| forms[..*n].iter().any(|o| o.same_constant(form)));
                if let Some((_, form)) = twice {
                    return Err(self.error(form.at, "this set already has this member"));
                }
                Kind::Set(forms.into())
            }
            Some('(') => self.function(at)?,
            Some('"') => Kind::Regex(self.regex(at)?.into()),
            Some('\'') => {
                self.take();
                let inner = self.after("#'", at)?;
                Kind::List([Form::symbol_at("var", at), inner].into())
            }
            Some('^') => {
                self.take();
                self.after("#^", at)?;
                return self.after("#^", at).map(|form| Some(Item::Form(form)));
            }
            Some('#') => {
                self.take();
                match &*self.word() {
                    "Inf" => Kind::Float(f64::INFINITY),
                    "-Inf" => Kind::Float(f64::NEG_INFINITY),
                    "NaN" => Kind::Float(f64::NAN),
                    other => return Err(self.error(at, format!("`##{other}` is no number"))),
                }
            }
            Some('?') => return self.conditional(at),
            Some(':') => Kind::Map(self.namespaced(at)?.into()),
            Some(c) if c.is_alphabetic() => {
                let tag = self.word();
                let inner = self.after(&format!("#{tag}"), at)?;
                Kind::Tagged(tag.into(), Rc::new(inner))
            }
            Some(c) => return Err(self.error(at, format!("`#{c}` is not supported"))),
            None => return Err(self.error(at, "nothing stands behind `#`")),
        };
        Ok(Some(Item::Form(Form { at, kind })))
    }

    /// `#(f % x)` as `(fn [%1] (f %1 x))`.
    fn function(&mut self, at: Span) -> Read<Kind> {
        if self.arguments.is_some() {
            return Err(self.error(at, "`#( … )` cannot stand inside of another one: write `(fn [x] … )`"));
        }
        self.arguments = Some((0, false));
        let body = self.collection('(', ')', at);
        let (highest, rest) = self.arguments.take().unwrap_or_default();
        let mut parameters: Vec<Form> = (1..=highest).map(|n| Form::symbol_at(&format!("%{n}"), at)).collect();
        if rest {
            parameters.extend(["&", "%&"].map(|name| Form::symbol_at(name, at)));
        }
        let parameters = Form { at, kind: Kind::Vector(parameters.into()) };
        let body = Form { at, kind: Kind::List(body?.into()) };
        Ok(Kind::List([Form::symbol_at("fn", at), parameters, body].into()))
    }

    fn regex(&mut self, at: Span) -> Read<String> {
        self.take();
        let mut pattern = String::new();
        loop {
            match self.take() {
                None => return Err(self.error(at, "this regular expression is never closed")),
                Some('"') => return Ok(pattern),
                Some('\\') => {
                    // An escaped quote is a quote for the pattern; every other escape is the pattern's own.
                    match self.take() {
                        Some('"') => pattern.push('"'),
                        Some(c) => pattern.extend(['\\', c]),
                        None => return Err(self.error(at, "this regular expression is never closed")),
                    }
                }
                Some(c) => pattern.push(c),
            }
        }
    }

    /// `#?(:clj a :cljs b)` and `#?@( … )`: this evaluator is one for ClojureScript.
    fn conditional(&mut self, at: Span) -> Read<Option<Item>> {
        self.take();
        let splices = self.peek() == Some('@');
        if splices {
            self.take();
        }
        if self.peek() != Some('(') {
            return Err(self.error(at, "a list stands behind `#?`, such as `#?(:cljs x)`"));
        }
        let branches = self.collection('(', ')', at)?;
        if !branches.len().is_multiple_of(2) {
            return Err(self.error(at, "`#?` needs pairs of a feature and a form"));
        }
        let chosen = branches
            .chunks_exact(2)
            .find(|pair| matches!(pair[0].keyword().map(|name| &**name), Some("cljs" | "default")))
            .map(|pair| pair[1].clone());
        match chosen {
            None => Ok(None),
            Some(form) if !splices => Ok(Some(Item::Form(form))),
            Some(Form { kind: Kind::Vector(forms) | Kind::List(forms), .. }) => Ok(Some(Item::Several(forms.to_vec()))),
            Some(other) => Err(self.error(other.at, "a vector or a list stands behind `#?@`")),
        }
    }

    /// `#:ns{:a 1}` as `{:ns/a 1}`.
    fn namespaced(&mut self, at: Span) -> Read<Vec<(Form, Form)>> {
        self.take();
        let own = self.peek() == Some(':');
        if own {
            self.take();
        }
        let prefix = self.word();
        self.skip_blank();
        if self.peek() != Some('{') || (prefix.is_empty() && !own) {
            return Err(self.error(at, "a namespace and a map stand behind `#:`, such as `#:app{:name 1}`"));
        }
        let qualify = |name: &str| match name.strip_prefix("_/") {
            Some(bare) => bare.to_owned(),
            None if name.contains('/') || prefix.is_empty() => name.to_owned(),
            None => format!("{prefix}/{name}"),
        };
        let pairs = self.map(at)?.into_iter().map(|(key, value)| {
            let kind = match &key.kind {
                Kind::Keyword(name) if own && !name.contains('/') => Kind::AutoKeyword(qualify(name).into()),
                Kind::Keyword(name) => Kind::Keyword(qualify(name).into()),
                Kind::Symbol(name) if !own => Kind::Symbol(qualify(name).into()),
                other => other.clone(),
            };
            (Form { at: key.at, kind }, value)
        });
        Ok(pairs.collect())
    }
}
