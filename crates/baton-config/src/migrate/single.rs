//! A process file of JavaScript whose apps repeat each other.

use super::{Left, Plan, Step, fold, is_js, proof, shown, source, text};
use crate::options::LoadOptions;
use std::path::{Path, PathBuf};

/// Shortens each file that is still open, where that takes off at least a quarter of its lines; says of the others why
/// they stay.
pub(super) fn look(open: &mut Vec<PathBuf>, options: &LoadOptions, plan: &mut Plan) {
    for path in open.drain(..) {
        match shorten(&path, options) {
            Ok(step) => plan.steps.push(step),
            Err(why) => plan.left.push((path, why)),
        }
    }
}

fn shorten(path: &Path, options: &LoadOptions) -> Result<Step, Left> {
    if !is_js(path) {
        return Err("is short enough, or in a format that has no names for what is repeated".into());
    }
    let source = source::read(path, options)?;
    let mut apps = source.apps.clone();
    let common = fold::common(&mut apps);
    let written = text::write(&source, &apps, &common, &source.beside)?;
    let lines = written.lines().filter(|line| !line.trim().is_empty()).count();
    if common.is_empty() || lines * 4 > source.lines * 3 {
        return Err("has nothing to shorten".into());
    }
    let texts = [(path.to_owned(), written.clone())].into();
    let count = proof::same(
        &proof::worlds(&source.variables, options),
        |options| proof::resolve(path, options),
        |options| proof::resolve_with(path, &texts, options),
    )?;
    let mut told = vec![format!("{}: {} lines become {lines}", shown(path, options), source.lines)];
    told.extend(common.lines());
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
