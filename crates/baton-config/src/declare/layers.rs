//! Which part of a file gave which variables of an app: noted while they are put together.

use crate::env;
use crate::js::Trace;
use baton_core::spec::{Environment, Layer, Origin, merged};
use serde_json::{Map, Value};

/// The variables of an app as they stand now.
pub(super) fn variables(app: &Map<String, Value>) -> Environment {
    app.get("env").and_then(Value::as_object).map(env::variables).unwrap_or_default()
}

/// Notes that somebody's doing made these of the variables.
pub(crate) fn changed(layers: &mut Vec<Layer>, by: &Origin, now: &Environment) {
    let before = merged(layers);
    for layer in layers.iter_mut() {
        layer.env.retain(|name, _| now.contains_key(name));
    }
    let new: Environment = now
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(*value))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if !new.is_empty() {
        layers.push(Layer { origin: by.clone(), env: new });
    }
    layers.retain(|layer| !layer.env.is_empty());
}

/// The layers of an app that an export holds: where the helpers made it, they tell.
pub(super) fn of(app: &Map<String, Value>, traces: &[Trace]) -> Vec<Layer> {
    let mut layers = Vec::new();
    if let Some(trace) = find(app, traces) {
        layers.extend(trace.layers.iter().map(|(origin, env)| Layer { origin: origin.clone(), env: env.clone() }));
    }
    // What was changed after the helper is the file's own doing.
    changed(&mut layers, &Origin::App, &variables(app));
    layers
}

/// The layers of an app after the helpers have made of it what its kind and its unit mean: what it was given before
/// stays where the helper put it.
pub(super) fn expanded(app: &Map<String, Value>, traces: &[Trace], before: &[Layer]) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (origin, env) in find(app, traces).into_iter().flat_map(|trace| &trace.layers) {
        match origin {
            Origin::App => layers.extend(before.iter().cloned()),
            _ => layers.push(Layer { origin: origin.clone(), env: env.clone() }),
        }
    }
    changed(&mut layers, &Origin::App, &variables(app));
    layers
}

fn find<'t>(app: &Map<String, Value>, traces: &'t [Trace]) -> Option<&'t Trace> {
    let name = app.get("name").and_then(Value::as_str)?;
    traces.iter().find(|trace| trace.app == name)
}
