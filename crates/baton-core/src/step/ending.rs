//! What is sent to a life that ends: the current one of a slot, or one beside it. `tree` says whether everything that
//! belongs to the life is meant, or its first process alone. It is asked of the state, not of the definition, which may
//! have changed since the end began.

use super::Effects;
use super::effect::{Effect, Scope};
use crate::spec::AppSpec;
use crate::units::{Incarnation, InstanceId};

/// Asks a life to end, in the way that its definition wants.
pub(super) fn ask(spec: &AppSpec, id: InstanceId, incarnation: Incarnation, tree: bool, effects: &mut Effects) {
    let (signal, scope) = (spec.stop_signal(), scope(tree));
    effects.push(if spec.shutdown_with_message {
        Effect::Farewell { id, incarnation, signal, scope }
    } else {
        Effect::Signal { id, incarnation, signal, scope }
    });
    await_tree(id, incarnation, tree, effects);
}

/// Asks what an ended leader has left to end, too.
pub(super) fn sweep(spec: &AppSpec, id: InstanceId, incarnation: Incarnation, tree: bool, effects: &mut Effects) {
    if tree {
        effects.push(Effect::Signal { id, incarnation, signal: spec.stop_signal(), scope: Scope::Tree });
    }
    await_tree(id, incarnation, tree, effects);
}

/// Ends what has not ended in time.
pub(super) fn kill(id: InstanceId, incarnation: Incarnation, tree: bool, effects: &mut Effects) {
    effects.push(Effect::Kill { id, incarnation, scope: scope(tree) });
}

/// Sends once more what was sent last: whoever sent it may have died before it could. A second signal is harmless,
/// none is not.
pub(super) fn again(
    spec: &AppSpec,
    id: InstanceId,
    incarnation: Incarnation,
    killed: bool,
    tree: bool,
    effects: &mut Effects,
) {
    if killed {
        kill(id, incarnation, tree, effects);
        await_tree(id, incarnation, tree, effects);
    } else {
        ask(spec, id, incarnation, tree, effects);
    }
}

fn await_tree(id: InstanceId, incarnation: Incarnation, tree: bool, effects: &mut Effects) {
    if tree {
        effects.push(Effect::AwaitTree { id, incarnation });
    }
}

fn scope(tree: bool) -> Scope {
    if tree { Scope::Tree } else { Scope::Leader }
}
