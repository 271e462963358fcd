//! What is wrong with a followed source, told to whoever looks at the list for as long as it is so, by every daemon that
//! there is meanwhile.

use crate::cli::logs::Returns;
use crate::cli::session::Session;
use crate::client::Client;
use baton_core::proto::Request;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A complaint that is told until it is dropped.
pub(super) struct Complaint(Arc<Mutex<Told>>);

/// How it is told at the moment.
enum Told {
    /// Over this connection: the daemon tells it for as long as that is open.
    By(UnixStream),
    /// There is no daemon.
    ByNobody,
    /// It is over.
    NoMore,
}

impl Complaint {
    /// Has a daemon tell what is wrong with a source, and each that takes its place.
    ///
    /// # Errors
    /// When there is no thread or watch to be had.
    pub(super) fn begin(source: String, error: String, session: &Session) -> io::Result<Complaint> {
        let told = Arc::new(Mutex::new(Told::ByNobody));
        let returns = Returns::watch(&session.home)?;
        let home = session.home.clone();
        let mut client = Client::connect(&home).ok().flatten();
        // The first one knows before anybody can ask it.
        if let Some(known) = &mut client {
            say(known, &source, &error, &told);
        }
        let shared = Arc::clone(&told);
        thread::Builder::new().name("complaint".into()).spawn(move || {
            loop {
                if let Some(mut known) = client.take() {
                    known.await_end();
                }
                let is_over = matches!(*shared.lock().unwrap_or_else(PoisonError::into_inner), Told::NoMore);
                let Some(mut next) = (!is_over).then(|| returns.wait(&home)).flatten() else { return };
                if !say(&mut next, &source, &error, &shared) {
                    return;
                }
                client = Some(next);
            }
        })?;
        Ok(Complaint(told))
    }
}

impl Drop for Complaint {
    fn drop(&mut self) {
        let told = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Told::NoMore);
        if let Told::By(stream) = told {
            // The thread ends with the connection; one that is gone already has ended it.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Tells it to one daemon; false when that is not wished any more.
fn say(client: &mut Client, source: &str, error: &str, told: &Mutex<Told>) -> bool {
    let Ok(stream) = client.handle() else { return false };
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(*told, Told::NoMore) {
        return false;
    }
    // A daemon that has ended meanwhile has a successor.
    let _ = client.call(Request::Report { source: source.into(), error: Some(error.into()), follows: true });
    *told = Told::By(stream);
    true
}
