//! What is to be done so that the list becomes what a source says.

use super::applied::applied_to;
use super::applied::{Applied, digest};
use super::desired::{Desired, DriftRule, Scope};
use super::fields::{between, needs_restart};
use crate::proto::Wish;
use crate::spec::{AppSpec, Change, ChangeClass};
use crate::world::{Cause, Instance, State, Then, Verb, Wanted, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// What is to be done, an app a step: those of the source in the order of its files, then those that it does not have
/// any more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The source.
    pub source: String,
    /// The steps.
    pub steps: Vec<Step>,
    /// Why it is not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<SyncError>,
}

/// What is to be done with one app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub app: String,
    /// What.
    pub deed: Deed,
    /// What differs in its definition.
    #[serde(default)]
    pub fields: Vec<Change>,
    /// How many instances there are.
    pub have: u32,
    /// How many there are to be.
    pub want: u32,
    /// What was changed by hand and is left so, or, where the deed is not to keep it, is undone.
    #[serde(default)]
    pub drift: Vec<Drift>,
    /// It was stopped by hand: it gets its definition and stays down.
    #[serde(default)]
    pub stays_down: bool,
    /// It was not the source's, and is from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
    /// Why what runs stays as it is all the same: what would come in its place can't be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Whose an app was that a source takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// No source's: somebody has started it by hand.
    FromNobody,
    /// Another source's.
    From(String),
}

/// What is done with an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// It is new.
    Create,
    /// Its instances get the new definition and run again, one after the other.
    Restart,
    /// It gets the new definition; its processes stay.
    Live,
    /// Instances come or go.
    Scale,
    /// It is as it should be, but down, and nobody wants it so.
    Start,
    /// It takes the place of an app that is the same but for its name, which ends first.
    Rename {
        /// The other's name.
        from: String,
    },
    /// The source does not have it any more.
    Remove,
    /// The same, but it stays: removals were not asked for.
    Orphan,
    /// Nothing.
    Keep,
}

/// What was changed by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drift {
    /// It was stopped.
    Stopped,
    /// It was deleted.
    Deleted,
    /// It was scaled.
    Scaled,
    /// It got the environment of another shell (`restart --update-env`).
    Shell,
    /// Its definition was changed: these keys, where they are known.
    Fields(Vec<String>),
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Drift::Stopped => f.write_str("stopped by operator"),
            Drift::Deleted => f.write_str("deleted by operator"),
            Drift::Scaled => f.write_str("scaled by operator"),
            Drift::Shell => f.write_str("environment of the shell updated by operator"),
            Drift::Fields(keys) if keys.is_empty() => f.write_str("definition changed by operator"),
            Drift::Fields(keys) => write!(f, "changed by operator: {}", keys.join(", ")),
        }
    }
}

/// Why a source can't be made the truth.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncError {
    /// More than half would go.
    #[error(
        "{removed} of the {owned} apps of {source_name} would be removed, which is more than half: nothing was done; --force does it"
    )]
    TooMany {
        /// The source.
        source_name: String,
        /// How many would go.
        removed: usize,
        /// How many there are.
        owned: usize,
    },
    /// The source has no apps, and had some.
    #[error(
        "{source_name} defines no apps, and {owned} of its apps are in the list: nothing was done; --prune --force removes them"
    )]
    Empty {
        /// The source.
        source_name: String,
        /// How many are in the list.
        owned: usize,
    },
    /// Others would go than those that somebody has agreed to.
    #[error("meanwhile {} would be removed, too: nothing was done; run it again", .0.join(", "))]
    NotAgreed(Vec<String>),
    /// An app belongs to another source.
    #[error("app `{app}` belongs to {owner}: nothing was done; --force takes it over")]
    Owned {
        /// The app.
        app: String,
        /// The other source.
        owner: String,
    },
}

impl Plan {
    /// Whether anything is to be done.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(Step::is_nothing)
    }

    /// The names of the apps that are to be removed.
    pub fn removed(&self) -> Vec<&str> {
        let removed = self.steps.iter().filter(|step| step.deed == Deed::Remove);
        removed.map(|step| step.app.as_str()).collect()
    }

    /// What is wrong when somebody has agreed to the removal of these apps, and of no others.
    pub(crate) fn not_agreed(&self, agreed: &[String]) -> Option<SyncError> {
        let others = self.removed().into_iter().filter(|app| !agreed.iter().any(|known| known == app));
        let others: Vec<String> = others.map(str::to_owned).collect();
        (!others.is_empty()).then_some(SyncError::NotAgreed(others))
    }
}

