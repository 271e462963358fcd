//! What is answered.

use super::place::{Found, find};
use super::range::{Version, Wanted, wanted};
use super::request::{Request, Wrong, path_of};
use super::settings::Settings;
use super::{kinds, listing};
use baton_os::clock;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use std::fmt::Write;
use std::fs::{File, Metadata};
use std::ops::Range;

/// So that pages of elsewhere may read what is served.
const SHARED: &str = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET\r\n";
const METHODS: &str = "Allow: GET, HEAD, OPTIONS\r\n";
const HTML: &str = "Content-Type: text/html\r\n";

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    /// Lines of its own.
    headers: String,
    /// What comes behind the head.
    pub(super) body: Body,
}

/// What comes behind a head.
#[derive(Debug)]
pub(super) enum Body {
    /// A text.
    Text(Vec<u8>),
    /// A part of a file.
    File(File, Range<u64>),
    /// Nothing, and no word of its length.
    None,
}

impl Answer {
    fn new(status: u16, headers: impl Into<String>, body: Body) -> Answer {
        Answer { status, headers: headers.into(), body }
    }

    /// The status as a page of one line.
    fn plain(status: u16, headers: &str) -> Answer {
        let text = format!("{status} {}", reason(status));
        Answer::new(status, format!("{HTML}{headers}"), Body::Text(text.into()))
    }

    /// What is told of a request that was not understood.
    pub(super) fn wrong(status: Wrong) -> Answer {
        Answer::plain(status, "")
    }

    /// Its head.
    pub(super) fn head(&self, keep_alive: bool) -> String {
        let now = Timestamp::from_millisecond(i64::try_from(clock::now().wall.0).unwrap_or(0)).unwrap_or_default();
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nDate: {}\r\nConnection: {connection}\r\n{}",
            self.status,
            reason(self.status),
            date(now),
            self.headers
        );
        let length = match &self.body {
            Body::Text(text) => Some(text.len() as u64),
            Body::File(_, range) => Some(range.end - range.start),
            Body::None => None,
        };
        if let Some(length) = length {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
        head.push_str("\r\n");
        head
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        412 => "Precondition Failed",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        _ => "Internal Server Error",
    }
}

fn date(at: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap_or_default()
}

/// The answer to a request.
pub(super) fn answer(request: &Request, settings: &Settings) -> Answer {
    if settings.password.as_ref().is_some_and(|password| !has(request, password)) {
        return Answer::plain(401, "WWW-Authenticate: Basic realm=\"Authentication service\"\r\n");
    }
    match request.method.as_str() {
        "GET" | "HEAD" => {}
        "OPTIONS" => return Answer::new(204, format!("{METHODS}{SHARED}"), Body::None),
        _ => return Answer::plain(405, METHODS),
    }
    let Some(names) = &request.path else { return Answer::plain(403, "") };
    let home: Vec<&[u8]> = settings.homepage.split('/').map(str::as_bytes).collect();
    if names.is_empty() && !settings.listing {
        return match find(&settings.root, &home) {
            Found::File(file, data, extension) => file_answer(request, file, &data, &extension),
            Found::Trouble(error) => trouble(request, &error),
            Found::Forbidden => Answer::plain(403, ""),
            Found::Folder(_) | Found::Nothing => missing(settings),
        };
    }
    match find(&settings.root, names) {
        Found::File(file, data, extension) if !request.slash => file_answer(request, file, &data, &extension),
        Found::Folder(_) if !request.slash => {
            Answer::plain(301, &format!("Location: {}/{}\r\n", path_of(names), request.query))
        }
        Found::Folder(path) => {
            let mut index = names.clone();
            index.push(b"index.html".to_vec());
            match find(&settings.root, &index) {
                Found::File(file, data, extension) => file_answer(request, file, &data, &extension),
                _ if settings.listing => match listing::page(&settings.root, &path, names) {
                    Ok(page) => Answer::new(200, format!("{HTML}{SHARED}"), Body::Text(page.into())),
                    Err(error) => trouble(request, &error),
                },
                _ => elsewhere(request, names, &home, settings),
            }
        }
        Found::File(..) | Found::Nothing => elsewhere(request, names, &home, settings),
        Found::Forbidden => Answer::plain(403, ""),
        Found::Trouble(error) => trouble(request, &error),
    }
}

/// Whether the client says the password. It takes the same time whatever is wrong with it.
fn has(request: &Request, password: &str) -> bool {
    let given = request.authorization.as_deref().unwrap_or_default();
    let (scheme, token) = given.split_once(' ').unwrap_or_default();
    let token = token.trim().as_bytes();
    let differs = token.iter().zip(password.as_bytes()).fold(0, |all, (one, other)| all | (one ^ other));
    scheme.eq_ignore_ascii_case("basic") && token.len() == password.len() && differs == 0
}

/// What stands for something that is not there. In an app of one page that is a file of the same name at the top, because
/// the page asks for its parts by relative paths, and else the page.
fn elsewhere(request: &Request, names: &[Vec<u8>], home: &[&[u8]], settings: &Settings) -> Answer {
    let last = names.last().map(Vec::as_slice).filter(|_| settings.spa);
    let places = last.map(|last| vec![last]).into_iter().chain(settings.spa.then(|| home.to_vec()));
    for place in places {
        if let Found::File(file, data, extension) = find(&settings.root, &place) {
            return file_answer(request, file, &data, &extension);
        }
    }
    missing(settings)
}

fn missing(settings: &Settings) -> Answer {
    match find(&settings.root, &["404.html"]) {
        Found::File(file, data, _) => Answer::new(404, HTML, Body::File(file, 0..data.len())),
        _ => Answer::plain(404, ""),
    }
}

fn trouble(request: &Request, error: &std::io::Error) -> Answer {
    // As it was asked for, and not as it is: a name may be made to look like a line of the log.
    let path = path_of(request.path.as_deref().unwrap_or_default());
    eprintln!("{}: {error}", if path.is_empty() { "/" } else { &path });
    Answer::plain(500, "")
}

fn file_answer(request: &Request, file: File, data: &Metadata, extension: &str) -> Answer {
    let version = Version::of(data);
    let changed = Timestamp::from_second(version.changed).map(date).unwrap_or_default();
    // Without a word about it, browsers would keep files for a tenth of their age and show old ones.
    let of_file = format!(
        "{SHARED}Cache-Control: no-cache\r\nETag: {}\r\nLast-Modified: {changed}\r\nAccept-Ranges: bytes\r\n",
        version.tag
    );
    let kind = format!("Content-Type: {}\r\n", kinds::of(extension));
    let length = version.length;
    match wanted(request, &version) {
        Wanted::Whole => Answer::new(200, of_file + &kind, Body::File(file, 0..length)),
        Wanted::Part(part) => {
            let which = format!("Content-Range: bytes {}-{}/{length}\r\n", part.start, part.end - 1);
            Answer::new(206, of_file + &kind + &which, Body::File(file, part))
        }
        Wanted::Nothing => Answer::new(304, of_file, Body::None),
        Wanted::Changed => Answer::plain(412, ""),
        Wanted::Beyond => Answer::plain(416, &format!("Content-Range: bytes */{length}\r\n")),
    }
}
