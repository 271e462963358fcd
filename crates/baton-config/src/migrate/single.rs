//! A process file whose apps repeat each other.

use super::fold::Common;
use super::{Left, Plan, Step, fold, is_js, proof, shown, source, text};
use crate::options::LoadOptions;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Shortens each file that is still open, where that takes off at least a quarter of its lines, or of data a twentieth;
/// says of the others why they stay.
pub(super) fn look(open: &mut Vec<PathBuf>, options: &LoadOptions, plan: &mut Plan) {
    for path in open.drain(..) {
        match shorten(&path, options) {
            Ok(step) => plan.steps.push(step),
            Err(why) => plan.left.push((path, why)),
        }
    }
}

fn shorten(path: &Path, options: &LoadOptions) -> Result<Step, Left> {
    let source = source::read(path, options)?;
    let (mut apps, mut beside) = (source.apps.clone(), source.beside.clone());
    let units = if beside.contains_key("units") { Map::new() } else { fold::units(&mut apps) };
    let mut told: Vec<String> = units
        .iter()
        .map(|(unit, said)| {
            let env = said["env"].as_object().into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>();
            format!("  the apps of {unit} become the unit `{unit}`, which says once: {}", env.join(", "))
        })
        .collect();
    if !units.is_empty() {
        beside.insert("units".into(), Value::Object(units));
    }
    // Data has no names for what is repeated.
    let common = if is_js(path) { fold::common(&mut apps) } else { Common::default() };
    told.extend(common.lines());
    let written = text::write(&source, &apps, &common, &beside)?;
    let lines = written.lines().filter(|line| !line.trim().is_empty()).count();
    let is_shorter = match is_js(path) {
        true => lines * 4 <= source.lines * 3,
        // How it is laid out says nothing.
        false => length(&apps, &beside) * 20 <= length(&source.apps, &source.beside) * 19,
    };
    if told.is_empty() || !is_shorter {
        return Err(match is_js(path) {
            true => "has nothing to shorten".into(),
            false => "is short enough, or in a format that has no names for what is repeated".into(),
        });
    }
    let texts = [(path.to_owned(), written.clone())].into();
    let count = proof::same(
        &proof::worlds(&source.variables, options),
        |options| proof::resolve(path, options),
        |options| proof::resolve_with(path, &texts, options),
    )?;
    told.insert(0, format!("{}: {} lines become {lines}", shown(path, options), source.lines));
    if source.has_comments {
        told.push("  comments inside the file stay in the backup only".into());
    }
    Ok(Step {
        lines: told,
        writes: vec![(path.into(), written)],
        removes: Vec::new(),
        proof: format!("{count} resolved apps are equal before and after"),
    })
}

/// How much there is to say, in bytes.
fn length(apps: &[Map<String, Value>], beside: &Map<String, Value>) -> usize {
    json!([apps, beside]).to_string().len()
}
