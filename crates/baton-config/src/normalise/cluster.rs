//! What can't be a worker of Node's cluster.

use super::program::Program;
use std::path::Path;

/// Programs that run scripts of a package in a process of their own, and keep the cluster's channel for themselves.
const RUNNERS: &[&str] = &["npm", "npx", "yarn", "yarnpkg", "pnpm", "pnpx", "corepack"];
/// What may be, or turn into, a worker: a shell ends in `exec node app.js`.
const WORKERS: &[&str] = &["node", "nodejs", "bun", "deno", "none", "sh", "bash", "dash", "env"];

/// Why a program can't run in cluster mode with this `balance`, and what to do.
pub(super) fn refusal(program: &Program, balance: Option<&str>) -> Option<(String, &'static str)> {
    let script = stem(&program.script);
    let line = program.args.get(1).filter(|_| program.args.first().is_some_and(|first| first == "-c"));
    let first = line.and_then(|line| line.split_whitespace().next()).map(stem);
    if let Some(runner) = [Some(script), first].into_iter().flatten().find(|name| RUNNERS.contains(name)) {
        let what = format!(
            "cluster mode: {runner} keeps the cluster's channel for itself, and the program behind it is no worker"
        );
        return Some((what, "write the script that it runs, such as script: \"server.js\", or exec_mode: \"fork\""));
    }
    let interpreter = stem(&program.interpreter);
    let bare = interpreter.trim_end_matches(|end: char| end.is_ascii_digit() || ".-@v".contains(end));
    // Deno accepts nothing on a socket that it is given whole.
    if let Some(balance) = balance.filter(|balance| *balance != "rr")
        && (bare == "deno" || (bare == "none" && script == "deno"))
    {
        let what = format!(
            "cluster mode: workers of Deno can only be dealt connections, not take them from a socket (`balance: {balance}`)"
        );
        return Some((what, "leave `balance` out"));
    }
    match bare {
        "tsx" => Some((
            "cluster mode: tsx runs the program in a process of its own, which is no worker".into(),
            "write interpreter: \"node\" and node_args: \"--import tsx\"",
        )),
        _ if WORKERS.contains(&bare) => None,
        _ => Some((
            format!("cluster mode is for programs of Node, and {interpreter} runs this one"),
            "leave `exec_mode` out: each instance is a process of its own then",
        )),
    }
}

/// `npm` of `/usr/lib/node_modules/npm/bin/npm-cli.js`, too.
fn stem(path: &str) -> &str {
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or(path);
    let name = name.strip_suffix(".js").or_else(|| name.strip_suffix(".cjs")).unwrap_or(name);
    name.strip_suffix("-cli").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(interpreter: &str, script: &str, args: &[&str]) -> Program {
        Program {
            script: script.into(),
            interpreter: interpreter.into(),
            interpreter_args: Vec::new(),
            args: args.iter().map(|arg| (*arg).into()).collect(),
            default_name: "x".into(),
        }
    }

    #[test]
    fn runners_of_scripts_and_other_languages_are_refused_with_the_reason() {
        for (refused, word) in [
            (program("none", "/usr/bin/npm", &["run", "start"]), "npm"),
            (program("node", "/usr/lib/node_modules/npm/bin/npm-cli.js", &["start"]), "npm"),
            (program("none", "/bin/bash", &["-c", "yarn start"]), "yarn"),
            (program("tsx", "/w/app.ts", &[]), "tsx"),
            (program("python3", "/w/app.py", &[]), "python"),
        ] {
            assert!(refusal(&refused, None).is_some_and(|(what, _)| what.contains(word)), "{refused:?}");
        }
        for possible in [
            program("node", "/w/app.js", &[]),
            program("/opt/node-22/bin/node", "/w/app.mjs", &[]),
            program("none", "/bin/bash", &["-c", "exec node app.js"]),
            program("bun", "/w/app.ts", &[]),
            program("deno", "/w/app.ts", &[]),
        ] {
            assert_eq!(refusal(&possible, Some("rr")), None, "{possible:?}");
        }
    }

    #[test]
    fn workers_of_deno_are_dealt_connections_or_refused() {
        for (interpreter, script) in [("deno", "/w/app.ts"), ("/opt/bin/deno", "/w/app.ts"), ("none", "/opt/bin/deno")]
        {
            let deno = program(interpreter, script, &[]);
            assert_eq!(refusal(&deno, None), None);
            for balance in ["shared", "reuseport"] {
                assert!(refusal(&deno, Some(balance)).is_some_and(|(what, _)| what.contains("Deno")), "{script}");
                assert_eq!(refusal(&program("node", "/w/app.js", &[]), Some(balance)), None);
            }
        }
    }
}
