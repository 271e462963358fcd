//! Effects carried out, and what comes of them. One file a kind.

mod exits;
mod health;
mod processes;
mod readiness;
mod release;

use super::driver::{Driver, Ending};
use super::storage::StateFile;
use baton_core::step::Effect;

impl Driver {
    /// Carries one effect out.
    pub(in crate::daemon) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { id, incarnation } => self.spawn((id, incarnation)),
            Effect::Go { id, incarnation } => self.go((id, incarnation)),
            Effect::Abort { id, incarnation } => self.call_off((id, incarnation)),
            Effect::Signal { id, incarnation, signal, scope } => self.signal((id, incarnation), signal, scope),
            Effect::Farewell { id, incarnation, signal, scope } => self.farewell((id, incarnation), signal, scope),
            Effect::AwaitReady { id, incarnation } => self.await_ready((id, incarnation)),
            Effect::Hear { id, incarnation, pattern } => self.hear((id, incarnation), &pattern),
            Effect::Examine { id, incarnation } => self.examine((id, incarnation)),
            Effect::Drain { id, incarnation } => self.drain((id, incarnation)),
            Effect::AwaitTree { id, incarnation } => self.await_tree((id, incarnation)),
            Effect::Kill { id, incarnation, scope } => self.kill((id, incarnation), scope),
            Effect::Probe { external, id } => {
                let slot = self.world.instances.get(&id);
                let env = slot.map(|slot| slot.spec.base_env.clone()).unwrap_or_default();
                self.prober.begin(external, env);
            }
            Effect::StopProbe { external } => self.prober.end(&external),
            Effect::Release { id, incarnation } => self.release((id, incarnation)),
            Effect::Forget { id } => {
                // The state that lacks the slot is the one that the next wish asks for.
                self.forgotten.insert(id, self.writer.wished() + 1);
            }
            Effect::Call { hook, report } => self.call_hook(*hook, *report),
            Effect::Persist => {
                let (world, boot_id) = (&self.world, &self.boot_id);
                self.writer.wish(|| StateFile::of(world, boot_id));
            }
            Effect::Reply { op, reply } => {
                if self.writer.done() >= self.writer.wished() && !self.closes() {
                    self.reply(op, &reply);
                } else {
                    self.held_replies.push_back((self.writer.wished(), op, reply));
                }
            }
            Effect::Publish(update) => {
                self.bus.tell(&update.change);
                self.connections.publish(&update);
            }
            Effect::Shutdown => self.end(Ending::Stop),
        }
    }
}
