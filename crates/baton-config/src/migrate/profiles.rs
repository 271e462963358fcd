//! Near-equal copies of a process file (development, with a proxy, production) as `profiles` of one.

use super::fold::{self, Common};
use super::source::{self, Source};
use super::{Left, Plan, Step, extension, file_name, is_js, proof, shown, text};
use crate::options::LoadOptions;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files that may name a process file, so that whoever turns it should change them.
const READERS: &[&str] = &["package.json", "Makefile", "Procfile", "README.md", "Dockerfile", "Justfile", "justfile"];

/// Folds the variants of each `ecosystem.config.*` that is still open.
pub(super) fn look(open: &mut Vec<PathBuf>, options: &LoadOptions, plan: &mut Plan) {
    let bases: Vec<PathBuf> =
        open.iter().filter(|path| variant_name(path).is_some_and(str::is_empty)).cloned().collect();
    for base in bases {
        let mut variants: Vec<(String, PathBuf)> = Vec::new();
        for path in open.iter().filter(|path| path.parent() == base.parent() && **path != base && like(path, &base)) {
            if let Some(name) = variant_name(path).filter(|name| !name.is_empty()) {
                variants.push((name.to_owned(), path.clone()));
            }
        }
        if variants.is_empty() {
            continue;
        }
        match fold(&base, variants, options, &mut plan.left) {
            Ok(Some(step)) => {
                open.retain(|path| !step.removes.contains(path) && *path != base);
                plan.steps.push(step);
            }
            Ok(None) => {}
            Err(why) => {
                open.retain(|path| *path != base);
                plan.left.push((base, why));
            }
        }
        let told: Vec<PathBuf> = plan.left.iter().map(|(path, _)| path.clone()).collect();
        open.retain(|path| !told.contains(path));
    }
}

/// Whether two files are of one kind, so that the text of one can hold what the other says.
fn like(a: &Path, b: &Path) -> bool {
    is_js(a) && is_js(b) || extension(a) == extension(b) && !["edn", "clj", "cljs"].contains(&extension(a))
}

/// What a name says its file is for: empty for the file that is taken without a word.
fn variant_name(path: &Path) -> Option<&str> {
    let stem = file_name(path).rsplit_once('.')?.0;
    if stem == "ecosystem.config" {
        return Some("");
    }
    let inner = stem
        .strip_prefix("ecosystem.config.")
        .or_else(|| stem.strip_prefix("ecosystem.").and_then(|rest| rest.strip_suffix(".config").or(Some(rest))))
        .or_else(|| stem.strip_prefix("ecosystem-").and_then(|rest| rest.strip_suffix(".config").or(Some(rest))))?;
    (!inner.is_empty() && inner != "config" && inner != "default").then_some(inner)
}

fn fold(
    base: &Path,
    variants: Vec<(String, PathBuf)>,
    options: &LoadOptions,
    left: &mut Vec<(PathBuf, Left)>,
) -> Result<Option<Step>, Left> {
    let first = source::read(base, options)?;
    let mut beside = first.beside.clone();
    let mut profiles = match beside.shift_remove("profiles") {
        None => Map::new(),
        Some(Value::Object(known)) => known,
        Some(_) => return Err("has `profiles` of its own kind".into()),
    };
    let mut folded: Vec<(String, Source)> = Vec::new();
    for (name, path) in variants {
        match member(&first, &beside, &profiles, &name, &path, options) {
            Ok((variant, profile)) => {
                profiles.insert(name.clone(), Value::Object(profile));
                folded.push((name, variant));
            }
            Err(why) => left.push((path, why)),
        }
    }
    if folded.is_empty() {
        return Ok(None);
    }
    // Only the base's own apps: what a profile adds stands in the profile.
    let mut apps = first.apps.clone();
    let common = if is_js(base) { fold::common(&mut apps) } else { Common::default() };
    beside.insert("profiles".into(), Value::Object(profiles));
    let written = text::write(&first, &apps, &common, &beside)?;
    let variables: BTreeSet<String> =
        folded.iter().flat_map(|(_, one)| &one.variables).chain(&first.variables).cloned().collect();
    let count = prove(base, &written, &folded, &variables, options)?;
    let mut lines = Vec::new();
    let target = shown(base, options);
    for (name, variant) in &folded {
        lines.push(format!("{} becomes the profile `{name}` of {target}", shown(&variant.path, options)));
        lines.push(format!("  `start {}` is then `start {target} --profile {name}`", shown(&variant.path, options)));
    }
    lines.extend(common.lines());
    lines.extend(notes(&first, folded.iter().map(|(_, variant)| variant), options));
    Ok(Some(Step {
        lines,
        writes: vec![(base.into(), written)],
        removes: folded.into_iter().map(|(_, variant)| variant.path).collect(),
        proof: format!("{count} resolved apps are equal before and after"),
    }))
}

