//! Those who hear what a life writes.

use super::route::{Channel, StreamKey};
use baton_core::units::{Incarnation, InstanceId};
use std::collections::BTreeMap;

/// Is given all that a life writes, on the log thread, as it is taken out of the FIFOs; it must return at once, with
/// whether it wants more. Bytes that are dropped because a log can't be written are not heard.
pub type Ear = Box<dyn FnMut(Channel, &[u8]) -> bool + Send>;

/// All of them.
#[derive(Default)]
pub(super) struct Ears(BTreeMap<(InstanceId, Incarnation), Vec<Ear>>);

impl Ears {
    /// One more.
    pub(super) fn add(&mut self, id: InstanceId, incarnation: Incarnation, ear: Ear) {
        self.0.entry((id, incarnation)).or_default().push(ear);
    }

    /// Whether somebody listens to this stream.
    pub(super) fn listen_to(&self, key: &StreamKey) -> bool {
        self.0.contains_key(&(key.id, key.incarnation))
    }

    /// Gives them the next bytes of a stream.
    pub(super) fn hear(&mut self, key: &StreamKey, bytes: &[u8]) {
        let life = (key.id, key.incarnation);
        let Some(ears) = self.0.get_mut(&life).filter(|_| !bytes.is_empty()) else { return };
        ears.retain_mut(|ear| ear(key.channel, bytes));
        if ears.is_empty() {
            self.0.remove(&life);
        }
    }

    /// Nothing more will come from this life.
    pub(super) fn forget(&mut self, id: InstanceId, incarnation: Incarnation) {
        self.0.remove(&(id, incarnation));
    }
}
