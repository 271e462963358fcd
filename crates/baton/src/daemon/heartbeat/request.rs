//! One request of HTTP/1: its bytes understood, and its answer written. Nothing here waits.

use crate::http::{self, Head, LONGEST, base64};
use httparse::Status;
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// Longest body (bytes).
const BODY: usize = 64 * 1024;
/// What RFC 6455 puts behind a key before it is hashed.
const HANDSHAKE: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What somebody asks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without what stands behind a `?`.
    pub(super) path: String,
    /// Whether the connection is good for another request.
    pub(super) keep_alive: bool,
    /// The key of a wish to go on as a WebSocket.
    pub(super) upgrade: Option<String>,
    /// The host that was meant, and the page that asks, when they are not of this machine.
    pub(super) foreign: Option<String>,
    pub(super) body: Vec<u8>,
}

/// How far a request has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// The whole of it, and how many bytes it takes.
    Whole(Request, usize),
    /// More is needed; whether the other side waits for a word before it sends on.
    Partial { waits: bool },
}

/// What is wrong with one: the status of the answer.
pub(super) type Wrong = &'static str;

const BAD: Wrong = "400 Bad Request";
const TOO_LARGE: Wrong = "413 Content Too Large";

/// Understands what has come so far.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Wrong> {
    let head = match Head::read(bytes) {
        Ok(Some(head)) => head,
        Ok(None) => return Ok(Parsed::Partial { waits: false }),
        Err(http::Wrong::TooLarge) => return Err("431 Request Header Fields Too Large"),
        Err(http::Wrong::Garbled) => return Err(BAD),
    };
    let rest = &bytes[head.length..];
    let body = match (head.says("transfer-encoding", "chunked"), head.find("content-length")) {
        (true, _) => chunks(rest)?,
        (false, None) => Some((Vec::new(), 0)),
        (false, Some(length)) => {
            let length: usize = length.parse().map_err(|_| BAD)?;
            if length > BODY {
                return Err(TOO_LARGE);
            }
            rest.get(..length).map(|body| (body.to_vec(), length))
        }
    };
    let Some((body, length)) = body else {
        return Ok(Parsed::Partial { waits: head.says("expect", "100-continue") });
    };
    let upgrades = head.says("connection", "upgrade") && head.says("upgrade", "websocket");
    let host = head.find("host").filter(|host| !is_here(host));
    let origin = head.find("origin").filter(|origin| !is_here(origin.split_once("://").map_or("", |(_, host)| host)));
    let request = Request {
        method: head.method.to_owned(),
        path: head.target.split(['?', '#']).next().unwrap_or_default().to_owned(),
        keep_alive: head.keeps_alive(),
        upgrade: head.find("sec-websocket-key").filter(|_| upgrades).map(str::to_owned),
        foreign: host.or(origin).map(str::to_owned),
        body,
    };
    Ok(Parsed::Whole(request, head.length + length))
}

/// The body and the bytes that it takes; `None` while it is not whole.
fn chunks(mut rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Wrong> {
    let whole = rest.len();
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(Status::Complete((start, size))) => (start, usize::try_from(size).unwrap_or(usize::MAX)),
            Ok(Status::Partial) if rest.len() < LONGEST => return Ok(None),
            Ok(Status::Partial) | Err(_) => return Err(BAD),
        };
        if size > BODY || body.len() + size > BODY {
            return Err(TOO_LARGE);
        }
        // Nobody whom we know sends anything behind the last one.
        let Some(chunk) = rest.get(start..start + size + 2) else { return Ok(None) };
        if !chunk.ends_with(b"\r\n") {
            return Err(BAD);
        }
        body.extend_from_slice(&chunk[..size]);
        rest = &rest[start + size + 2..];
        if size == 0 {
            return Ok(Some((body, whole - rest.len())));
        }
    }
}

/// Whether a host, with or without a port, is this machine by a name that no page of elsewhere can have.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let is_local = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_local || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An answer with a body of JSON, as bytes.
pub(super) fn answer(status: &str, body: &str, keep_alive: bool, extra: &str) -> Vec<u8> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\
         Cache-Control: no-store\r\n{extra}\r\n{body}"
    )
    .into_bytes()
}

/// The answer to a wish to go on as a WebSocket.
pub(super) fn handshake(key: &str) -> Vec<u8> {
    let hash = Sha1::new().chain_update(key).chain_update(HANDSHAKE).finalize();
    let accept = base64(&hash);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Request {
        match parse(text.as_bytes()) {
            Ok(Parsed::Whole(request, length)) if length == text.len() => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_whole_when_its_body_is() {
        let text = "POST /heartbeat?x=1 HTTP/1.1\r\nHost: 127.0.0.1:5005\r\ncontent-length: 9\r\n\r\n{\"pid\":1}";
        let request = whole(text);
        assert_eq!((request.method.as_str(), request.path.as_str(), request.keep_alive), ("POST", "/heartbeat", true));
        assert_eq!((request.body.as_slice(), request.foreign), (&b"{\"pid\":1}"[..], None));
        for end in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..end]), Ok(Parsed::Partial { waits: false }), "{end}");
        }
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\n{\"p\r\n6\r\nid\":1}\r\n0\r\n\r\n";
        assert_eq!(whole(chunked).body, b"{\"pid\":1}");
        assert_eq!(parse(&chunked.as_bytes()[..75]), Ok(Parsed::Partial { waits: true }));
        assert!(!whole("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(!whole("GET / HTTP/1.1\r\nConnection: Close\r\n\r\n").keep_alive);
    }

    #[test]
    fn what_is_wrong_or_too_large_is_told() {
        assert_eq!(parse(b"hello there\r\n\r\n"), Err(BAD));
        assert_eq!(parse(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), Err(BAD));
        assert_eq!(parse(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"), Err(TOO_LARGE));
        assert_eq!(parse(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"), Err(TOO_LARGE));
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(LONGEST));
        assert_eq!(parse(long.as_bytes()), Err("431 Request Header Fields Too Large"));
    }

    #[test]
    fn only_this_machine_is_here() {
        for here in ["127.0.0.1:5005", "localhost", "LOCALHOST:80", "[::1]:5005", "127.1.2.3", "a.localhost:1"] {
            assert!(is_here(here), "{here}");
        }
        for foreign in ["evil.example", "evil.example:5005", "10.0.0.1", "localhost.evil.example", "", "[fe80::1]"] {
            assert!(!is_here(foreign), "{foreign}");
        }
        let asked = |header: &str| whole(&format!("GET / HTTP/1.1\r\n{header}\r\n\r\n")).foreign;
        assert_eq!(asked("Host: evil.example:5005"), Some("evil.example:5005".into()));
        assert_eq!(asked("Host: localhost\r\nOrigin: https://evil.example"), Some("https://evil.example".into()));
        assert_eq!(asked("Host: localhost\r\nOrigin: null"), Some("null".into()));
        assert_eq!(asked("Host: localhost\r\nOrigin: http://127.0.0.1:5005"), None);
    }

    #[test]
    fn the_answer_to_a_handshake_is_that_of_the_standard() {
        let text = String::from_utf8(handshake("dGhlIHNhbXBsZSBub25jZQ==")).unwrap();
        assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_take_more_than_there_is(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let with_head = [&b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &bytes].concat();
            for bytes in [bytes, with_head] {
                if let Ok(Parsed::Whole(_, length)) = parse(&bytes) {
                    prop_assert!(length <= bytes.len());
                }
            }
        }
    }
}
