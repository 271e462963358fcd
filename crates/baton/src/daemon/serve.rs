//! What clients ask, answered.

use super::driver::{Driver, Ending};
use super::inbox::Call;
use super::journal;
use super::measure::{Answer, Order};
use super::server::{ClientId, Responder};
use crate::logs::source::{Filter, Streams};
use baton_core::proto::{
    Change, ClientMessage, Greeting, LineStream, List, Listing, PROTOCOL, Refusal, Reply, Request, Update,
};
use baton_core::select::Selector;
use baton_core::spec::External;
use baton_core::step::{Event, is_syncing};
use baton_core::sync;
use baton_core::units::{InstanceId, Millis, Now};
use baton_core::world::{Detail, Instance, InstanceView, Signal, Telling, Wanted};
use baton_node::told::Told;
use baton_os::clock;
use baton_os::metrics::Leaders;
use rustix::fs::{Access, Mode, OFlags, access, open};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;

/// Pause after a connection could not be accepted.
const ACCEPT_AGAIN: Millis = Millis(100);

impl Driver {
    /// Someone has connected.
    pub(super) fn welcome(&mut self, accepted: io::Result<UnixStream>) {
        match accepted {
            Ok(stream) => {
                self.works();
                if std::mem::take(&mut self.crowded) {
                    journal::log("connections are accepted again");
                }
                let asked = &self.asked;
                let waits = |client| asked.values().any(|(asker, _)| *asker == client);
                match self.connections.accept(stream, waits) {
                    Ok(None) => {}
                    Ok(Some(dropped)) => self.answer(Call::Gone(dropped)),
                    Err(reason) => journal::warn(reason),
                }
            }
            Err(error) => {
                // Nothing tells when there are descriptors again, and until then the next try fails as well.
                self.accept_again_at = Some(clock::now().instant + ACCEPT_AGAIN);
                if !std::mem::replace(&mut self.crowded, true) {
                    journal::error(format_args!("connections can't be accepted for now: {error}"));
                }
            }
        }
    }

    /// A client asks, or is gone.
    pub(super) fn answer(&mut self, call: Call) {
        match call {
            Call::Request(client, ClientMessage { id, request }) => self.serve(client, id, request),
            Call::Gone(client) => {
                self.connections.remove(client);
                self.channels.listen(self.connections.anyone_hears());
                self.bus.leave(client);
                self.unread.leave(client);
                let waiting = self.asked.iter().filter(|(_, (asker, _))| *asker == client);
                let ops: Vec<_> = waiting.map(|(op, _)| *op).collect();
                for op in ops {
                    self.asked.remove(&op);
                    self.queue.push_back(Event::ClientGone { op });
                }
            }
        }
    }

