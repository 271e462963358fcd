//! Making processes, telling them to run, and signals.

use crate::daemon::channel::ends;
use crate::daemon::driver::Driver;
use crate::daemon::inbox::Made;
use crate::daemon::journal;
use crate::daemon::life::{Began, Key, Life, Stage, tree_key};
use crate::daemon::sockets;
use crate::daemon::spawner::Job;
use crate::daemon::storage::Routes;
use crate::daemon::watch;
use baton_core::spec::ExecMode;
use baton_core::step::{Effect, Event, Scope};
use baton_core::world::{Cause, Detail, Signal, SpawnError, SpawnStage, State};
use baton_os::clock;
use baton_os::tree::TreeReport;
use std::sync::Arc;

fn word(mode: ExecMode) -> &'static str {
    match mode {
        ExecMode::Fork => "fork",
        ExecMode::Cluster => "cluster",
    }
}

impl Driver {
    /// Makes room for what an effect will bring, so that it is on record before it is there.
    pub(in crate::daemon) fn foresee(&mut self, effect: &Effect) {
        match effect {
            Effect::Spawn { id, incarnation } => {
                if let Some(slot) = self.world.as_of(*id, *incarnation) {
                    let mark = format!("{}-{incarnation}", self.nonce);
                    let mut life = Life::new(mark, Routes::of(&slot));
                    life.sockets = sockets::keys(&slot.spec, slot.number);
                    let limits = slot.spec.group_limits();
                    life.group = self.group_for((*id, *incarnation), &limits);
                    life.limits = Some(limits);
                    self.lives.insert((*id, *incarnation), life);
                }
            }
            Effect::Go { id, incarnation } => {
                if let Some(life) = self.lives.get_mut((*id, *incarnation)) {
                    life.told_to_run = true;
                }
            }
            _ => {}
        }
    }

    pub(super) fn spawn(&mut self, key: Key) {
        let (Some(slot), Some(life)) = (self.world.as_of(key.0, key.1), self.lives.get(key)) else { return };
        journal::log(format_args!("{} starting in -{} mode-", journal::app(&slot), word(slot.spec.exec_mode)));
        let view = slot.view(clock::now(), Detail::Definition);
        let alone = self.is_alone(key);
        let (mark, routes, group) = (life.mark.clone(), life.routes.clone(), life.group.clone());
        self.spawner.make(Job { key, view, mark, routes, group, alone });
    }

    /// The spawner has made a process, or could not.
    pub(in crate::daemon) fn made(&mut self, key: Key, outcome: Result<Box<Made>, SpawnError>, warnings: Vec<String>) {
        for warning in warnings {
            journal::warn(warning);
        }
        let (id, incarnation) = key;
        match outcome {
            Ok(made) => {
                let Made { prepared, streams, line, channel } = *made;
                let Some(life) = self.lives.get_mut(key) else { return };
                let identity = prepared.process.identity().clone();
                self.sweeper.started(identity.pid);
                life.identity = Some(identity.clone());
                life.stage = Stage::Waiting(prepared);
                life.collected = true;
                life.line = line;
                life.has_channel = channel.is_some();
                if let Some(channel) = channel {
                    let role = ends::role(&self.world, key);
                    self.channels.open(key, channel, role);
                }
                // Without them the end of its tree takes a longer look.
                let readers = streams.iter().map(|stream| stream.reader.try_clone().map(Arc::new));
                life.outputs = readers.collect::<Result<_, _>>().unwrap_or_default();
                for stream in streams {
                    life.began.extend(stream.route.file.as_deref().and_then(Began::now));
                    self.logs.attach(stream);
                }
                self.queue.push_back(Event::Prepared { id, incarnation, identity });
            }
            Err(error) => {
                let Some(life) = self.lives.get_mut(key).filter(|life| matches!(life.stage, Stage::Making)) else {
                    return;
                };
                life.stage = Stage::Gone;
                self.start_failed(key, error);
            }
        }
    }

    pub(super) fn go(&mut self, key: Key) {
        let Some(life) = self.lives.get_mut(key) else { return };
        let Stage::Waiting(prepared) = std::mem::replace(&mut life.stage, Stage::Gone) else { return };
        match prepared.go() {
            Ok((process, report)) => {
                life.stage = Stage::Told(process);
                life.report = Some(report);
                watch::report(key, life, &self.inbox);
                watch::leader(key, life, &self.inbox);
            }
            Err(error) => {
                let error = SpawnError {
                    stage: SpawnStage::Setup,
                    errno: error.raw_os_error().unwrap_or(0),
                    message: format!("the process could not be told to run: {error}"),
                };
                self.start_failed(key, error);
            }
        }
    }