/// The plan for this world.
///
/// # Errors
/// When the plan would do what needs to be asked for with more emphasis: see [`SyncError`].
pub fn plan(world: &World, desired: &Desired) -> Result<Plan, SyncError> {
    let mut present: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for slot in world.instances.values().filter(|slot| slot.state.wanted() != Wanted::Gone) {
        present.entry(&slot.spec.name).or_default().push(slot);
    }
    let source = Some(desired.source.as_str());
    let owned: BTreeSet<&str> = present
        .iter()
        .filter(|(_, slots)| slots.iter().any(|slot| slot.owner.as_deref() == source))
        .map(|(name, _)| *name)
        .collect();
    let is_empty = desired.empty || (desired.apps.is_empty() && desired.scope == Scope::Whole);
    if is_empty && !owned.is_empty() && !(desired.prune && desired.force) {
        return Err(SyncError::Empty { source_name: desired.source.clone(), owned: owned.len() });
    }
    let mut steps = Vec::new();
    for wish in &desired.apps {
        let slots = present.get(wish.spec.name.as_str()).map_or(&[][..], Vec::as_slice);
        let owner = slots.iter().find_map(|slot| slot.owner.as_deref());
        let foreign = owner.filter(|owner| Some(*owner) != source);
        // What comes along for others is left as it is where it is in the list, unless it is the source's own.
        let is_left = wish.brought && !slots.is_empty() && (owner != source || desired.scope == Scope::Some);
        if is_left {
            steps.push(Step::kept(&wish.spec.name, slots.len()));
            continue;
        }
        if let Some(owner) = foreign.filter(|_| !desired.force) {
            return Err(SyncError::Owned { app: wish.spec.name.clone(), owner: owner.into() });
        }
        let mut step = one(world, desired, wish, slots);
        step.refuse(desired, slots);
        let is_own = owned.contains(wish.spec.name.as_str());
        if !slots.is_empty() && !is_own && step.refused.is_none() {
            step.taken = Some(foreign.map_or(Taken::FromNobody, |owner| Taken::From(owner.into())));
        }
        steps.push(step);
    }
    let left = match desired.scope {
        // Those that were named and that the source does not have any more.
        Scope::Some => desired.gone.iter().map(String::as_str).filter(|name| owned.contains(name)).collect(),
        Scope::Whole => {
            let wished: BTreeSet<&str> = desired.apps.iter().map(|wish| wish.spec.name.as_str()).collect();
            let mut left: Vec<&str> = owned.difference(&wished).copied().collect();
            rename(&mut steps, &mut left, desired, &present);
            left
        }
    };
    // Whichever of its apps were chosen: a source that has lost most of them is more likely broken.
    let refusal = (desired.prune && !desired.force && left.len() * 2 > owned.len()).then(|| SyncError::TooMany {
        source_name: desired.source.clone(),
        removed: left.len(),
        owned: owned.len(),
    });
    let deed = if desired.prune { Deed::Remove } else { Deed::Orphan };
    steps.extend(left.into_iter().map(|name| {
        let have = present.get(name).map_or(0, Vec::len);
        Step { deed: deed.clone(), want: 0, ..Step::kept(name, have) }
    }));
    Ok(Plan { source: desired.source.clone(), steps, refusal })
}

impl Step {
    /// Whether there is nothing to do.
    pub fn is_nothing(&self) -> bool {
        matches!(self.deed, Deed::Keep | Deed::Orphan) && self.taken.is_none()
    }

    /// The name of the app before the step.
    pub fn runs_as(&self) -> &str {
        match &self.deed {
            Deed::Rename { from } => from,
            _ => &self.app,
        }
    }

    fn kept(app: &str, have: usize) -> Step {
        let have = u32::try_from(have).unwrap_or(u32::MAX);
        Step {
            app: app.into(),
            deed: Deed::Keep,
            fields: Vec::new(),
            have,
            want: have,
            drift: Vec::new(),
            stays_down: false,
            taken: None,
            refused: None,
        }
    }

