//! What the last pass made of each app of a source.

use super::{Desired, Origin};
use crate::proto::Wish;
use crate::spec::{AppSpec, Environment, SpecHash};
use crate::world::{Instance, World};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a source said of its apps when they were last made so, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Baseline {
    /// How it was read.
    pub origin: Origin,
    /// The apps.
    pub apps: BTreeMap<String, Applied>,
}

/// What was made of one app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The definition.
    pub hash: SpecHash,
    /// How many instances.
    pub count: u32,
    /// Fingerprint of the environment of the shell that it was given.
    pub shell: String,
    /// Fingerprint of what its files of variables held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variables: Option<String>,
    /// Whether a pass is changing the app, or was when its daemon died.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changing: bool,
}

/// What the last pass of a source made of an app; nothing of one that belongs to another source by now.
pub(crate) fn applied_to<'w>(world: &'w World, source: &str, app: &str) -> Option<&'w Applied> {
    let applied = world.synced.get(source)?.apps.get(app)?;
    let is_anothers = |slot: &Instance| slot.owner.as_deref().is_some_and(|owner| owner != source);
    (!world.named(app).any(is_anothers)).then_some(applied)
}

impl Applied {
    /// What applying this wish comes to, in a slot whose shell has this fingerprint.
    pub(crate) fn of(wish: &Wish, desired: &Desired, shell: String) -> Applied {
        let variables = desired.variables.get(&wish.spec.name).cloned();
        Applied { hash: wish.spec.hash(), count: wish.count, shell, variables, changing: false }
    }

    /// Whether the source said the same then as it says now.
    pub(crate) fn is_same_wish(&self, wish: &Wish, desired: &Desired) -> bool {
        self.count == wish.count && self.is_same_definition(wish, desired)
    }

    /// Whether it said the same but for the number of instances.
    pub(crate) fn is_same_definition(&self, wish: &Wish, desired: &Desired) -> bool {
        self.has_variables(wish, desired) && self.hash == wish.spec.hash()
    }

    /// Whether this is the definition that was applied.
    pub(crate) fn is_of(&self, spec: &AppSpec) -> bool {
        self.hash == spec.hash()
    }

    /// Whether the files of variables held the same.
    pub(crate) fn has_variables(&self, wish: &Wish, desired: &Desired) -> bool {
        self.variables.as_ref() == desired.variables.get(&wish.spec.name)
    }
}

/// A fingerprint of an environment: its values can't be read from it.
pub fn digest(environment: &Environment) -> String {
    let mut hasher = Sha256::new();
    for (name, value) in environment {
        for text in [name, value] {
            hasher.update(text.len().to_le_bytes());
            hasher.update(text);
        }
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
