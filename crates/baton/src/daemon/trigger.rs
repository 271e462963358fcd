//! `trigger`: programs carry out actions of their own, and what they return goes to who asked.

use super::channel::{Action, Answers, Errand};
use super::driver::Driver;
use super::server::Replies;
use baton_core::proto::{ActionAnswer, ActionRefusal, Refusal, Reply};
use baton_core::select::{SelectError, Selector};
use baton_core::units::InstanceId;
use baton_core::world::{Instance, Status};
use baton_node::told::{self, Teller};
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
        let runs = |slot: &Instance| matches!(Status::from(&slot.state), Status::Online | Status::Launching);
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
}
