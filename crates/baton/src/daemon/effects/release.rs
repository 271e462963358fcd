//! The end of a life: its output is read to the end, then the guard lets go of its descriptors, then its FIFOs go.

use crate::daemon::driver::Driver;
use crate::daemon::inbox::Message;
use crate::daemon::journal;
use crate::daemon::life::{Key, fifos, guard_names, input_path, tree_key};
use crate::daemon::line::notify_path;
use baton_core::step::Event;
use baton_core::units::{InstanceId, Millis};
use baton_os::clock;
use baton_os::logs::{LogReport, own};

/// How long the journal says nothing of output that an app loses after it has said so once. The list has the sum.
const DROPS_PAUSE: Millis = Millis(60_000);

/// How long output may come after the end of a process (ms). Whatever is left holds the FIFO open, but does not
/// belong to the tree that was ended.
const DRAIN: u64 = 2_000;
/// The same where children were left alive on purpose: as long as they hold the FIFO open, in other words. A FIFO
/// without a reader would block them once it is full.
const DRAIN_OF_CHILDREN: u64 = 365 * 24 * 3_600_000;

impl Driver {
    pub(in crate::daemon) fn release(&mut self, key: Key) {
        self.tell_end(key);
        self.look_no_more(key);
        self.sweeper.forget(tree_key(key));
        self.channels.close(key);
        self.bury(key);
        if let Some(life) = self.lives.get_mut(key).filter(|life| !life.sockets.is_empty()) {
            life.sockets.clear();
            self.follow_sockets([key.0]);
        }
        let Some(life) = self.lives.get(key) else { return };
        if life.collected {
            let patience = if life.routes.children_stay() { DRAIN_OF_CHILDREN } else { DRAIN };
            self.logs.drain(key.0, key.1, patience);
        } else {
            self.let_go(key);
        }
    }

    /// The output of a life is in its files.
    fn let_go(&mut self, key: Key) {
        match &self.guard {
            Some(guard) => {
                let inbox = self.inbox.clone();
                guard.release(guard_names(key), Box::new(move || inbox.send(Message::Released(key))));
            }
            None => self.released(key),
        }
    }

    /// The guard holds nothing of a life any more.
    pub(in crate::daemon) fn released(&mut self, key: Key) {
        let Some(life) = self.lives.remove(key) else { return };
        self.remove_group(life.group.clone());
        let others = [notify_path(&self.home, key.1), input_path(&self.home, key.1)];
        for path in fifos(&self.home, key.1).into_iter().chain(others) {
            // It may never have been made.
            let _ = crate::home::remove_file(&path);
        }
        self.drop_records();
    }

    /// The log thread has something to say.
    pub(in crate::daemon) fn log_report(&mut self, report: LogReport) {
        match report {
            LogReport::Drained { id, incarnation } => self.let_go((id, incarnation)),
            LogReport::Trouble { path, message } => {
                journal::error(format_args!("could not write {}: {message}", path.display()));
                self.troubles.insert(path.display().to_string(), message);
            }
            LogReport::NotRotated { path, message } => {
                let which = if path.as_os_str().is_empty() { "logs".into() } else { path.display().to_string() };
                self.notice(format!("could not rotate {which}: {message}"));
            }
            LogReport::Dropping { id, path } => {
                let (app, path) = (self.name_of(id), path.display().to_string());
                if self.tells_of_drops(id) {
                    journal::error(format_args!("output of {app} is dropped while {path} can't be written"));
                }
                if let Some(message) = self.troubles.get_mut(&path) {
                    message.push_str(&format!("; output of {app} is dropped meanwhile"));
                }
            }
            LogReport::Dropped { id, path, bytes } => {
                let (app, path) = (self.name_of(id), path.display().to_string());
                if self.tells_of_drops(id) {
                    journal::log(format_args!(
                        "{bytes} bytes of output of {app} were dropped before {path} was written again"
                    ));
                    self.told_of_drops.insert(id, clock::now().instant + DROPS_PAUSE);
                }
                self.queue.push_back(Event::OutputDropped { id, bytes });
            }
            LogReport::Renewed => {
                if let (Some(guard), Ok(log)) = (&self.guard, own::descriptor()) {
                    // One that can't be told writes to what was set aside.
                    let _ = guard.begin_hold(vec![(baton_os::guard::LOG.to_owned(), log)]);
                }
            }
            LogReport::Recovered { path } => {
                journal::log(format_args!("{} is written again", path.display()));
                self.troubles.remove(&path.display().to_string());
            }
        }
    }

    /// Whether the journal is to tell that output of this slot is dropped: a slow reader makes that so again and again.
    fn tells_of_drops(&self, id: InstanceId) -> bool {
        self.told_of_drops.get(&id).is_none_or(|until| *until <= clock::now().instant)
    }

    fn name_of(&self, id: InstanceId) -> String {
        self.world.instances.get(&id).map_or_else(|| format!("slot {id}"), |slot| slot.spec.name.clone())
    }
}