    /// The report of a start can be read.
    pub(in crate::daemon) fn reported(&mut self, key: Key) {
        let Some(life) = self.lives.get_mut(key) else { return };
        let Some(known) = life.report.as_mut().and_then(baton_os::spawn::Report::read) else { return };
        life.report = None;
        match known {
            Ok(()) => {
                if let Some(app) = self.app_of(key) {
                    journal::log(format_args!("{app} online"));
                }
                self.queue.push_back(Event::Spawned { id: key.0, incarnation: key.1 });
            }
            // Told when the process has left, for then nothing of it is there any more.
            Err(error) => life.failure = Some(error),
        }
    }

    pub(super) fn call_off(&mut self, key: Key) {
        let Some(life) = self.lives.get_mut(key) else { return };
        let Stage::Waiting(prepared) = std::mem::replace(&mut life.stage, Stage::Gone) else { return };
        life.stage = Stage::Told(prepared.abort());
        life.failure =
            Some(SpawnError { stage: SpawnStage::Cancelled, errno: 0, message: "the start was called off".into() });
        watch::leader(key, life, &self.inbox);
    }

    /// Tells the core, and people, that a life could not begin.
    pub(super) fn start_failed(&mut self, key: Key, error: SpawnError) {
        if error.stage != SpawnStage::Cancelled
            && let Some(app) = self.app_of(key)
        {
            journal::error(format_args!("{app} could not be started: {error}"));
        }
        self.queue.push_back(Event::SpawnFailed { id: key.0, incarnation: key.1, error });
    }

    pub(super) fn signal(&mut self, key: Key, signal: Signal, scope: Scope) {
        self.tell_stop(key);
        self.look_no_more(key);
        self.channels.leaving(key);
        self.send(key, signal, scope);
    }

    /// Says that an app is being stopped.
    pub(super) fn tell_stop(&self, key: Key) {
        if let Some(instance) = self.world.current(key.0, key.1)
            && let State::Stopping { exit: None, then, .. } = &instance.state
        {
            let name = &instance.spec.name;
            match then.cause() {
                Cause::Operator(_) => journal::log(format_args!("Stopping app:{name} id:{}", key.0)),
                why => journal::log(format_args!("Stopping app:{name} id:{} ({why})", key.0)),
            }
        }
    }

    fn send(&mut self, key: Key, signal: Signal, scope: Scope) {
        let Some(life) = self.lives.get(key) else { return };
        match scope {
            Scope::Tree => {
                if let Some(belongings) = life.belongings(&self.home, key.1) {
                    self.sweeper.signal(tree_key(key), belongings, signal);
                }
            }
            Scope::Leader => {
                if let Some(Err(error)) = life.process().map(|process| process.signal(signal)) {
                    journal::error(format_args!("{signal} could not be sent to slot {}: {error}", key.0));
                }
            }
        }
    }

    pub(super) fn await_tree(&mut self, key: Key) {
        match self.lives.get(key).and_then(|life| life.belongings(&self.home, key.1)) {
            Some(belongings) => self.sweeper.await_gone(tree_key(key), belongings),
            // Without a first process there never was a tree.
            None => self.queue.push_back(Event::TreeGone { id: key.0, incarnation: key.1 }),
        }
    }

    pub(super) fn kill(&mut self, key: Key, scope: Scope) {
        if let Some(instance) = self.world.current(key.0, key.1)
            && let Some(process) = &instance.process
        {
            journal::log(format_args!(
                "Process with pid {} still alive after {}ms, sending SIGKILL",
                process.pid, instance.spec.kill_timeout.0
            ));
        }
        match (scope, self.lives.get(key).and_then(|life| life.belongings(&self.home, key.1))) {
            (Scope::Tree, Some(belongings)) => self.sweeper.kill(tree_key(key), belongings),
            (Scope::Tree, None) => {}
            (Scope::Leader, _) => self.send(key, Signal::KILL, Scope::Leader),
        }
    }

    /// The sweeper knows that nothing of a tree is left.
    pub(in crate::daemon) fn tree(&mut self, report: TreeReport) {
        let TreeReport::Gone(key) = report;
        self.queue.push_back(Event::TreeGone { id: key.id, incarnation: key.incarnation });
    }

    /// Says how a slot came to rest, for lines that people know from PM2.
    pub(super) fn tell_end(&self, key: Key) {
        if let Some(instance) = self.world.instances.get(&key.0)
            && let State::Errored { why: Cause::CrashLoop(count, _) } = &instance.state
        {
            journal::log(format_args!(
                "Script {} had too many unstable restarts ({count}). Stopped. \"errored\"",
                instance.spec.script
            ));
        }
    }
}
