//! Messages to programs and from them: actions that they carry out, what is sent to them, and what they say.
//!
//! What programs say is passed on while somebody listens; what they tell of themselves is [`super::channel`]'s.

use super::channel::{Action, Answers, Errand};
use super::driver::Driver;
use super::life::{Key, input_path};
use super::server::Replies;
use baton_core::proto::{ActionAnswer, ActionRefusal, ProgramMessage, Refusal, Reply};
use baton_core::select::{SelectError, Selector};
use baton_core::spec::ExecMode;
use baton_core::units::InstanceId;
use baton_core::world::{Instance, Status};
use baton_node::told::{self, Teller};
use baton_os::clock;
use serde_json::Value;
use std::collections::BTreeMap;

/// The client, and how the slots that are to answer are called.
struct Client {
    replies: Replies,
    names: BTreeMap<InstanceId, (String, String)>,
}

impl Answers for Client {
    fn answer(&self, id: InstanceId, value: Option<Value>) {
        let (name, namespace) = self.names.get(&id).cloned().unwrap_or_default();
        self.replies.send(&Reply::Answered(ActionAnswer { id, name, namespace, value }));
    }

    fn is_open(&self) -> bool {
        self.replies.is_open()
    }
}

impl Driver {
    /// Has the programs that a word means, that run and that have the action, carry it out.
    pub(super) fn trigger(
        &self,
        target: &Selector,
        action: String,
        parameter: Option<&Value>,
        replies: Replies,
    ) -> Result<(), Refusal> {
        let refused = |refusal| Err(Refusal::Action(refusal));
        let ids = match target.resolve(&self.world) {
            Ok(ids) => ids,
            Err(SelectError::NoId(word)) => return refused(ActionRefusal::NoId(word)),
            Err(SelectError::NoName(_) | SelectError::Nothing) => Vec::new(),
            Err(error) => return Err(Refusal::Unknown(error)),
        };
        let slots: Vec<&Instance> = ids.iter().filter_map(|id| self.world.instances.get(id)).collect();
        let owner = |slot: &Instance| self.channels.told(slot.incarnation, |told| told.owner_of(&action)).flatten();
        let mut orders = Vec::new();
        let mut names = BTreeMap::new();
        let by_number = target.text.parse::<u32>().is_ok();
        for slot in &slots {
            let owner = match owner(slot) {
                Some(owner) if runs(slot) => owner,
                Some(_) if by_number => return refused(ActionRefusal::Offline(slot.id)),
                None if by_number => {
                    return refused(ActionRefusal::NoAction { action, app: slot.spec.name.clone() });
                }
                Some(_) | None => continue,
            };
            let named = if by_number { "id" } else { "name" };
            let message = match owner {
                Teller::Program => told::order(&action, parameter, (named, target.text.clone().into())),
                Teller::Module => told::module_order(&action, parameter),
            };
            names.insert(slot.id, (slot.spec.name.clone(), slot.spec.namespace.clone()));
            orders.push(Errand { key: (slot.id, slot.incarnation), message, own: owner == Teller::Module });
        }
        if orders.is_empty() {
            return refused(ActionRefusal::Nobody);
        }
        replies.send(&Reply::Triggered(orders.len()));
        let answers = Box::new(Client { replies, names });
        self.channels.act(Action { name: action, orders, answers });
        Ok(())
    }

    /// Sends a program a message.
    pub(super) fn send_message(&self, id: InstanceId, message: Value) -> Reply {
        let refused = |text: String| Reply::Refused(Refusal::System(text));
        let Some(slot) = self.world.instances.get(&id) else {
            return refused(format!("Process with ID <{id}> unknown."));
        };
        if !runs(slot) {
            return refused(format!("Process with ID <{id}> offline."));
        }
        let key = (id, slot.incarnation);
        if !self.lives.get(key).is_some_and(|life| life.has_channel) {
            return refused(format!("Process with ID <{id}> has no channel."));
        }
        self.channels.say(key, message);
        Reply::Done
    }

    /// Where the standard input of a program is written to.
    pub(super) fn input(&self, id: InstanceId) -> Reply {
        let refused = |text: String| Reply::Refused(Refusal::System(text));
        let Some(slot) = self.world.instances.get(&id) else {
            return refused(format!("Process with ID <{id}> unknown."));
        };
        if !runs(slot) {
            return refused(format!("Process with ID <{id}> offline."));
        }
        let path = input_path(&self.home, slot.incarnation);
        if path.exists() {
            return Reply::Input(path.display().to_string());
        }
        let name = &slot.spec.name;
        refused(match slot.spec.stdin {
            None if slot.spec.exec_mode == ExecMode::Cluster => "Cannot send line to processes in cluster mode".into(),
            None if !slot.spec.has_input() => format!("{name} is a job and reads nothing: `stdin: true` lets it"),
            Some(false) => format!("{name} reads nothing: its definition says `stdin: false`"),
            // An earlier version has started it.
            None | Some(true) => format!("{name} reads nothing yet: restart it"),
        })
    }

    /// A program has said something.
    pub(super) fn spoke(&self, (id, _): Key, message: Value, size: usize) {
        self.channels.passed_on(size);
        let Some(slot) = self.world.instances.get(&id) else { return };
        let (name, namespace) = (slot.spec.name.clone(), slot.spec.namespace.clone());
        self.connections.pass_on(ProgramMessage { id, name, namespace, at: clock::now().wall, message });
    }
}

fn runs(slot: &Instance) -> bool {
    matches!(Status::from(&slot.state), Status::Online | Status::Launching)
}
