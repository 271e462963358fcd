//! One client: requests one after another, each answered.

use super::LAST;
use super::answer::{Answer, Body, answer};
use super::request::{Request, Wrong, parse};
use super::settings::Settings;
use rustix::fs::sendfile;
use rustix::io::Errno;
use std::fs::File;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a client may take for a request, and rest between two.
const REQUEST: Duration = Duration::from_secs(60);
/// How long a client may take no bytes of an answer.
const PROGRESS: Duration = Duration::from_secs(60);
/// How long a client may go on sending after its last answer.
const FAREWELL: Duration = Duration::from_secs(5);
/// What is read at once (bytes).
const READ: usize = 4096;
/// A body up to this length goes out with its head (bytes).
const SMALL: u64 = 32 * 1024;
/// How much one client is given before others have their turn (bytes).
const TURN: usize = 256 * 1024;

/// Serves a client until it goes, or the server ends.
pub(super) async fn serve(mut stream: TcpStream, settings: &Settings, mut ending: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    // Who has gone need not be told anything.
    let _ = requests(&mut stream, settings, &mut ending).await;
}

async fn requests(stream: &mut TcpStream, settings: &Settings, ending: &mut watch::Receiver<bool>) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some(next) = within(REQUEST, ending, arrive(stream, &mut bytes)).await? else { return Ok(()) };
        let last = *ending.borrow();
        let (answer, keep_alive, headless) = match next {
            Ok(request) => (answer(&request, settings), request.keep_alive && !last, request.method == "HEAD"),
            Err(status) => (Answer::wrong(status), false, false),
        };
        let head = answer.head(keep_alive).into_bytes();
        match answer.body {
            _ if headless => send(stream, &head).await?,
            Body::None => send(stream, &head).await?,
            Body::Text(text) => send(stream, &[head, text].concat()).await?,
            Body::File(file, range) if range.end - range.start <= SMALL => {
                let mut all = head;
                let start = all.len();
                all.resize(start + usize::try_from(range.end - range.start).unwrap_or(0), 0);
                file.read_exact_at(&mut all[start..], range.start)?;
                send(stream, &all).await?;
            }
            Body::File(file, range) => {
                send(stream, &head).await?;
                send_file(stream, &file, range).await?;
            }
        }
        if !keep_alive {
            stream.shutdown().await?;
            return within(FAREWELL, ending, finish(stream)).await.map(drop);
        }
    }
}

/// What comes of it in this time, and soon when the server is told to end; nothing and no error when it takes too long.
async fn within<T>(
    time: Duration,
    ending: &mut watch::Receiver<bool>,
    come: impl Future<Output = io::Result<Option<T>>>,
) -> io::Result<Option<T>> {
    tokio::pin!(come);
    tokio::select! {
        done = timeout(time, &mut come) => done.unwrap_or(Ok(None)),
        () = told_to_end(ending) => timeout(LAST, come).await.unwrap_or(Ok(None)),
    }
}

async fn told_to_end(ending: &mut watch::Receiver<bool>) {
    // An error: the server has gone, which is an end as well.
    let _ = ending.wait_for(|ending| *ending).await;
}

/// Takes what the client still sends until it has ended. What nobody takes would have the kernel reset the connection,
/// and with it an answer that is on its way.
async fn finish(stream: &mut TcpStream) -> io::Result<Option<()>> {
    let mut rest = [0; READ];
    while stream.read(&mut rest).await? > 0 {}
    Ok(Some(()))
}

/// The next request, or what is wrong with it; `None` when there will be none.
async fn arrive(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<Result<Request, Wrong>>> {
    loop {
        match parse(bytes) {
            Ok(Some((request, length))) => {
                bytes.drain(..length);
                return Ok(Some(Ok(request)));
            }
            Ok(None) => {}
            Err(status) => return Ok(Some(Err(status))),
        }
        let mut read = [0; READ];
        match stream.read(&mut read).await? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&read[..count]),
        }
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let sent = timeout(PROGRESS, stream.write(rest)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        rest = &rest[sent..];
    }
    Ok(())
}

/// The kernel moves the bytes.
async fn send_file(stream: &TcpStream, file: &File, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        timeout(PROGRESS, stream.writable()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let left = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(TURN);
        let sent = stream.try_io(Interest::WRITABLE, || Ok(sendfile(stream, file, Some(&mut at), left)?));
        match sent {
            // It has become shorter: the client must not take what comes next for the rest of it.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => tokio::task::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.raw_os_error() == Some(Errno::INTR.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::path::Path;

    /// What a client hears that sends this.
    fn heard(sent: Vec<u8>) -> String {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings::read(|_| None, &[], Path::new(root.path())).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(&sent).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_end, ending) = watch::channel(false);
            serve(TcpStream::from_std(stream).unwrap(), &settings, ending).await;
        });
        client.join().unwrap()
    }

    #[test]
    fn who_sends_more_than_anybody_wants_has_the_answer_all_the_same() {
        let body = vec![b'x'; 8 << 20];
        let posted = [format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes(), body].concat();
        assert!(heard(posted).starts_with("HTTP/1.1 405 "));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(4 << 20));
        assert!(heard(long.into_bytes()).starts_with("HTTP/1.1 431 "));
    }
}