    fn serve(&mut self, client: ClientId, id: u64, request: Request) {
        let reply = match request {
            Request::Hello { protocol } => self.greet(protocol),
            Request::List(list) => match self.list(&list) {
                Ok(listing) => Reply::List(Box::new(listing)),
                Err(refusal) => Reply::Refused(refusal),
            },
            Request::Usage => {
                if let Some(answer) = self.connections.responder(client, id) {
                    self.measurer.order(Order { leaders: self.leaders(), answer: Answer::Client(answer) });
                }
                return;
            }
            Request::Command(command) => {
                let op = self.new_op();
                self.asked.insert(op, (client, id));
                self.queue.push_back(Event::Command { op, command });
                return;
            }
            Request::PlanInTurn(desired) if is_syncing(&self.world) => {
                let op = self.new_op();
                self.asked.insert(op, (client, id));
                self.queue.push_back(Event::PlanAsked { op, desired });
                return;
            }
            Request::Plan(desired) | Request::PlanInTurn(desired) => match sync::plan(&self.world, &desired) {
                Ok(plan) => Reply::Plan(plan),
                Err(error) => Reply::Refused(Refusal::Sync(error)),
            },
            Request::Sources => Reply::Sources(self.world.synced.clone()),
            Request::Report { source, error, follows } => {
                self.unread.note(source, error, follows.then_some(client));
                Reply::Done
            }
            Request::Signal { targets, signal } => self.signal_leaders(&targets, signal),
            Request::Trigger { target, action, parameter } => {
                let Some(replies) = self.connections.replies(client, id) else { return };
                match self.trigger(&target, action, parameter.as_ref(), replies) {
                    Ok(()) => return,
                    Err(refusal) => Reply::Refused(refusal),
                }
            }
            Request::Send { id, message } => self.send_message(id, message),
            Request::Input { id } => self.input(id),
            Request::Hear => {
                self.connections.hear(client);
                self.channels.listen(true);
                Reply::Done
            }
            Request::Flush { targets } => {
                let Some(answer) = self.connections.responder(client, id) else { return };
                match self.flush(&targets, answer) {
                    Ok(()) => return,
                    Err(refusal) => Reply::Refused(refusal),
                }
            }
            Request::ReloadLogs => {
                self.reload_logs();
                Reply::Done
            }
            Request::ReadSettings => {
                self.read_settings();
                Reply::Done
            }
            Request::Save { force } => {
                let answer = self.connections.responder(client, id);
                match self.save(force, answer) {
                    Some(reply) => reply,
                    None => return,
                }
            }
            Request::Subscribe => {
                self.connections.reply(client, id, &Reply::Done);
                let listing = self.listing(self.world.instances.keys().copied(), Detail::Row);
                let first = Update { revision: self.world.revision, change: Change::Snapshot(listing) };
                self.connections.follow(client, &first);
                return;
            }
            Request::Listen { targets, stream } => match self.listen(client, id, &targets, stream) {
                Ok(()) => return,
                Err(text) => Reply::Refused(Refusal::System(text)),
            },
            Request::Update { executable } => match self.update(Path::new(&executable)) {
                Ok(()) => Reply::Done,
                Err(text) => Reply::Refused(Refusal::System(text)),
            },
        };
        self.connections.reply(client, id, &reply);
    }

    /// Sends a client the lines of logs; it is answered when the first can come.
    fn listen(
        &mut self,
        client: ClientId,
        id: u64,
        words: &[String],
        stream: Option<LineStream>,
    ) -> Result<(), String> {
        let filter = Filter::parse(words).map_err(|error| error.to_string())?;
        let streams = match stream {
            None => Streams::Both,
            Some(LineStream::Out) => Streams::Out,
            Some(LineStream::Err) => Streams::Error,
        };
        let Some(sink) = self.connections.line_sink(client, id) else { return Ok(()) };
        let slots = self.listing(self.world.instances.keys().copied(), Detail::Row).instances;
        self.bus.listen(client, (filter, streams), sink, slots).map_err(|error| format!("can't follow logs: {error}"))
    }

    fn greet(&self, protocol: u32) -> Reply {
        if protocol != PROTOCOL {
            return Reply::Refused(Refusal::Protocol { daemon: PROTOCOL, client: protocol });
        }
        Reply::Hello(Greeting {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            guard: self.guard.as_ref().map(baton_os::guard::link::GuardLink::pid),
            started_at: self.started_at,
            notices: self.all_notices(),
        })
    }

    fn list(&self, list: &List) -> Result<Listing, Refusal> {
        Ok(self.listing(self.chosen(&list.targets)?, list.detail))
    }

    fn listing(&self, ids: impl IntoIterator<Item = InstanceId>, detail: Detail) -> Listing {
        let now = clock::now();
        let chosen = ids.into_iter().filter_map(|id| self.world.instances.get(&id));
        let mut instances: Vec<InstanceView> = chosen.map(|instance| self.seen(instance, now, detail)).collect();
        if detail >= Detail::History {
            let drift = self.drift();
            for view in &mut instances {
                let found = view.owner.as_deref().and_then(|owner| drift.get(owner)?.get(&view.name));
                view.drift = found.cloned().unwrap_or_default();
            }
        }
        Listing { revision: self.world.revision, instances, notices: self.all_notices(), externals: self.externals() }
    }

    /// A slot with what its program tells of itself, where the whole of it is wanted.
    fn seen(&self, instance: &Instance, now: Now, detail: Detail) -> InstanceView {
        let told = |told: &Told| {
            Box::new(Telling {
                node_version: told.node_version().map(Into::into),
                metrics: told.metrics(),
                actions: told.actions(),
                options: told.options().clone(),
            })
        };
        let mut view = instance.view(now, detail);
        if detail >= Detail::Definition {
            view.told = self.channels.told(instance.incarnation, told);
        }
        view
    }

