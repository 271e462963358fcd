//! Reading a gigabyte of log, most of it in compressed parts: `logs --since --grep` beside `zcat … | rg` (`grep` where
//! there is no ripgrep), which does nothing else.

use super::milliseconds;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::{Manager, output, tool};
use crate::row::{Row, Samples, Target, Unit};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Parts, and how much each holds unpacked; the last one is the file that is being written.
const PARTS: usize = 10;
const LINES: usize = 1_000_000;
/// One line in so many is looked for.
const RARE: usize = 50_000;
const NEEDLE: &str = "timeout after [0-9]+ ms";

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let Some(contender) = bench.contenders.first() else { return Ok(Vec::new()) };
    let manager = Manager::running(contender, &bench.directory)?;
    let log = manager.path("read.log");
    let app = json!({
        "name": "reader", "script": "/bin/sleep", "args": ["1000000"], "interpreter": "none", "merge_logs": true,
        "out_file": log, "error_file": "/dev/null",
    });
    let file = manager.file("ecosystem.json", json!({ "apps": [app] }).to_string())?;
    manager.run(["start".as_ref(), file.as_os_str()])?;
    let mut parts = Vec::new();
    for part in 0..PARTS - 1 {
        let path = manager.path(&format!("read__2026-01-01_00-00-{part:02}.log"));
        write(&path, part)?;
        output(tool("gzip".as_ref()).arg("-1").arg(&path))?;
        parts.push(PathBuf::from(format!("{}.gz", path.display())));
    }
    write(&log, PARTS - 1)?;

    let other = if output(tool("rg".as_ref()).arg("--version")).is_ok() { "rg" } else { "grep -E" };
    let names = parts.iter().map(|part| part.display().to_string()).collect::<Vec<_>>().join(" ");
    let pipe = format!("(zcat {names}; cat {}) | {other} '{NEEDLE}'", log.display());
    let (mut ours, mut theirs) = (Samples::default(), Samples::default());
    for _ in 0..bench.runs {
        let read = manager.run(["logs", "reader", "--since", "10m", "--grep", NEEDLE, "--raw", "--nostream"])?;
        let piped = output(tool("sh".as_ref()).arg("-c").arg(&pipe))?;
        if read.stdout != piped.stdout || read.stdout.lines().count() != PARTS * LINES / RARE {
            return Err(manager.unexpected("`logs` and the pipe found different lines".to_owned()));
        }
        ours.add(milliseconds(read.took));
        theirs.add(milliseconds(piped.took));
    }
    manager.end()?;
    let what = format!("`logs --since 10m --grep` over 1 GB, 9 of 10 parts compressed, beside `zcat | {other}`");
    Ok(vec![Row::new(what, Unit::Milliseconds, vec![ours, theirs], Target::Part(0.5))])
}

/// Lines of 100 bytes that pack about as well as logs do.
fn write(path: &Path, part: usize) -> Result<(), Failure> {
    let mut text = String::with_capacity(LINES * 100);
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15 ^ part as u64;
    for line in 0..LINES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let what = if line % RARE == 0 { "timeout after 3000 ms" } else { "answered request" };
        let begin = text.len();
        // Writing to a String can't fail.
        let _ =
            write!(text, "GET /api/items/{:06} {what} user={:08x} size={:05} ", state >> 44, state >> 32, state >> 48);
        let rest = 99 - (text.len() - begin).min(99);
        text.extend(std::iter::repeat_n('.', rest));
        text.push('\n');
    }
    std::fs::write(path, text).map_err(Failure::system("writing a log"))
}
