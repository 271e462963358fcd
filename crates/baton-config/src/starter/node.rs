//! `package.json`: its scripts, its main file, and the packages of a workspace.

use super::{App, Command, Draft, Folder};
use crate::glob;
use serde_json::Value;
use std::path::Path;

/// Lock files, and the programs that write them.
const MANAGERS: &[(&str, &str)] =
    &[("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun"), ("bun.lockb", "bun")];
/// Scripts that run until they are stopped, the best first.
const SCRIPTS: &[&str] = &["start", "serve", "dev"];
/// Files that are run where nothing else is said.
const FILES: &[&str] = &["server.js", "index.js", "app.js", "index.mjs", "index.cjs"];

/// Adds the apps of a Node project.
pub(super) fn look(folder: &Folder<'_>, draft: &mut Draft) {
    let Some(package) = package(folder.path) else {
        if let Some(file) = FILES.iter().find(|file| folder.has(file)) {
            draft.found.push((*file).to_owned());
            draft.apps.push(App::new(&folder_name(folder.path), *file, Command::of([*file])));
        } else if folder.has("package.json") {
            draft.left_out.push("package.json: it is no JSON".into());
        }
        return;
    };
    let manager = manager(folder, draft);
    let members = members(folder, &package);
    let mut taken = 0;
    for directory in &members {
        let path = folder.inside(directory);
        let Some(member) = self::package(&path) else { continue };
        let label = format!("{directory}/package.json");
        match run(&path, &member, manager) {
            Some((what, command)) => {
                let mut app = App::new(&name(&member, &path), format!("{label}: {what}"), command);
                app.directory.clone_from(directory);
                draft.found.push(format!("{label}: {what}"));
                draft.apps.push(app);
                taken += 1;
            }
            None => draft.left_out.push(format!("{label}: no script {}", SCRIPTS.join(", "))),
        }
    }
    match run(folder.path, &package, manager) {
        // The root's script starts the packages in one go, which is what is taken apart here.
        Some((what, _)) if taken > 0 => {
            draft
                .left_out
                .push(format!("package.json: {what}, because the packages of the workspace are apps of their own"));
        }
        Some((what, command)) => {
            draft.found.push(format!("package.json: {what}"));
            draft.apps.push(App::new(&name(&package, folder.path), format!("package.json: {what}"), command));
        }
        None if taken == 0 => draft.left_out.push(format!("package.json: no script {}", SCRIPTS.join(", "))),
        None => {}
    }
}

fn package(directory: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(directory.join("package.json")).ok()?;
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok().filter(Value::is_object)
}

/// What a package runs, in words and as a command.
fn run(directory: &Path, package: &Value, manager: &'static str) -> Option<(String, Command)> {
    let script = |name: &&'static str| Some((*name, package.get("scripts")?.get(*name)?.as_str()?));
    // A script that calls a process manager would start itself.
    let calls_us = |line: &str| crate::words::split(line).iter().any(|word| word == "pm2" || word == "baton");
    if let Some((name, line)) = SCRIPTS.iter().filter_map(script).find(|(_, line)| !calls_us(line)) {
        let direct = Command::line(line);
        // Without npm in between there is one process less, and a signal reaches the app itself.
        let is_file = line.starts_with("node ") && directory.join(&direct.script).is_file();
        let command = if is_file { direct } else { Command::of([manager, "run", name]) };
        return Some((format!("script `{name}`"), command));
    }
    let main = package.get("main").and_then(Value::as_str).filter(|file| directory.join(file).is_file());
    let file = main.or_else(|| FILES.iter().copied().find(|file| directory.join(file).is_file()))?;
    // A library has a main file too, and it ends at once.
    let is_library = package.get("exports").is_some() || package.get("types").is_some();
    (!is_library).then(|| (file.to_owned(), Command::of([file])))
}

/// The program that runs scripts: the one whose lock file is here, else npm.
fn manager(folder: &Folder<'_>, draft: &mut Draft) -> &'static str {
    let Some((lock, manager)) = MANAGERS.iter().find(|(lock, _)| folder.has(lock)) else { return "npm" };
    if folder.has_program(manager) || !folder.has_program("npm") {
        return manager;
    }
    draft.left_out.push(format!("{lock}: {manager} is not on PATH, so npm runs the scripts"));
    "npm"
}

/// Directories of the packages of a workspace, relative to the folder.
fn members(folder: &Folder<'_>, package: &Value) -> Vec<String> {
    let listed = match package.get("workspaces") {
        Some(Value::Object(map)) => map.get("packages").cloned(),
        Some(list) => Some(list.clone()),
        None => folder
            .read("pnpm-workspace.yaml")
            .and_then(|text| serde_norway::from_str::<Value>(&text).ok())
            .and_then(|root| root.get("packages").cloned()),
    };
    let patterns: Vec<&str> =
        listed.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let without: Vec<_> =
        patterns.iter().filter_map(|one| glob::regex(one.strip_prefix('!')?.trim_end_matches('/'))).collect();
    let mut directories: Vec<String> = Vec::new();
    for pattern in patterns.iter().filter(|one| !one.starts_with('!')) {
        let pattern = format!("{}/package.json", pattern.trim_start_matches("./").trim_end_matches('/'));
        for file in glob::files(&pattern, folder.path, |_| {}) {
            let Some(directory) = file.parent().and_then(|path| path.strip_prefix(folder.path).ok()) else { continue };
            let directory = directory.to_string_lossy().into_owned();
            let excluded = without.iter().any(|one| one.is_match(&directory));
            if !directory.is_empty() && !excluded && !directories.contains(&directory) {
                directories.push(directory);
            }
        }
    }
    directories
}

/// The package's name without its scope.
fn name(package: &Value, directory: &Path) -> String {
    let named = package.get("name").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
    named.filter(|name| !name.is_empty()).map_or_else(|| folder_name(directory), str::to_owned)
}

/// The name of the folder, for an app that has no other.
pub(super) fn folder_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "app".into(), |name| name.to_string_lossy().into_owned())
}
