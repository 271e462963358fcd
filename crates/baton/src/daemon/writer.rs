//! The thread that writes what must be on disk before someone is told of it: the state file and dumps.

use super::inbox::{Inbox, Message};
use super::server::Responder;
use super::storage::StateFile;
use crate::home::Home;
use baton_core::proto::{Refusal, Reply};
use baton_core::world::InstanceView;
use baton_os::files::write_atomic;
use baton_pm2::record::Host;
use baton_pm2::{dump, version};
use std::fs;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Orders for the thread. They are carried out one after the other.
enum Order {
    State(u64, StateFile),
    Dump(Vec<InstanceView>, Option<Responder>),
}

/// The thread. It is told of one state at a time: what changes meanwhile is in the next.
#[derive(Debug)]
pub(super) struct Writer {
    orders: Sender<Order>,
    /// Number of the last wish to have the state written.
    wished: u64,
    /// Number of the state that is being written.
    begun: u64,
    /// Number of the last one that was written.
    done: u64,
    /// Dumps under way.
    dumps: u32,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(home: Home, inbox: Inbox) -> io::Result<Writer> {
        let (orders, received) = channel();
        std::thread::Builder::new().name("writer".into()).spawn(move || run(&home, &received, &inbox))?;
        Ok(Writer { orders, wished: 0, begun: 0, done: 0, dumps: 0 })
    }

    /// The state must be written. What `state` makes is used at once, or made again later when the thread is busy.
    pub(super) fn wish(&mut self, state: impl FnOnce() -> StateFile) {
        self.wished += 1;
        self.go_on(state);
    }

    /// The state of this number is written: goes on with what was wished meanwhile.
    pub(super) fn written(&mut self, number: u64, state: impl FnOnce() -> StateFile) {
        self.done = number;
        self.go_on(state);
    }

    fn go_on(&mut self, state: impl FnOnce() -> StateFile) {
        if self.begun == self.done && self.wished > self.done {
            self.begun = self.wished;
            self.order(Order::State(self.begun, state()));
        }
    }

    /// Writes the dump file; the number of its slots is the answer.
    pub(super) fn dump(&mut self, views: Vec<InstanceView>, answer: Option<Responder>) {
        self.dumps += 1;
        self.order(Order::Dump(views, answer));
    }

    /// A dump is written.
    pub(super) fn dumped(&mut self) {
        self.dumps -= 1;
    }

    /// Number of the last wish; what follows it may be told once [`Writer::done`] has reached it.
    pub(super) fn wished(&self) -> u64 {
        self.wished
    }

    /// Number of the last state on disk.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Whether everything that was ordered is done.
    pub(super) fn is_idle(&self) -> bool {
        self.done == self.wished && self.dumps == 0
    }

    fn order(&self, order: Order) {
        // The thread ends with this sender; were it dead by a panic, the hook has told.
        let _ = self.orders.send(order);
    }
}

fn run(home: &Home, orders: &Receiver<Order>, inbox: &Inbox) {
    for order in orders {
        match order {
            Order::State(number, state) => {
                let result = write_atomic(&home.state(), &state.encode(), 0o600);
                inbox.send(Message::Written { number, result });
            }
            Order::Dump(views, answer) => {
                let result = write_dump(home, &views);
                let slots = (!views.is_empty()).then_some(views.len());
                if let Some(answer) = answer {
                    answer.send(&match &result {
                        Ok(()) => Reply::Saved { path: home.dump().display().to_string(), slots },
                        Err(error) => Reply::Refused(Refusal::System(format!(
                            "could not write {}: {error}",
                            home.dump().display()
                        ))),
                    });
                }
                inbox.send(Message::Dumped(result));
            }
        }
    }
}

/// Replaces the dump; the one before becomes the backup.
fn write_dump(home: &Home, views: &[InstanceView]) -> io::Result<()> {
    let root = home.root().to_string_lossy();
    let nearest = |script: &str| version::nearest(script, |path| fs::read_to_string(path).ok());
    let text = dump::write(views, Host { home: &root, version: &nearest });
    match fs::read(home.dump()) {
        Ok(before) => write_atomic(&home.dump_backup(), &before, 0o600)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    write_atomic(&home.dump(), text.as_bytes(), 0o600)
}