/// A variant as a profile of the base.
fn member(
    base: &Source,
    beside: &Map<String, Value>,
    profiles: &Map<String, Value>,
    name: &str,
    path: &Path,
    options: &LoadOptions,
) -> Result<(Source, Map<String, Value>), Left> {
    if profiles.contains_key(name) {
        return Err(format!("would be the profile `{name}`, which {} has already", file_name(&base.path)));
    }
    let variant = source::read(path, options)?;
    if variant.beside != *beside {
        return Err(format!("has other keys beside its apps than {}", file_name(&base.path)));
    }
    let profile = fold::profile(&base.apps, &variant.apps)
        .ok_or_else(|| format!("has no app in common with {}", file_name(&base.path)))?;
    Ok((variant, profile))
}

/// Compares each file with the profile that stands for it.
fn prove(
    base: &Path,
    written: &str,
    folded: &[(String, Source)],
    variables: &BTreeSet<String>,
    options: &LoadOptions,
) -> Result<usize, Left> {
    let texts = [(base.to_owned(), written.to_owned())].into();
    let mut count = 0;
    for world in proof::worlds(variables, options).chunks(1) {
        count += proof::same(
            world,
            |options| proof::resolve(base, options),
            |options| proof::resolve_with(base, &texts, options),
        )?;
        for (name, variant) in folded {
            let with = |options: &LoadOptions| LoadOptions { profile: Some(name.clone()), ..options.clone() };
            count += proof::same(
                world,
                |options| proof::resolve(&variant.path, options),
                |options| proof::resolve_with(base, &texts, &with(options)),
            )
            .map_err(|wrong| format!("{}: {wrong}", shown(&variant.path, options)))?;
        }
    }
    Ok(count)
}

/// What whoever turns the files should know.
fn notes<'s>(first: &'s Source, variants: impl Iterator<Item = &'s Source>, options: &LoadOptions) -> Vec<String> {
    let mut notes = Vec::new();
    let variants: Vec<&Source> = variants.collect();
    if std::iter::once(first).chain(variants.iter().copied()).any(|source| source.has_comments) {
        notes.push("  comments inside the files stay in the backups only".into());
    }
    let names = |source: &Source| source.apps.iter().filter_map(|app| app.get("name").cloned()).collect::<Vec<_>>();
    let base = names(first);
    for variant in variants {
        let kept: Vec<_> = names(variant).into_iter().filter(|name| base.contains(name)).collect();
        let order: Vec<_> = base.iter().filter(|name| kept.contains(name)).cloned().collect();
        let added_first = names(variant).first().is_some_and(|name| !base.contains(name));
        if kept != order || added_first {
            notes.push(format!(
                "  {} lists its apps in another order than its profile will",
                shown(&variant.path, options)
            ));
        }
        let directory = variant.path.parent().unwrap_or(Path::new("/"));
        for reader in READERS {
            let holds = std::fs::read_to_string(directory.join(reader))
                .is_ok_and(|text| text.contains(file_name(&variant.path)));
            if holds {
                notes.push(format!("  {reader} names {}: change it there", file_name(&variant.path)));
            }
        }
    }
    notes
}
