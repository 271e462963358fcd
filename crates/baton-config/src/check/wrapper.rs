//! Whether the sockets of an app (`listen`) reach the program that is to accept on them.
//!
//! LISTEN_PID names the process that baton starts. A script in between that starts the program as a child has that number
//! itself; programs then take the sockets for somebody else's. Some runners do not hand descriptors on at all.

use baton_core::spec::AppSpec;
use std::path::Path;

const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "fish"];
/// Node programs that start others: descriptors from 3 on are closed in what they start.
const CLOSERS: [&str; 7] = ["npm", "npx", "pnpm", "pnpx", "yarn", "tsx", "nodemon"];
/// Programs that start another as their child.
const PARENTS: [&str; 9] = ["uv", "poetry", "pipenv", "hatch", "cargo", "make", "just", "dotenv", "tini"];

/// What is between baton and the program; `None` where nothing is seen.
pub(super) fn trouble(app: &AppSpec) -> Option<String> {
    let program = if app.interpreter == "none" { &app.script } else { &app.interpreter };
    let name = base_name(program);
    // A package runner may be the script of node.
    let script = base_name(&app.script);
    if let Some(closer) = [name, script].into_iter().find(|name| CLOSERS.contains(name)) {
        return Some(format!("{closer} does not hand sockets on: name the program itself as the script"));
    }
    let is_lost = app.listen_pid
        && match name {
            name if PARENTS.contains(&name) => true,
            name if SHELLS.contains(&name) => !execs(&text_of(app)),
            _ => shebang_shell(app).is_some_and(|text| !execs(&text)),
        };
    let between = if SHELLS.contains(&name) { script } else { name };
    is_lost.then(|| {
        format!(
            "LISTEN_PID will be the pid of {between}, not that of the program it starts: start that with `exec`, or set \
             listen_pid: false"
        )
    })
}

fn base_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path)
}

/// What a shell is to run: the line behind `-c`, or the script.
fn text_of(app: &AppSpec) -> String {
    let words: Vec<&String> = app.node_args.iter().chain([&app.script]).chain(&app.args).collect();
    let line =
        words.iter().position(|word| word.starts_with('-') && word.ends_with('c')).and_then(|at| words.get(at + 1));
    match line {
        Some(line) => (*line).clone(),
        None => std::fs::read_to_string(Path::new(&app.cwd).join(&app.script)).unwrap_or_default(),
    }
}

/// The text of a script that runs itself by a shell.
fn shebang_shell(app: &AppSpec) -> Option<String> {
    if app.interpreter != "none" {
        return None;
    }
    let text = std::fs::read_to_string(Path::new(&app.cwd).join(&app.script)).ok()?;
    let first = text.lines().next()?.strip_prefix("#!")?;
    let is_shell = first.split_whitespace().map(base_name).any(|word| SHELLS.contains(&word));
    is_shell.then_some(text)
}

/// Whether a script becomes its program, as far as its text tells.
fn execs(text: &str) -> bool {
    text.lines().flat_map(|line| line.split([';', '&', '|'])).any(|command| command.trim_start().starts_with("exec "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(interpreter: &str, script: &str, args: &[&str]) -> AppSpec {
        let args = args.iter().map(ToString::to_string).collect();
        AppSpec { interpreter: interpreter.into(), script: script.into(), args, ..AppSpec::default() }
    }

    #[test]
    fn a_program_between_baton_and_the_server_is_seen() {
        let lost = |app: &AppSpec| trouble(app).is_some_and(|text| text.contains("listen_pid: false"));
        assert!(lost(&app("none", "bash", &["-c", "cd x && python server.py"])));
        assert!(!lost(&app("none", "bash", &["-lc", "cd x && exec python server.py"])));
        assert!(lost(&app("none", "/usr/bin/uv", &["run", "uvicorn"])));
        assert!(!lost(&app("none", "/usr/bin/uvicorn", &["a:app"])));
        assert!(!lost(&app("node", "/w/server.js", &[])));
        let told_so = AppSpec { listen_pid: false, ..app("none", "uv", &[]) };
        assert_eq!(trouble(&told_so), None);
        for (interpreter, script) in [("none", "/usr/bin/npm"), ("node", "/usr/lib/npx")] {
            let text = trouble(&AppSpec { listen_pid: false, ..app(interpreter, script, &[]) }).unwrap();
            assert!(text.contains("does not hand sockets on"), "{text}");
        }
    }

    #[test]
    fn a_script_that_becomes_its_program_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let script = |text: &str| {
            let path = dir.path().join("run.sh");
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        assert_eq!(trouble(&app("none", &script("#!/usr/bin/env bash\nset -e\nexec ./server\n"), &[])), None);
        assert!(trouble(&app("none", &script("#!/bin/sh\n./server\n"), &[])).unwrap().contains("pid of run.sh"));
        assert!(trouble(&app("bash", &script("./server\n"), &[])).unwrap().contains("pid of run.sh"));
        assert_eq!(trouble(&app("none", &script("#!/usr/bin/python3\n"), &[])), None);
    }
}
