//! Which program runs a script when the app does not say: by extension, by shebang, by content.

use crate::paths;
use baton_core::spec::Environment;
use std::io::Read;
use std::path::Path;

/// The program that runs a script, and what it needs before the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// A name on PATH or a path; `none` runs the script itself.
    pub program: String,
    /// Arguments before those of the app's own `node_args`.
    pub args: Vec<String>,
}

impl Interpreter {
    fn of(program: &str) -> Interpreter {
        Interpreter { program: program.into(), args: Vec::new() }
    }
}

/// Why no interpreter can be used, as PM2 words it.
pub const TYPESCRIPT: &str = "TypeScript apps require bun, Node.js >= 22.18 (native type stripping) or a custom \
                              interpreter (e.g. --interpreter ts-node)";

/// Finds the interpreter of a script that exists. The environment's PATH decides between `python` and `python3`, and
/// between bun and node.
///
/// # Errors
/// The reason, when the script is TypeScript and nothing here can run it.
pub fn detect(script: &Path, environment: &Environment) -> Result<Interpreter, &'static str> {
    let has = |program: &str| paths::on_path(program, environment, Path::new("/")).is_some();
    if script.is_dir() {
        return Ok(Interpreter::of("node"));
    }
    let extension = script.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    let by_extension = match &*extension {
        "js" | "cjs" | "mjs" => "node",
        "sh" => "bash",
        "py" if has("python") => "python",
        "py" => "python3",
        "rb" => "ruby",
        "php" => "php",
        "pl" => "perl",
        "coffee" => "coffee",
        "ls" => "lsc",
        "ts" | "tsx" | "mts" | "cts" if has("bun") => "bun",
        "ts" | "mts" | "cts" => return typescript(node_version(environment)),
        "tsx" => return Err(TYPESCRIPT),
        _ => return Ok(by_content(script)),
    };
    Ok(Interpreter::of(by_extension))
}

/// Node runs TypeScript by itself from 22.18 and 23.6 on, and from 22.6 on when asked to.
fn typescript(version: Option<(u32, u32)>) -> Result<Interpreter, &'static str> {
    match version {
        Some((22, 18..) | (23, 6..) | (24.., _)) => Ok(Interpreter::of("node")),
        Some((22, 6..) | (23, _)) => {
            Ok(Interpreter { program: "node".into(), args: vec!["--experimental-strip-types".into()] })
        }
        _ => Err(TYPESCRIPT),
    }
}

fn node_version(environment: &Environment) -> Option<(u32, u32)> {
    let node = paths::on_path("node", environment, Path::new("/"))?;
    #[expect(clippy::disallowed_methods, reason = "asks the caller's node for its version and waits; not an app")]
    let output = std::process::Command::new(node).arg("--version").env_clear().output().ok()?;
    version(&String::from_utf8_lossy(&output.stdout))
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A shebang decides; without one, a text is node's and a binary runs itself, as in PM2.
fn by_content(script: &Path) -> Interpreter {
    let mut head = Vec::new();
    // An unreadable script is passed on: the start says why it cannot run.
    let read = std::fs::File::open(script).and_then(|file| file.take(512).read_to_end(&mut head));
    if read.is_err() {
        return Interpreter::of("none");
    }
    if let Some((program, args)) = shebang(&head) {
        let name = Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        return match &*name {
            "node" | "nodejs" => Interpreter { program: "node".into(), args },
            "bun" => Interpreter { program: name, args },
            _ if paths::is_executable(script) => Interpreter::of("none"),
            _ => Interpreter { program, args },
        };
    }
    Interpreter::of(if is_binary(&head) { "none" } else { "node" })
}

/// The program and arguments of a first line `#!…`; `env` is looked through.
fn shebang(head: &[u8]) -> Option<(String, Vec<String>)> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace().map(str::to_owned);
    let program = words.next()?;
    if Path::new(&program).file_name().is_some_and(|name| name == "env") {
        // `env -S` splits for itself; assignments before the program would need env itself.
        let mut words = words.skip_while(|word| word == "-S" || word == "--split-string");
        let program = words.next().filter(|word| !word.starts_with('-') && !word.contains('='))?;
        return Some((program, words.collect()));
    }
    Some((program, words.collect()))
}

