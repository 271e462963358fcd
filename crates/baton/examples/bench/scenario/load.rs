//! Evaluating a process file as people write them, in a process of its own: the embedded engine beside `node -e`.

use super::milliseconds;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::{output, tool};
use crate::row::{Row, Samples, Target, Unit};
use std::path::Path;

/// A file that uses what such files use: paths, the environment, another file, functions.
const FILE: &str = r"
const path = require('path')
const fs = require('fs')
const { service } = require('./services.cjs')

const production = process.env.NODE_ENV === 'production'
const logs = path.join(__dirname, 'logs')
const tokens = Object.fromEntries(
  fs.readFileSync(path.join(__dirname, 'tokens'), 'utf8').split('\n').filter(Boolean).map((line) => line.split('=')),
)

module.exports = {
  apps: ['api', 'worker', 'mailer', 'indexer', 'scheduler', 'gateway'].flatMap((name, number) =>
    service(name, { port: 4000 + number, instances: production ? 2 : 1, logs, tokens }),
  ),
}
";

const SERVICES: &str = r"
exports.service = (name, { port, instances, logs, tokens }) => [
  {
    name,
    script: '/usr/bin/env',
    args: ['sleep', '1000000'],
    interpreter: 'none',
    instances,
    max_memory_restart: '512M',
    out_file: `${logs}/${name}-out.log`,
    error_file: `${logs}/${name}-error.log`,
    env: { PORT: port, NODE_ENV: 'development', ...tokens },
    env_production: { NODE_ENV: 'production' },
  },
]
";

/// Measurements in each round: they are short.
const REPEAT: u32 = 8;

/// Measures it. Node takes part only where PM2 does: without it, it may not be there.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let folder = tempfile::tempdir_in(&bench.directory).map_err(Failure::system("making a directory"))?;
    for (name, text) in [("ecosystem.config.cjs", FILE), ("services.cjs", SERVICES), ("tokens", "KEY=1\nTOKEN=2\n")] {
        std::fs::write(folder.path().join(name), text).map_err(Failure::system("writing the process file"))?;
    }
    let file = folder.path().join("ecosystem.config.cjs");
    let own = std::env::current_exe().map_err(Failure::system("finding this program"))?;
    let (mut ours, mut node) = (Samples::default(), Samples::default());
    for _ in 0..bench.runs * REPEAT {
        ours.add(evaluate(&own, &["app", "load"], &file)?);
        if bench.pm2().is_some() {
            let script = "console.log(require(process.argv[1]).apps.length)";
            node.add(evaluate(Path::new("node"), &["-e", script], &file)?);
        }
    }
    let mut samples = vec![ours];
    samples.extend(node.median().is_some().then_some(node));
    Ok(vec![Row::new("evaluate a process file, beside `node -e`", Unit::Milliseconds, samples, Target::None)])
}

fn evaluate(program: &Path, arguments: &[&str], file: &Path) -> Result<f64, Failure> {
    let finished = output(tool(program).args(arguments).arg(file))?;
    if finished.stdout.trim() == "6" {
        return Ok(milliseconds(finished.took));
    }
    Err(Failure::Unexpected { manager: "the engine", what: format!("found {} apps instead of 6", finished.stdout) })
}
