//! Whether the program of an app can be run at all, as the daemon will look for it.

use crate::{dotenv, paths};
use baton_core::spec::AppSpec;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with what an app runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrunnable {
    /// What it is.
    pub what: String,
    /// The paths whose coming may change that.
    pub looked_for: Vec<PathBuf>,
}

/// What is wrong with the directory, the interpreter or the script of an app. Only what is known for certain counts: what
/// this user may not look at, the app may.
pub fn unrunnable(app: &AppSpec) -> Option<Unrunnable> {
    let cwd = Path::new(&app.cwd);
    let trouble = |what: String, path: &Path| Some(Unrunnable { what, looked_for: vec![path.to_owned()] });
    if !app.cwd.is_empty() && (is_missing(cwd) || cwd.is_file()) {
        return trouble(format!("cwd {} is no directory", cwd.display()), cwd);
    }
    let (kind, name) = match app.interpreter.as_str() {
        "none" => ("script", &app.script),
        _ => ("interpreter", &app.interpreter),
    };
    if !name.contains('/') {
        let found = on_any_path(name, app);
        return match found {
            Ok(()) => missing_script(app, cwd),
            Err(looked_for) => Some(Unrunnable { what: format!("{kind} {name} is not on PATH"), looked_for }),
        };
    }
    let path = cwd.join(name);
    if is_missing(&path) {
        return trouble(format!("{kind} {} is missing", path.display()), &path);
    }
    if path.metadata().is_ok() && !paths::is_executable(&path) {
        return trouble(format!("{kind} {} is not executable", path.display()), &path);
    }
    missing_script(app, cwd)
}

fn missing_script(app: &AppSpec, cwd: &Path) -> Option<Unrunnable> {
    let path = cwd.join(&app.script);
    (app.interpreter != "none" && is_missing(&path))
        .then(|| Unrunnable { what: format!("script {} is missing", path.display()), looked_for: vec![path] })
}

/// Whether a path is known to lead nowhere.
fn is_missing(path: &Path) -> bool {
    let gone = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    path.metadata().is_err_and(|error| gone(&error))
}

/// Looks for a program wherever the app may look, whichever of its variables count more.
///
/// # Errors
/// Where it was looked for in vain.
fn on_any_path(name: &str, app: &AppSpec) -> Result<(), Vec<PathBuf>> {
    let read = |file: &String| std::fs::read(Path::new(&app.cwd).join(file)).ok();
    let files = app.env_file.iter().filter_map(read).filter_map(|content| dotenv::parse(&content).remove("PATH"));
    let given = [&app.env, &app.base_env].into_iter().filter_map(|variables| variables.get("PATH").cloned());
    let mut texts: Vec<String> = files.chain(given).collect();
    if texts.is_empty() {
        texts.push(paths::DEFAULT_PATH.into());
    }
    let places = texts.iter().flat_map(std::env::split_paths);
    let candidates: BTreeSet<PathBuf> = places.map(|place| Path::new(&app.cwd).join(place).join(name)).collect();
    let unknown = |path: &PathBuf| path.metadata().is_err() && !is_missing(path);
    if candidates.iter().any(|path| paths::is_executable(path) || unknown(path)) {
        return Ok(());
    }
    Err(candidates.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_can_t_be_run_is_told_with_what_would_change_that() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| root.path().join(name).display().to_string();
        for name in ["run", "tool"] {
            fs::write(at(name), "#!/bin/sh\n").expect("a file");
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o755)).expect("executable");
        }
        fs::write(at("app.js"), "").expect("a file");
        let app = |script: &str, interpreter: &str, cwd: &str| AppSpec {
            script: script.into(),
            interpreter: interpreter.into(),
            cwd: cwd.into(),
            env: [("PATH".to_owned(), at(""))].into(),
            ..AppSpec::default()
        };
        let here = at("");
        for (app, wanted) in [
            (app(&at("run"), "none", &here), None),
            (app("tool", "none", &here), None),
            (app(&at("app.js"), "tool", &here), None),
            (app(&at("app.js"), &at("run"), &here), None),
            (app(&here, "tool", &here), None),
            (app(&at("gone"), "none", &here), Some((format!("script {} is missing", at("gone")), at("gone")))),
            (app(&at("run/x"), "none", &here), Some((format!("script {} is missing", at("run/x")), at("run/x")))),
            (
                app(&at("app.js"), "none", &here),
                Some((format!("script {} is not executable", at("app.js")), at("app.js"))),
            ),
            (app(&at("gone.js"), "tool", &here), Some((format!("script {} is missing", at("gone.js")), at("gone.js")))),
            (
                app(&at("app.js"), &at("gone"), &here),
                Some((format!("interpreter {} is missing", at("gone")), at("gone"))),
            ),
            (app(&at("app.js"), "gone", &here), Some(("interpreter gone is not on PATH".into(), at("gone")))),
            (app("gone", "none", &here), Some(("script gone is not on PATH".into(), at("gone")))),
            (app(&at("run"), "none", &at("gone")), Some((format!("cwd {} is no directory", at("gone")), at("gone")))),
            (app(&at("run"), "none", &at("run")), Some((format!("cwd {} is no directory", at("run")), at("run")))),
        ] {
            let found = unrunnable(&app).map(|found| (found.what, found.looked_for[0].display().to_string()));
            assert_eq!(found, wanted);
        }
    }
}
