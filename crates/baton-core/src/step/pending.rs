//! When a request is done: each slot it touched has a goal, and the reply is sent when every goal is reached or can
//! no longer be.

use super::Effects;
use super::effect::Effect;
use super::rollout::{self, Rollout};
use super::sync::{self, Syncing};
use crate::proto::{Done, Outcome, Reply};
use crate::sync::is_stopped_by_hand;
use crate::units::{Incarnation, InstanceId, Instant, Millis, Now};
use crate::world::{Cause, Instance, State, Then, Wanted, World};
use std::collections::BTreeMap;

/// A request that waits.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// What is awaited of each slot: its app's name, the goal, and what to say when it is reached.
    pub goals: BTreeMap<InstanceId, (String, Goal, Done)>,
    /// What is known already.
    pub outcomes: Vec<Outcome>,
    /// When waiting ends.
    pub deadline: Option<Instant>,
    /// How long each turn of a reload may take, when it is waited for.
    pub patience: Option<Millis>,
    /// Whether the daemon ends when this is done.
    pub shutdown: bool,
    /// For a reload: what is left of it.
    pub rollout: Option<Rollout>,
    /// For one that follows a source: its plan.
    pub sync: Option<Box<Syncing>>,
}

/// What is awaited of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// An incarnation later than this one runs, or could not be started.
    Up(Incarnation),
    /// An incarnation later than this one is ready, or has failed before it was.
    Ready(Incarnation),
    /// This candidate has the slot, is ready, and its predecessor has ended; or it has failed.
    Replaced(Incarnation),
    /// It is a job whose times count.
    Armed,
    /// Nothing runs.
    Down,
    /// The slot is gone.
    Gone,
}

/// Decides every goal that can be decided and lets reloads go on; true when that began something.
pub(super) fn advance(world: &mut World, now: Now, effects: &mut Effects) -> bool {
    let mut pending = std::mem::take(&mut world.pending);
    let mut begun = false;
    for request in pending.values_mut() {
        begun |= look(world, now, request, effects);
    }
    world.pending = pending;
    begun
}

/// Answers every request of which nothing is left.
pub(super) fn answer(world: &mut World, effects: &mut Effects) {
    let mut synced = Vec::new();
    world.pending.retain(|op, request| {
        if !request.goals.is_empty() || request.rollout.as_ref().is_some_and(|rollout| !rollout.queue.is_empty()) {
            return true;
        }
        let outcomes = &mut request.outcomes;
        outcomes.sort_by_key(|outcome| outcome.id);
        // The end is begun before it is told, so that a daemon that dies in between has no successor.
        if request.shutdown {
            effects.push(Effect::Shutdown);
        }
        let outcomes = std::mem::take(outcomes);
        match request.sync.take() {
            Some(syncing) => synced.push((*op, *syncing, outcomes)),
            None => effects.push(Effect::Reply { op: *op, reply: Reply::Outcomes(outcomes) }),
        }
        false
    });
    for (op, syncing, outcomes) in synced {
        sync::finish(world, op, syncing, outcomes, effects);
    }
}

/// Decides what can be decided of a request, and lets a reload go on; true when that began something.
fn look(world: &mut World, now: Now, request: &mut Pending, effects: &mut Effects) -> bool {
    let late = request.deadline.is_some_and(|deadline| deadline <= now.instant);
    let (outcomes, follows_source) = (&mut request.outcomes, request.sync.is_some());
    request.goals.retain(|id, (name, goal, done)| {
        let slot = world.instances.get(id);
        let decided = match decide(slot, *goal) {
            Decision::Reached => done.clone(),
            // What somebody wants of it meanwhile is no failure of the source's.
            Decision::Failed(_) if follows_source && slot.is_some_and(is_stopped_by_hand) => Done::Stopped,
            Decision::Failed(why) => Done::Failed(why),
            Decision::Open if late => Done::Failed(late_text(slot)),
            Decision::Open => return true,
        };
        outcomes.push(Outcome { id: *id, name: name.clone(), done: decided });
        false
    });
    let left = request.rollout.as_ref().map_or(0, |rollout| rollout.queue.len());
    rollout::advance(world, now, request, effects);
    left != request.rollout.as_ref().map_or(0, |rollout| rollout.queue.len())
}