    /// Notes that its new definition can't be run, when something runs that would end for it.
    fn refuse(&mut self, desired: &Desired, slots: &[&Instance]) {
        let runs = |slot: &&Instance| !matches!(slot.state, State::Stopped { .. } | State::Errored { .. });
        if matches!(self.deed, Deed::Restart | Deed::Rename { .. }) && slots.iter().any(runs) {
            self.refused = desired.unrunnable.get(&self.app).cloned();
        }
    }
}

/// What is to be done with one app of the source.
fn one(world: &World, desired: &Desired, wish: &Wish, slots: &[&Instance]) -> Step {
    let name = wish.spec.name.as_str();
    let before = applied_to(world, &desired.source, name);
    let step = Step { want: wish.count, ..Step::kept(name, slots.len()) };
    let is_same_wish = before.is_some_and(|before| before.is_same_wish(wish, desired));
    let reset = desired.drift == DriftRule::Reset;
    if slots.is_empty() {
        return match desired.drift {
            DriftRule::LeaveAll if is_same_wish && wish.count > 0 => Step { drift: vec![Drift::Deleted], ..step },
            _ if wish.count == 0 => step,
            _ if before.is_some() => Step { deed: Deed::Create, drift: vec![Drift::Deleted], ..step },
            _ => Step { deed: Deed::Create, ..step },
        };
    }
    let mut fields = difference(slots, &wish.spec);
    let mut drift = by_hand(before, is_same_wish, &fields, step.have != step.want, slots);
    let stays_down = !reset && slots.iter().all(|slot| is_held_down(slot));
    let was_applied = before.is_some_and(|before| before.is_same_definition(wish, desired));
    let left_down = slots.iter().any(|slot| is_left_down(world, slot, was_applied));
    let differs = !fields.is_empty() || step.have != step.want;
    if before.is_some_and(|before| !before.has_variables(wish, desired)) {
        fields.push(variables());
    }
    if reset && drift.contains(&Drift::Shell) {
        fields.push(Change { field: "shell".into(), class: ChangeClass::Restart, old: Value::Null, new: Value::Null });
    }
    // The source says what it said before: whatever differs was changed by hand.
    let deed = if is_same_wish && differs && !reset {
        fields.clear();
        if left_down { Deed::Start } else { Deed::Keep }
    } else if needs_restart(&fields) {
        Deed::Restart
    } else if step.have != step.want && fields.iter().all(|change| change.field == "instances") {
        fields.clear();
        Deed::Scale
    } else if !fields.is_empty() {
        Deed::Live
    } else if left_down || (reset && drift.contains(&Drift::Stopped)) {
        Deed::Start
    } else {
        Deed::Keep
    };
    if deed != Deed::Keep && !reset && !is_same_wish {
        // The new definition is applied as a whole.
        drift.retain(|drift| *drift == Drift::Stopped || (*drift == Drift::Shell && deed != Deed::Restart));
    }
    Step { deed, fields, drift, stays_down, ..step }
}

/// A change of what the files of variables hold; their values are not kept, and so can't be told.
fn variables() -> Change {
    let text = |text: &str| Value::from(text);
    Change { field: "env_file".into(), class: ChangeClass::Restart, old: text("as read before"), new: text("edited") }
}

/// What differs from the wish in any of these slots.
fn difference(slots: &[&Instance], wished: &AppSpec) -> Vec<Change> {
    let mut seen: Vec<&Arc<AppSpec>> = Vec::new();
    let mut fields: Vec<Change> = Vec::new();
    for slot in slots {
        // Mostly all slots of an app have the very same definition.
        if seen.iter().any(|known| Arc::ptr_eq(known, &slot.spec)) {
            continue;
        }
        seen.push(&slot.spec);
        for change in between(&slot.spec, wished) {
            if !fields.iter().any(|known| known.field == change.field) {
                fields.push(change);
            }
        }
    }
    fields
}

/// What was changed by hand since the last pass.
fn by_hand(
    before: Option<&Applied>,
    is_same_wish: bool,
    fields: &[Change],
    scaled: bool,
    slots: &[&Instance],
) -> Vec<Drift> {
    let Some(before) = before else { return Vec::new() };
    let mut drift = Vec::new();
    if slots.iter().any(|slot| is_stopped_by_hand(slot)) {
        drift.push(Drift::Stopped);
    }
    if is_same_wish && scaled {
        drift.push(Drift::Scaled);
    }
    if slots.iter().any(|slot| digest(&slot.spec.base_env) != before.shell) {
        drift.push(Drift::Shell);
    }
    if is_same_wish && !fields.is_empty() {
        drift.push(Drift::Fields(fields.iter().map(|change| change.field.clone()).collect()));
    }
    drift
}