/// A NUL byte, or more than a tenth of bytes that no UTF-8 text has.
fn is_binary(head: &[u8]) -> bool {
    if head.contains(&0) {
        return true;
    }
    let text = String::from_utf8_lossy(head);
    let odd =
        text.chars().filter(|c| *c == '\u{fffd}' || (c.is_control() && !c.is_whitespace() && *c != '\u{1b}')).count();
    odd * 10 > head.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn extension_then_shebang_then_content_decide() {
        let root = tempfile::tempdir().expect("a directory");
        let bin = root.path().join("bin");
        std::fs::create_dir(&bin).expect("made");
        std::os::unix::fs::symlink("/bin/sh", bin.join("python3")).expect("linked");
        let environment: Environment = [("PATH".to_owned(), bin.to_string_lossy().into_owned())].into();
        type Row = (&'static str, &'static [u8], u32, &'static str, &'static [&'static str]);
        let table: &[Row] = &[
            ("a.js", b"", 0o644, "node", &[]),
            ("a.cjs", b"", 0o644, "node", &[]),
            ("a.mjs", b"", 0o755, "node", &[]),
            ("a.sh", b"#!/bin/zsh\n", 0o755, "bash", &[]),
            ("a.py", b"", 0o644, "python3", &[]),
            ("a.rb", b"", 0o644, "ruby", &[]),
            ("pipenv", b"#!/usr/bin/python3\nimport x\n", 0o755, "none", &[]),
            ("tool", b"#!/usr/bin/python3 -E\n", 0o644, "/usr/bin/python3", &["-E"]),
            ("tool2", b"#!/usr/bin/env ruby\r\n", 0o644, "ruby", &[]),
            ("npm", b"#!/usr/bin/env node\n", 0o755, "node", &[]),
            ("npx", b"#!/usr/bin/env -S node --no-warnings\n", 0o755, "node", &["--no-warnings"]),
            ("old", b"#!/usr/bin/nodejs\n", 0o644, "node", &[]),
            ("buns", b"#!/usr/bin/env bun\n", 0o755, "bun", &[]),
            ("text", b"console.log(1)\n", 0o755, "node", &[]),
            ("text.conf", "é: ü\n".as_bytes(), 0o644, "node", &[]),
            ("binary", b"\x7fELF\x00\x01", 0o755, "none", &[]),
            ("latin", b"\xff\xfe\xfd\xfc", 0o755, "none", &[]),
            ("empty", b"", 0o755, "node", &[]),
        ];
        for (name, content, mode, program, args) in table {
            let path = root.path().join(name);
            std::fs::write(&path, content).expect("written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(*mode)).expect("set");
            let found = detect(&path, &environment).expect("an interpreter");
            assert_eq!(
                (found.program.as_str(), found.args),
                (*program, args.iter().map(|a| (*a).into()).collect()),
                "{name}"
            );
        }
        assert_eq!(detect(root.path(), &environment).expect("node").program, "node");
        std::os::unix::fs::symlink("/bin/sh", bin.join("python")).expect("linked");
        std::os::unix::fs::symlink("/bin/sh", bin.join("bun")).expect("linked");
        assert_eq!(detect(&root.path().join("a.py"), &environment).expect("python").program, "python");
        for name in ["a.ts", "a.tsx"] {
            assert_eq!(detect(&root.path().join(name), &environment).expect("bun").program, "bun");
        }
    }

    #[test]
    fn typescript_needs_a_node_that_strips_types() {
        for (text, wanted) in [
            ("v20.20.0", Err(TYPESCRIPT)),
            ("v22.5.9", Err(TYPESCRIPT)),
            ("v22.6.0", Ok(1)),
            ("v22.17.1", Ok(1)),
            ("v22.18.0", Ok(0)),
            ("v23.0.0", Ok(1)),
            ("v23.6.0", Ok(0)),
            ("v24.1.0\n", Ok(0)),
            ("nonsense", Err(TYPESCRIPT)),
        ] {
            assert_eq!(typescript(version(text)).map(|found| found.args.len()), wanted, "{text}");
        }
        let nothing: Environment = [("PATH".to_owned(), "/nowhere".to_owned())].into();
        assert_eq!(detect(Path::new("/x/a.ts"), &nothing), Err(TYPESCRIPT));
    }
}