/// What is said of a slot that is not ready in time.
fn late_text(instance: Option<&Instance>) -> String {
    match instance.map(|instance| &instance.state) {
        Some(State::Waiting { for_, .. }) => {
            let names: Vec<String> = for_.iter().map(ToString::to_string).collect();
            format!("was not ready in time: it waits for {}", names.join(", "))
        }
        Some(
            State::Stopped { .. }
            | State::Idle { .. }
            | State::Starting { .. }
            | State::Unready { .. }
            | State::Online { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Errored { .. },
        )
        | None => "was not ready in time".into(),
    }
}

/// Why a candidate did not take the slot, for people.
fn refusal(why: &Cause) -> String {
    let how = match why {
        Cause::Exited(exit) => format!("{exit} before it was ready"),
        why => why.to_string(),
    };
    format!("the new version {how}; the old one still runs")
}

enum Decision {
    Open,
    Reached,
    Failed(String),
}

/// Why a slot waits that could not be begun.
fn shortage(instance: &Instance) -> Option<String> {
    match (&instance.state, instance.last_transition().map(|last| &last.cause)) {
        (State::Backoff { .. }, Some(Cause::SpawnFailed(error))) => {
            Some(format!("{}; it is tried again by itself", error.message))
        }
        _ => None,
    }
}

fn decide(instance: Option<&Instance>, goal: Goal) -> Decision {
    let Some(instance) = instance else {
        return match goal {
            Goal::Gone | Goal::Down => Decision::Reached,
            Goal::Up(_) | Goal::Ready(_) | Goal::Replaced(_) | Goal::Armed => {
                Decision::Failed("was deleted meanwhile".into())
            }
        };
    };
    match goal {
        Goal::Gone => match instance.state.wanted() {
            Wanted::Gone => Decision::Open,
            Wanted::Up | Wanted::Down | Wanted::Failed => Decision::Failed("is still wanted".into()),
        },
        Goal::Armed => match instance.state.wanted() {
            Wanted::Up => Decision::Reached,
            Wanted::Down | Wanted::Gone | Wanted::Failed => Decision::Failed("was stopped meanwhile".into()),
        },
        Goal::Down => match &instance.state {
            State::Stopped { .. } | State::Errored { .. } => Decision::Reached,
            State::Stopping { then: Then::Stop(_) | Then::GiveUp(_) | Then::Remove, .. } => Decision::Open,
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Unready { .. }
            | State::Online { .. }
            | State::Backoff { .. }
            | State::Stopping { .. } => Decision::Failed("was started again meanwhile".into()),
        },
        Goal::Up(after) | Goal::Ready(after) if instance.incarnation <= after => {
            match (instance.state.wanted(), &instance.state) {
                // Its run came to nothing before there was a process of it.
                (Wanted::Up, State::Idle { why: Cause::Operator(_) }) => Decision::Reached,
                (Wanted::Up, State::Idle { why }) => Decision::Failed(why.to_string()),
                (Wanted::Up, _) => Decision::Open,
                (Wanted::Failed, State::Errored { why }) if why.is_dependency() => Decision::Failed(why.to_string()),
                (Wanted::Down | Wanted::Gone | Wanted::Failed, _) => Decision::Failed("was stopped meanwhile".into()),
            }
        }
        Goal::Up(_) => match &instance.state {
            State::Waiting { .. } | State::Starting { .. } => Decision::Open,
            // PM2 answers when `ready` has come, or is late.
            State::Unready { .. } if instance.spec.wait_ready => Decision::Open,
            State::Errored { why: Cause::SpawnFailed(error) } | State::Idle { why: Cause::SpawnFailed(error) } => {
                Decision::Failed(error.message.clone())
            }
            State::Errored { why } if why.is_dependency() => Decision::Failed(why.to_string()),
            State::Backoff { .. } => shortage(instance).map_or(Decision::Reached, Decision::Failed),
            // It ran, whatever came of it.
            State::Unready { .. }
            | State::Online { .. }
            | State::Stopping { .. }
            | State::Stopped { .. }
            | State::Idle { .. }
            | State::Errored { .. } => Decision::Reached,
        },
        Goal::Replaced(candidate) if instance.incarnation < candidate => match &instance.refused {
            // Told when nothing is left of it.
            _ if instance.beside.iter().any(|beside| beside.incarnation == candidate) => Decision::Open,
            Some((refused, why)) if *refused == candidate => Decision::Failed(refusal(why)),
            Some(_) | None => Decision::Failed("was stopped or started again meanwhile".into()),
        },
        Goal::Replaced(_) if !instance.beside.is_empty() => Decision::Open,
        Goal::Ready(_) | Goal::Replaced(_) => match &instance.state {
            State::Online { ready: true, .. } => Decision::Reached,
            State::Waiting { .. }
            | State::Starting { .. }
            | State::Unready { .. }
            | State::Online { ready: false, .. } => Decision::Open,
            State::Errored { why: Cause::SpawnFailed(error) } => Decision::Failed(error.message.clone()),
            State::Errored { why } if why.is_dependency() => Decision::Failed(why.to_string()),
            // A one-shot that has done its work is as ready as it can be.
            State::Stopped { why } if instance.spec.oneshot && why.is_success() => Decision::Reached,
            State::Stopping { then: Then::Stop(why), .. } if instance.spec.oneshot && why.is_success() => {
                Decision::Open
            }
            // A run that is over was as ready as it could be.
            State::Idle { why } if why.is_success() => Decision::Reached,
            State::Stopping { then: Then::Rest(why), .. } if why.is_success() => Decision::Open,
            State::Stopping { .. }
            | State::Stopped { .. }
            | State::Idle { .. }
            | State::Backoff { .. }
            | State::Errored { .. } => {
                if let Some(error) = shortage(instance) {
                    return Decision::Failed(error);
                }
                if let Some(late @ Cause::NotReady(_)) = instance.last_transition().map(|last| &last.cause) {
                    return Decision::Failed(late.to_string());
                }
                let how = instance.last_exit.map_or_else(|| "was stopped".into(), |exit| exit.to_string());
                Decision::Failed(format!("{how} before it was ready"))
            }
        },
    }
}
