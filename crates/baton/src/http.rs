//! What the servers of this program have in common: the head of a request of HTTP/1, and how bytes stand in one.

use httparse::{EMPTY_HEADER, Header, Status};

/// Longest head (bytes).
pub(crate) const LONGEST: usize = 16 * 1024;
/// More headers are too many.
const HEADERS: usize = 100;

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    /// What is asked for, as it stands there.
    pub(crate) target: &'a str,
    /// How many bytes it takes.
    pub(crate) length: usize,
    version: u8,
    headers: Vec<Header<'a>>,
}

/// Why bytes are no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// They are something else.
    Garbled,
    /// It is longer than [`LONGEST`], or has too many headers.
    TooLarge,
}

impl<'a> Head<'a> {
    /// The one at the beginning of these bytes; `None` while it is not whole.
    ///
    /// # Errors
    /// When it is none, or too large.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Option<Head<'a>>, Wrong> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let length = match head.parse(bytes) {
            Ok(Status::Complete(length)) if length <= LONGEST => length,
            Ok(Status::Partial) if bytes.len() <= LONGEST => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Wrong::TooLarge),
            Err(_) => return Err(Wrong::Garbled),
        };
        Ok(Some(Head {
            method: head.method.unwrap_or_default(),
            target: head.path.unwrap_or("/"),
            length,
            version: head.version.unwrap_or(0),
            headers: head.headers.to_vec(),
        }))
    }

    /// The value of a header.
    pub(crate) fn find(&self, name: &str) -> Option<&'a str> {
        let header = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        // What is no text is none that we look for.
        std::str::from_utf8(header.value).ok().map(str::trim)
    }

    /// Whether a header that is a list has this word in it.
    pub(crate) fn says(&self, name: &str, word: &str) -> bool {
        self.find(name).unwrap_or_default().split(',').any(|one| one.trim().eq_ignore_ascii_case(word))
    }

    /// Whether the client will use the connection for another request.
    pub(crate) fn keeps_alive(&self) -> bool {
        if self.version == 0 { self.says("connection", "keep-alive") } else { !self.says("connection", "close") }
    }
}

/// In base64, as headers have it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut letters = Vec::new();
    baton_os::logs::base64(bytes, &mut letters);
    letters.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole_and_no_longer_than_it_may_be() {
        let text = "GET /a?b HTTP/1.1\r\nHost:  x \r\nConnection: Upgrade, close\r\n\r\nbody";
        let head = Head::read(text.as_bytes()).unwrap().unwrap();
        assert_eq!((head.method, head.target, &text[head.length..]), ("GET", "/a?b", "body"));
        assert_eq!((head.find("host"), head.find("accept")), (Some("x"), None));
        assert!(head.says("connection", "CLOSE") && !head.says("connection", "upgrad") && !head.keeps_alive());
        for end in 0..head.length {
            assert!(Head::read(&text.as_bytes()[..end]).unwrap().is_none(), "{end}");
        }
        let wrong = |text: &str| Head::read(text.as_bytes()).unwrap_err();
        assert_eq!(wrong("hello there\r\n\r\n"), Wrong::Garbled);
        assert_eq!(wrong(&format!("GET /{}", "x".repeat(LONGEST))), Wrong::TooLarge);
        assert_eq!(wrong(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1))), Wrong::TooLarge);
    }

    #[test]
    fn letters_are_those_of_the_standard() {
        assert_eq!([base64(b""), base64(b"f"), base64(b"fo"), base64(b"foo")], ["", "Zg==", "Zm8=", "Zm9v"]);
    }
}
