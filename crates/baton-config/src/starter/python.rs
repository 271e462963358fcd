//! Python projects: `pyproject.toml` (uv, poetry), `Pipfile`, and the files that are usually run.

use super::{App, Command, Draft, Folder};
use serde_json::Value;

/// Files that are run where nothing else is said.
const FILES: &[&str] = &["main.py", "app.py", "server.py", "bot.py", "worker.py"];
/// Names of scripts that run until they are stopped; others are tools.
const SERVING: &[&str] = &["start", "serve", "server", "web", "api", "app", "main", "worker", "bot", "dev"];

/// Adds the apps of a Python project.
pub(super) fn look(folder: &Folder<'_>, draft: &mut Draft) {
    let project = folder.read("pyproject.toml").and_then(|text| toml::from_str::<Value>(&text).ok());
    if project.is_none() && folder.has("pyproject.toml") {
        draft.left_out.push("pyproject.toml: it is no TOML".into());
    }
    let pipfile = folder.read("Pipfile").and_then(|text| toml::from_str::<Value>(&text).ok());
    let runner = runner(folder, project.as_ref(), draft);
    let at = |root: &Option<Value>, path: &str| root.as_ref()?.pointer(path).cloned();
    let name = at(&project, "/project/name").or_else(|| at(&project, "/tool/poetry/name"));
    let name =
        name.as_ref().and_then(Value::as_str).map_or_else(|| super::node::folder_name(folder.path), str::to_owned);
    let mut taken = false;
    for (file, scripts) in [
        ("pyproject.toml", at(&project, "/project/scripts")),
        ("pyproject.toml", at(&project, "/tool/poetry/scripts")),
        ("Pipfile", at(&pipfile, "/scripts")),
    ] {
        let Some(Value::Object(scripts)) = scripts else { continue };
        // Without a tool that installs them there are no scripts.
        if runner == Runner::Plain {
            draft.left_out.push(format!("{file}: scripts, because neither uv nor poetry nor pipenv nor .venv is here"));
            continue;
        }
        let serves = |script: &str| scripts.len() == 1 || script == name || SERVING.contains(&script);
        for script in scripts.keys() {
            if serves(script) {
                draft.found.push(format!("{file}: script `{script}`"));
                let command = runner.command(script, false);
                draft.apps.push(App::new(script, format!("{file}: script `{script}`"), command));
                taken = true;
            } else {
                draft.left_out.push(format!("{file}: script `{script}`, which looks like a tool"));
            }
        }
    }
    if taken {
        return;
    }
    if folder.has("manage.py") {
        let mut command = runner.command("manage.py", true);
        command.args.push("runserver".into());
        // Its reloader would put a second process between us and the server.
        command.args.push("--noreload".into());
        draft.found.push("manage.py".into());
        draft.apps.push(App::new(&name, "manage.py: Django's server for development", command));
    } else if let Some(file) = FILES.iter().find(|file| folder.has(file)) {
        draft.found.push((*file).to_owned());
        draft.apps.push(App::new(&name, *file, runner.command(file, true)));
    }
}

/// What runs Python here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
    Uv,
    Poetry,
    Pipenv,
    /// A virtual environment in this directory.
    Venv(&'static str),
    /// The `python` on PATH.
    Plain,
}

impl Runner {
    fn command(self, script: &str, is_file: bool) -> Command {
        let mut command = match (self, is_file) {
            (Runner::Uv, true) => Command::of(["uv", "run", "python", script]),
            (Runner::Uv, false) => Command::of(["uv", "run", script]),
            (Runner::Poetry, true) => Command::of(["poetry", "run", "python", script]),
            (Runner::Poetry, false) => Command::of(["poetry", "run", script]),
            (Runner::Pipenv, true) => Command::of(["pipenv", "run", "python", script]),
            (Runner::Pipenv, false) => Command::of(["pipenv", "run", script]),
            (Runner::Venv(directory), true) => Command::of([&*format!("{directory}/bin/python"), script]),
            (Runner::Venv(directory), false) => Command::of([&*format!("{directory}/bin/{script}")]),
            (Runner::Plain, _) => return Command::of([script]),
        };
        command.interpreter = Some("none");
        command
    }
}

fn runner(folder: &Folder<'_>, project: Option<&Value>, draft: &mut Draft) -> Runner {
    let tool = |name: &str| project.and_then(|root| root.pointer(&format!("/tool/{name}"))).is_some();
    let venv = [".venv", "venv"].into_iter().find(|name| folder.inside(name).join("bin/python").exists());
    let wished = if folder.has("uv.lock") || tool("uv") {
        Some((Runner::Uv, "uv"))
    } else if folder.has("poetry.lock") || tool("poetry") {
        Some((Runner::Poetry, "poetry"))
    } else if folder.has("Pipfile") {
        Some((Runner::Pipenv, "pipenv"))
    } else {
        None
    };
    match (wished, venv) {
        (Some((runner, program)), _) if folder.has_program(program) => runner,
        (Some((_, program)), Some(venv)) => {
            draft.left_out.push(format!("{program}: it is not on PATH, so {venv} runs the project"));
            Runner::Venv(venv)
        }
        (Some((_, program)), None) => {
            draft.left_out.push(format!("{program}: it is not on PATH, so python runs the project"));
            Runner::Plain
        }
        // A project with scripts and a virtual environment; uv makes one where there is none.
        (None, Some(venv)) => Runner::Venv(venv),
        (None, None) if project.is_some_and(|root| root.get("project").is_some()) && folder.has_program("uv") => {
            Runner::Uv
        }
        (None, None) => Runner::Plain,
    }
}