pub(crate) fn is_stopped_by_hand(slot: &Instance) -> bool {
    match &slot.state {
        State::Stopped { why } | State::Stopping { then: Then::Stop(why), .. } => *why == Cause::Operator(Verb::Stop),
        _ => false,
    }
}

/// Whether a slot is down because somebody wants it so: a new definition does not start it.
pub(crate) fn is_held_down(slot: &Instance) -> bool {
    is_stopped_by_hand(slot) || matches!(&slot.state, State::Stopped { why: Cause::NotAutostarted })
}

/// Whether a slot that has its definition is down and a pass is to start it: the machine was started anew, its turn has
/// failed, or something that it needs had failed. What crashed after it was applied is no business of the source's.
pub(crate) fn is_left_down(world: &World, slot: &Instance, was_applied: bool) -> bool {
    match &slot.state {
        State::Stopped { why: Cause::Reboot } => true,
        State::Stopped { why: Cause::Exited(exit) } => !was_applied && !exit.is_success(),
        // Starting it would start what it needs.
        State::Errored { why: Cause::DependencyDown(on, _) } => !world.named(on).any(is_held_down),
        State::Errored { why } => !was_applied || why.is_dependency(),
        State::Stopped { .. }
        | State::Idle { .. }
        | State::Waiting { .. }
        | State::Starting { .. }
        | State::Unready { .. }
        | State::Online { .. }
        | State::Stopping { .. }
        | State::Backoff { .. } => false,
    }
}

/// New apps that are one of those that are left but for the name take its place. What runs the same script with the
/// same arguments in the same directory could not run beside it.
fn rename(steps: &mut [Step], left: &mut Vec<&str>, desired: &Desired, present: &BTreeMap<&str, Vec<&Instance>>) {
    let specs: BTreeMap<&str, &AppSpec> =
        desired.apps.iter().filter(|wish| !wish.brought).map(|wish| (wish.spec.name.as_str(), &wish.spec)).collect();
    let mut fresh: Vec<&AppSpec> = steps
        .iter()
        .filter(|step| step.deed == Deed::Create)
        .filter_map(|step| specs.get(step.app.as_str()).copied())
        .collect();
    let spec = |name: &str| present.get(name).and_then(|slots| slots.first()).map(|slot| &*slot.spec);
    // The closest likeness first, so that of several that run the same the right ones meet.
    for is_like in [is_equal, runs_the_same, is_same_program] {
        let like = |old: &str, new: &AppSpec| spec(old).is_some_and(|old| is_like(old, new));
        let mut pairs: Vec<(&str, &AppSpec)> = Vec::new();
        for new in &fresh {
            let olds: Vec<&str> = left.iter().copied().filter(|old| like(old, new)).collect();
            // Which of several it became can't be told.
            let [old] = olds[..] else { continue };
            if fresh.iter().filter(|other| like(old, other)).count() == 1 {
                pairs.push((old, new));
            }
        }
        for (old, new) in pairs {
            let slots = present.get(old).map_or(&[][..], Vec::as_slice);
            if let Some(step) = steps.iter_mut().find(|step| step.app == new.name) {
                step.deed = Deed::Rename { from: old.into() };
                step.fields = difference(slots, new);
                step.have = u32::try_from(slots.len()).unwrap_or(u32::MAX);
                step.stays_down = slots.iter().all(|slot| is_held_down(slot));
                step.refuse(desired, slots);
            }
            left.retain(|name| *name != old);
            fresh.retain(|other| other.name != new.name);
        }
    }
}

fn is_equal(old: &AppSpec, new: &AppSpec) -> bool {
    runs_the_same(old, new) && old.env == new.env
}

fn runs_the_same(old: &AppSpec, new: &AppSpec) -> bool {
    (&old.script, &old.args, &old.cwd) == (&new.script, &new.args, &new.cwd)
}

/// Whether both run a program of the app's own. Two that run a program of the machine, such as `npm`, with other words are
/// two apps: the old one would end though nobody asked for that.
fn is_same_program(old: &AppSpec, new: &AppSpec) -> bool {
    let own = !["", "/"].contains(&&*new.cwd) && Path::new(&new.script).starts_with(&new.cwd);
    own && (&old.script, &old.cwd) == (&new.script, &new.cwd)
}
