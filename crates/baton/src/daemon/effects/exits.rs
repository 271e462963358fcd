//! The ends of leaders.
//!
//! The end of our own child is peeked and stays a zombie until the life is released. That of a child of the guard is
//! known from the guard or, as for any zombie of our user, from its line in `/proc`; that of a child of init only
//! once init has taken note, and only from kernels of 6.15 on.

use crate::daemon::driver::Driver;
use crate::daemon::journal;
use crate::daemon::life::{Key, Parent};
use crate::daemon::proc_stat::ProcStat;
use crate::daemon::watch;
use baton_core::step::Event;
use baton_core::world::Exit;
use baton_os::guard::link::GuardEvent;
use baton_os::guard::takeover;
use baton_os::process::Process;
use std::os::fd::AsFd;

/// What is known of an end.
enum Known {
    Exit(Exit),
    /// It lives.
    NotYet,
    /// Its parent will know.
    AtReaping,
}

impl Driver {
    /// The descriptor of a leader says that it has ended.
    pub(in crate::daemon) fn leader_ended(&mut self, key: Key) {
        let Some(life) = self.lives.get_mut(key) else { return };
        let Some(process) = life.process().filter(|_| !life.ended) else { return };
        let told = self.guard_exits.remove(&identity_key(process));
        match told.map_or_else(|| look(process), Known::Exit) {
            Known::Exit(exit) => self.leader_exited(key, exit),
            Known::NotYet => {}
            Known::AtReaping => watch::reaping(key, life, &self.inbox),
        }
    }

    /// The parent of a foreign leader has taken note of its end; whatever is known now is all there will be.
    pub(in crate::daemon) fn leader_reaped(&mut self, key: Key) {
        let Some(life) = self.lives.get(key).filter(|life| !life.ended) else { return };
        let exit = life.process().and_then(Process::exit_info).unwrap_or(Exit::Unknown);
        self.leader_exited(key, exit);
    }

    /// A leader has ended like this: tells the core, its start first.
    fn leader_exited(&mut self, key: Key, exit: Exit) {
        // The end may be seen before the report; the core is told in order.
        self.reported(key);
        let Some(life) = self.lives.get_mut(key).filter(|life| !life.ended) else { return };
        life.ended = true;
        life.looking = None;
        if life.report.take().is_some() {
            self.queue.push_back(Event::Spawned { id: key.0, incarnation: key.1 });
        }
        let pid = life.identity.as_ref().map(|identity| identity.pid);
        let failure = life.failure.take();
        if let (Some(pid), Some(instance)) = (pid, self.world.instances.get(&key.0)) {
            let current = instance.process.as_ref().filter(|_| instance.incarnation != key.1);
            match current {
                // A candidate that ends before it has the slot leaves the file to the life that has it.
                Some(current) => self.spawner.replace_pid(&instance.files.pid, pid, current.pid),
                None => self.spawner.remove_pid(&instance.files.pid, pid),
            }
        }
        match failure {
            Some(error) => self.start_failed(key, error),
            None => {
                let exit = self.explained(key, exit);
                if let Some(instance) = self.world.current(key.0, key.1) {
                    journal::exited(instance, exit);
                }
                self.queue.push_back(Event::Exited { id: key.0, incarnation: key.1, exit });
            }
        }
    }

    /// The guard has something to say.
    pub(in crate::daemon) fn guard_event(&mut self, event: GuardEvent) {
        match event {
            GuardEvent::ChildExited { pid, start_time, exit } => match self.lives.with_leader(pid, start_time) {
                Some(key) if self.lives.get(key).is_some_and(|life| !life.ended) => {
                    self.guard_exits.insert((pid, start_time), exit);
                    self.leader_ended(key);
                }
                // Its end is known, and it is consumed when the life is released, unless that came first.
                Some(key) if !self.lives.get(key).is_some_and(|life| life.buried) => {}
                // Or some orphan of an app, or a stub that never ran.
                Some(_) | None => self.consume(pid),
            },
            GuardEvent::Lost => self.become_guard(),
        }
    }

    fn consume(&self, pid: u32) {
        if let Some(guard) = &self.guard {
            guard.consume(pid);
        }
    }

    /// Forgets the zombie of a life that is over.
    pub(super) fn bury(&mut self, key: Key) {
        let Some(life) = self.lives.get_mut(key) else { return };
        life.buried = true;
        let Some(process) = life.process() else { return };
        let result = match life.parent {
            Parent::Us => {
                self.sweeper.reaping(process.identity().pid);
                process.reap()
            }
            Parent::Other => {
                if let Some(guard) = &self.guard {
                    guard.consume(process.identity().pid);
                }
                Ok(())
            }
        };
        if let Err(error) = result {
            journal::error(format_args!("process {} could not be reaped: {error}", process.identity().pid));
        }
    }

    /// Without a guard the next death of a daemon would cost output and exits: this process becomes it, and starts a
    /// successor. Returns only when that can't be done; then it goes on as it is.
    fn become_guard(&mut self) {
        self.guard = None;
        if self.ending.is_some() {
            return;
        }
        let held = self.logs.descriptors().and_then(|mut held| {
            held.extend(self.channels.descriptors()?);
            held.push((crate::daemon::LOCK_NAME.into(), self.lock.as_fd().try_clone_to_owned()?));
            held.extend(self.keeper.descriptors()?);
            Ok(held)
        });
        let error = match held {
            // The records are on disk already: they are written before anything is done.
            Ok(held) => takeover(held, self.home.root()),
            Err(error) => error,
        };
        self.notice(format!(
            "the guard is lost and could not be replaced: {error}; a crash of the daemon would lose output"
        ));
    }
}

fn identity_key(process: &Process) -> (u32, u64) {
    (process.identity().pid, process.identity().start_time)
}

fn look(process: &Process) -> Known {
    match process.peek_exit() {
        Ok(Some(exit)) => Known::Exit(exit),
        Ok(None) => Known::NotYet,
        Err(_) => match ProcStat::read(process.identity()) {
            Some(stat) if !stat.is_dead() => Known::NotYet,
            Some(stat) => stat.exit.map_or(Known::AtReaping, Known::Exit),
            None => process.exit_info().map_or(Known::AtReaping, Known::Exit),
        },
    }
}
