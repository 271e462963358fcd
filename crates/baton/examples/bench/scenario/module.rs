//! What the module costs that baton loads before a Node program: the same program, a child of Node with an IPC channel,
//! with it and without it.

use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::{output, tool};
use crate::row::{Row, Samples, Target, Unit};
use baton_node::preload;
use std::path::Path;

/// Forks the server with and without the module in turn, and tells of each: processor time until it listens, time until
/// then, and processor time of a thousand requests (ms).
const DRIVER: &str = r"
const { fork } = require('child_process')
const http = require('http')
const [server, module_, rounds] = process.argv.slice(1)
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })
const ask = (port) => new Promise((done, failed) =>
  http.get({ port, agent, path: '/' }, (answer) => answer.resume().on('end', done)).on('error', failed))
async function once(options) {
  const began = process.hrtime.bigint()
  const child = fork(server, { execArgv: [], env: { ...process.env, ...options } })
  const told = () => new Promise((done) => {
    const heard = (message) => message.cpu !== undefined && (child.off('message', heard), done(message))
    child.on('message', heard)
  })
  const start = await told()
  const until = Number(process.hrtime.bigint() - began) / 1e6
  const load = async (count) => { for (let n = 0; n < count; n += 16) await Promise.all(Array.from({ length: 16 }, () => ask(start.port))) }
  await load(4000)
  child.send('cpu')
  const before = await told()
  await load(8000)
  child.send('cpu')
  const after = await told()
  child.kill('SIGKILL')
  return [start.cpu, until, (after.cpu - before.cpu) / 8]
}
(async () => {
  const samples = []
  for (let n = 0; n < rounds; n++) {
    samples.push([await once({ NODE_OPTIONS: `--require ${JSON.stringify(module_)}` }), await once({})])
  }
  console.log(JSON.stringify(samples))
  process.exit()
})()
";

const SERVER: &str = r"
const cpu = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000 }
const server = require('http').createServer((_, answer) => answer.end('hello'))
server.listen(0, () => process.send({ cpu: cpu(), port: server.address().port }))
process.on('message', () => process.send({ cpu: cpu() }))
";

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let folder = tempfile::tempdir_in(&bench.directory).map_err(Failure::system("making a folder"))?;
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).map_err(Failure::system("writing the program")).map(|()| path)
    };
    let (server, module) = (write("server.js", SERVER)?, write("preload.cjs", preload::SOURCE)?);
    let rounds = (bench.runs * 4).to_string();
    let told = output(tool(Path::new("node")).arg("-e").arg(DRIVER).arg(server).arg(module).arg(rounds))?.stdout;
    let samples: Vec<[[f64; 3]; 2]> = serde_json::from_str(&told)
        .map_err(|error| Failure::Unexpected { manager: "node", what: error.to_string() })?;
    let of = |variant: usize, figure: usize| samples.iter().map(|sample| sample[variant][figure]).collect::<Samples>();
    let row = |what: &str, figure: usize| {
        let what = format!("{what}, beside the same program without it");
        Row::new(what, Unit::Milliseconds, vec![of(0, figure), of(1, figure)], Target::None)
    };
    Ok(vec![
        row("start of a Node server with baton's module, ms of processor time", 0),
        row("start of a Node server with baton's module, until it listens", 1),
        row("a thousand requests with baton's module, ms of processor time", 2),
    ])
}
