//! One request of HTTP/1, understood.

use crate::http::{self, Head};

/// What somebody asks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The names of the path, unescaped, without `.` and `..`. `None`: it leads out of the folder.
    pub(crate) path: Option<Vec<Vec<u8>>>,
    /// Whether the path ends in a slash.
    pub(crate) slash: bool,
    /// What stands behind the `?`, with it.
    pub(crate) query: String,
    /// Whether the connection is good for another request.
    pub(crate) keep_alive: bool,
    /// Headers that count, as they are.
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<String>,
    pub(crate) if_range: Option<String>,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) if_modified_since: Option<String>,
    pub(crate) if_unmodified_since: Option<String>,
}

/// What is wrong with one: the status of the answer.
pub(super) type Wrong = u16;

/// The first request in these bytes and its length; `None` while it is not whole.
///
/// # Errors
/// When it is none, or too large.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Wrong> {
    let head = match Head::read(bytes) {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(None),
        Err(http::Wrong::TooLarge) => return Err(431),
        Err(http::Wrong::Garbled) => return Err(400),
    };
    let find = |name: &str| head.find(name).map(str::to_owned);
    let (target, query) = split(head.target);
    // Nobody sends us anything: what follows can't be told from the next request.
    let has_body =
        head.find("transfer-encoding").is_some() || head.find("content-length").is_some_and(|length| length != "0");
    let request = Request {
        method: head.method.to_owned(),
        path: names(target)?,
        slash: target.ends_with('/'),
        query: query.to_owned(),
        keep_alive: head.keeps_alive() && !has_body,
        authorization: find("authorization"),
        range: find("range"),
        if_range: find("if-range"),
        if_match: find("if-match"),
        if_none_match: find("if-none-match"),
        if_modified_since: find("if-modified-since"),
        if_unmodified_since: find("if-unmodified-since"),
    };
    Ok(Some((request, head.length)))
}

/// Path and query of a target, which may name its host.
fn split(target: &str) -> (&str, &str) {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let path = path.split('#').next().unwrap_or_default();
    path.find('?').map_or((path, ""), |at| path.split_at(at))
}

fn names(path: &str) -> Result<Option<Vec<Vec<u8>>>, Wrong> {
    let bytes = unescape(path).filter(|bytes| !bytes.contains(&0)).ok_or(400_u16)?;
    let mut names: Vec<Vec<u8>> = Vec::new();
    for name in bytes.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if names.pop().is_none() => return Ok(None),
            b".." => {}
            name => names.push(name.to_vec()),
        }
    }
    Ok(Some(names))
}

/// `%41` is `A`; nothing when an escape is none.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |digit: Option<u8>| char::from(digit?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(bytes)
}

/// The path of an address that is these names.
pub(super) fn path_of(names: &[Vec<u8>]) -> String {
    names.iter().flat_map(|name| ["/".into(), escape(name)]).collect()
}

/// A name of a path as it stands in an address.
pub(super) fn escape(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(target: &str) -> Option<Vec<String>> {
        let text = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let (request, length) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(length, text.len());
        let names = request.path?.into_iter();
        Some(names.map(|name| String::from_utf8_lossy(&name).into_owned()).collect())
    }

    #[test]
    fn a_path_is_its_names() {
        let is = |target: &str, names: &[&str]| {
            assert_eq!(path(target).unwrap_or_default(), names, "{target}");
        };
        is("/", &[]);
        is("/a/b.html?x=/../../", &["a", "b.html"]);
        is("//a//./b/", &["a", "b"]);
        is("/a/../b", &["b"]);
        is("/a%20b/%C3%A9", &["a b", "é"]);
        is("http://host:80/a?b", &["a"]);
        is("http://host", &[]);
    }

    #[test]
    fn a_path_that_leads_out_has_no_names() {
        for target in ["/..", "/../etc/passwd", "/%2e%2e/x", "/a/../../x", "/..%2f..%2fetc", "/a/%2e%2e%2f%2e%2e/x"] {
            assert_eq!(path(target), None, "{target}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let parse = |text: &str| parse(text.as_bytes()).map(|whole| whole.is_some());
        assert_eq!(parse("hello\r\n\r\n"), Err(400));
        assert_eq!(parse("GET /%zz HTTP/1.1\r\n\r\n"), Err(400));
        assert_eq!(parse("GET /%00 HTTP/1.1\r\n\r\n"), Err(400));
        assert_eq!(parse("GET / HTTP/1.1\r\nHost"), Ok(false));
        assert_eq!(parse(&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(http::LONGEST))), Err(431));
        assert_eq!(parse(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(101))), Err(431));
    }

    #[test]
    fn a_connection_is_kept_where_the_next_request_can_be_found() {
        let keeps = |text: &str| parse(text.as_bytes()).unwrap().unwrap().0.keep_alive;
        assert!(keeps("GET / HTTP/1.1\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
        assert!(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
        assert!(!keeps("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"));
        assert!(!keeps("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_path_of_names_is_those_names(given in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9), 0..5)) {
            let plain = |name: &Vec<u8>| !name.contains(&b'/') && !name.contains(&0) && name != b"." && name != b"..";
            prop_assume!(given.iter().all(plain));
            let path = path_of(&given);
            prop_assert!(path.bytes().all(|byte| byte.is_ascii_graphic()), "{}", path);
            prop_assert_eq!(names(&path), Ok(Some(given)));
        }

        #[test]
        fn what_is_escaped_is_unescaped(name in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(unescape(&escape(&name)), Some(name));
        }
    }
}
