//! What Node exports is what baton exports: each process file under `tests/fidelity` is evaluated by the embedded engine
//! and by `JSON.stringify` in Node itself, and the two texts are equal byte for byte, in the order of their keys too. The
//! files under `errors` fail in both.
//!
//! The yardstick is a program of its own, not the loader's way of calling Node: a mistake of that one would hide here.
//! Without Node the comparison is skipped and says so; in CI that is a failure.

use baton_config::js::{self, JsOptions, Limits, Loader, Source};
use baton_config::render;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prints what a process file exports: promises awaited and functions called, at the top and as `default` and `apps`.
const YARDSTICK: &str = r"
const { pathToFileURL } = require('url');
const { types } = require('util');
const file = process.argv.pop();
process.argv.splice(1);
process.stdout.write = process.stderr.write.bind(process.stderr);
const print = (text) => { require('fs').writeSync(3, text); process.exit(0); };
const settled = async (value) => { while (typeof value === 'function' || typeof value?.then === 'function') value = typeof value === 'function' ? value({ ...process.env }) : await value; return value; };
(async () => {
  let value;
  // What `require` gives for an ES module depends on the version of Node; what `import` gives does not.
  let es = false;
  try { value = require(file); es = types.isModuleNamespaceObject(value); } catch (error) {
    if (!['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE'].includes(error.code) && !(error instanceof SyntaxError)) throw error;
    es = true;
  }
  if (es) value = await import(pathToFileURL(file));
  value = await settled(value);
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    for (const key of ['default', 'apps']) {
      if (!(typeof value[key] === 'function' || typeof value[key]?.then === 'function')) continue;
      value = { ...value, [key]: await settled(value[key]) };
    }
  }
  const text = JSON.stringify(value);
  if (text === undefined) throw new Error('nothing');
  print(text);
})().catch((error) => { console.error(error); process.exit(1); });
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fidelity")
}

/// Every process file, by its path under the root.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".config.")) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn node() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let node = std::env::split_paths(&path).map(|directory| directory.join("node")).find(|node| node.is_file());
    if node.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI needs Node: process files are compared with it");
        eprintln!("SKIPPED: no Node on PATH, process files were compared with nothing");
    }
    node
}

/// What Node makes of a file: the text, or the error.
fn theirs(node: &Path, file: &Path) -> Result<String, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let (yardstick, output) = (directory.path().join("yardstick.cjs"), directory.path().join("out"));
    std::fs::write(&yardstick, YARDSTICK).expect("written");
    #[expect(clippy::disallowed_methods, reason = "Node is the yardstick here, no app")]
    let ran = Command::new("sh")
        .args(["-c", "exec \"$0\" \"$1\" \"$2\" 3>\"$3\""])
        .arg(node)
        .arg(&yardstick)
        .arg(file)
        .arg(&output)
        .current_dir(root())
        .output()
        .expect("node runs");
    let text = std::fs::read_to_string(&output).expect("the output");
    if !ran.status.success() || text.is_empty() {
        return Err(String::from_utf8_lossy(&ran.stderr).into_owned());
    }
    Ok(text)
}

fn ours(file: &Path) -> Result<String, String> {
    let options = JsOptions {
        env: std::env::vars().collect(),
        cwd: root(),
        argv: Vec::new(),
        limits: Limits { time: std::time::Duration::from_secs(30), ..Limits::default() },
    };
    let evaluated = js::load(Loader::Embedded, file, Source::File, &options).map_err(|error| error.to_string())?;
    Ok(evaluated.exact.unwrap_or_else(|| render::stringify(&evaluated.value)))
}

#[test]
fn every_file_means_what_it_means_in_node() {
    let Some(node) = node() else { return };
    let files = files();
    assert!(files.len() >= 80, "only {} process files found", files.len());
    let mut different = Vec::new();
    for file in &files {
        let shown = file.strip_prefix(root()).expect("under the root").display();
        let must_fail = file.starts_with(root().join("errors"));
        match (ours(file), theirs(&node, file)) {
            (Ok(ours), Ok(theirs)) if ours != theirs => {
                let at = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
                let around = |text: &str| {
                    String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(60)..text.len().min(at + 100)])
                        .into_owned()
                };
                different.push(format!("{shown}\n  ours: …{}…\n  node: …{}…", around(&ours), around(&theirs)));
            }
            (Ok(_), Ok(_)) if must_fail => different.push(format!("{shown}: fails in neither")),
            (Err(error), Err(_)) if !must_fail => different.push(format!("{shown}: fails in both: {error}")),
            (Err(error), Ok(_)) => different.push(format!("{shown}: fails in baton only: {error}")),
            (Ok(_), Err(error)) => different.push(format!("{shown}: fails in Node only: {error}")),
            (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
        }
    }
    assert!(different.is_empty(), "{} of {} differ\n{}", different.len(), files.len(), different.join("\n"));
}
