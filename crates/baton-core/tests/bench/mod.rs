//! What benches say to a world with one app: commands, and what comes of a process.

use baton_core::proto::{Action, Command, Order, Patch, Wait, Wish};
use baton_core::select::Selector;
use baton_core::spec::AppSpec;
use baton_core::step::Event;
use baton_core::units::{Incarnation, InstanceId};
use baton_core::world::{Exit, Identity};
use serde_json::Value;

/// The app is to be like this, with one instance.
pub(crate) fn defined(spec: AppSpec) -> Command {
    let apps = vec![Wish { spec, count: 1, brought: false }];
    Command::Define { apps, order: Order::Dependencies, wait: Wait::Spawned }
}

/// Something is to be done with the app of this name, and these keys are to have new values.
pub(crate) fn acted(action: Action, name: &str, patch: Value) -> Command {
    let patch = Patch { fields: serde_json::from_value(patch).expect("a map"), base_env: None };
    let targets = vec![Selector::new(name)];
    Command::Act { action, targets, patch, order: Order::Dependencies, wait: Wait::Spawned }
}

/// The process of a life.
pub(crate) fn leader(incarnation: Incarnation) -> Identity {
    Identity { pid: 100, start_time: incarnation.0, boot_id: "b".into() }
}

/// What was begun runs.
pub(crate) fn begun(id: InstanceId, incarnation: Incarnation) -> [Event; 2] {
    [Event::Prepared { id, incarnation, identity: leader(incarnation) }, Event::Spawned { id, incarnation }]
}

/// What runs ends, with everything that it had started.
pub(crate) fn over(id: InstanceId, incarnation: Incarnation, exit: Exit) -> [Event; 2] {
    [Event::Exited { id, incarnation, exit }, Event::TreeGone { id, incarnation }]
}