    /// What others run and apps of the list depend on, each once.
    fn externals(&self) -> Vec<External> {
        let slots = self.world.instances.values();
        let all: BTreeSet<&External> = slots.flat_map(|slot| slot.spec.externals()).collect();
        all.into_iter().cloned().collect()
    }

    /// The slots that the words mean; all for no word.
    fn chosen(&self, targets: &[Selector]) -> Result<BTreeSet<InstanceId>, Refusal> {
        if targets.is_empty() {
            return Ok(self.world.instances.keys().copied().collect());
        }
        let mut ids = BTreeSet::new();
        for target in targets {
            ids.extend(target.resolve(&self.world).map_err(Refusal::Unknown)?);
        }
        Ok(ids)
    }

    /// The leaders of what runs.
    pub(super) fn leaders(&self) -> Leaders {
        let running = self.world.instances.values().filter(|instance| instance.state.has_process());
        Leaders::now(running.filter_map(|instance| Some((instance.id, instance.process.clone()?))).collect())
    }

    fn signal_leaders(&self, targets: &[Selector], signal: Signal) -> Reply {
        let ids = match self.chosen(targets) {
            Ok(ids) => ids,
            Err(refusal) => return Reply::Refused(refusal),
        };
        let mut reached = 0;
        for instance in ids.iter().filter_map(|id| self.world.instances.get(id)) {
            let life = self.lives.get((instance.id, instance.incarnation)).filter(|life| !life.ended);
            match life.and_then(|life| life.process()).map(|process| process.signal(signal)) {
                Some(Ok(true)) => reached += 1,
                Some(Ok(false)) | None => {}
                Some(Err(error)) => {
                    let text =
                        format!("{signal} could not be sent to {} ({}): {error}", instance.spec.name, instance.id);
                    return Reply::Refused(Refusal::System(text));
                }
            }
        }
        if reached == 0 {
            return Reply::Refused(Refusal::System(format!("{signal} was sent to nobody: none of them runs")));
        }
        Reply::Done
    }

    fn flush(&self, targets: &[Selector], answer: Responder) -> Result<(), Refusal> {
        let everything = targets.is_empty() || targets.iter().any(|target| target.text == "all");
        // With nothing in the list there is still the daemon's own log.
        let ids = if everything { self.chosen(&[])? } else { self.chosen(targets)? };
        let files = ids.iter().filter_map(|id| self.world.instances.get(id)).map(|instance| &instance.files);
        let mut paths: BTreeSet<&str> =
            files.flat_map(|files| [&files.out, &files.error, &files.combined]).flatten().map(String::as_str).collect();
        let own = self.home.daemon_log().display().to_string();
        if everything {
            paths.insert(&own);
        }
        let names: Vec<String> = paths.iter().map(ToString::to_string).collect();
        let present = paths.iter().map(PathBuf::from).filter(|path| path.exists()).collect();
        self.logs.flush(present, move || answer.send(&Reply::Files(names)));
        Ok(())
    }

    /// Has the dump written; an answer that is known at once is returned.
    fn save(&mut self, force: bool, answer: Option<Responder>) -> Option<Reply> {
        let now = clock::now();
        // What is being deleted must not come back.
        let stay = self.world.instances.values().filter(|instance| instance.state.wanted() != Wanted::Gone);
        let views: Vec<_> = stay.map(|instance| instance.view(now, Detail::Definition)).collect();
        let dump = self.home.dump();
        if views.is_empty() && !force && dump.exists() {
            return Some(Reply::Saved { path: dump.display().to_string(), slots: None });
        }
        self.writer.dump(views, answer);
        None
    }

    /// Has a new executable take over once this daemon has ended; the guard starts it.
    fn update(&mut self, executable: &Path) -> Result<(), String> {
        let Some(guard) = &self.guard else {
            return Err("this daemon runs without a guard, which would start the new one".into());
        };
        let failed = |error: io::Error| format!("could not use {}: {error}", executable.display());
        access(executable, Access::EXEC_OK).map_err(|error| failed(error.into()))?;
        let file = open(executable, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        guard.update(file.map_err(|error| failed(error.into()))?).map_err(failed)?;
        journal::log(format_args!("{} takes over", executable.display()));
        self.end(Ending::Replaced);
        Ok(())
    }
}
