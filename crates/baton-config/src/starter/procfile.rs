//! `Procfile`: a line for each process, `name: command`. `release` runs once, before the others.

use super::{App, Command, Draft, Folder};
use serde_json::json;

/// Adds what a Procfile lists; whether there is one that lists something.
pub(super) fn look(folder: &Folder<'_>, draft: &mut Draft) -> bool {
    let Some(text) = folder.read("Procfile") else { return false };
    let lines: Vec<(&str, &str)> = text.lines().filter_map(line).collect();
    let has_release = lines.iter().any(|(name, _)| *name == "release");
    for (name, command) in &lines {
        let mut app = App::new(name, format!("Procfile: {name}"), Command::line(command));
        if *name == "release" {
            app.keys.insert("oneshot".into(), true.into());
        } else if has_release {
            app.keys.insert("depends_on".into(), json!({ "release": "exited" }));
        }
        draft.apps.push(app);
    }
    let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    if !names.is_empty() {
        draft.found.push(format!("Procfile: {}", names.join(", ")));
    }
    !names.is_empty()
}

fn line(line: &str) -> Option<(&str, &str)> {
    let (name, command) = line.split_once(':')?;
    let (name, command) = (name.trim(), command.trim());
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    (is_name && !command.is_empty()).then_some((name, command))
}
