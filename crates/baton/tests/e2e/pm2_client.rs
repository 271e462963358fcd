//! PM2's JavaScript client (`require('pm2')`) against a baton daemon does what it does against PM2's.

use crate::beside_pm2::pair::{Pair, program};
use crate::telling::packages;
use std::path::Path;

/// Says when it is ready, and stays.
const APP: &str = "
require('http').createServer((request, response) => response.end()).listen(0, () => process.send('ready'));
process.on('SIGUSR2', () => {});
";

/// Calls the client with each of some lists of words, one after the other, and prints what it calls back with.
const CLIENT: &str = "
const pm2 = require(process.argv[2]);
const app = __dirname + '/app.js';
const wait = { wait_ready: true, listen_timeout: 60000 };
const told = value => {
  if (Array.isArray(value)) return value.map(told).sort((a, b) => a[1] < b[1] ? -1 : 1);
  if (Buffer.isBuffer(value)) return 'bytes';
  const of = value && value.pm2_env;
  if (!of) return value;
  const members = ['pm_id', 'name', 'monit', 'process'].filter(key => key in value);
  return [of.name, of.pm_id, of.status, of.restart_time, of.env && [`${of.env.V}`, `${of.env.W}`], !!of.watch, of.kill_timeout,
    of.exec_mode, of.args, of.NODE_APP_INSTANCE, members, value.pid > 0, value.process && value.process.pid > 0];
};
const call = (name, ...args) => new Promise(done => pm2[name](...args, (error, result) => {
  const failed = error && [error instanceof Error, error.message || error];
  const words = args.map(word => typeof word === 'object' ? Object.keys(word) : word);
  console.log(JSON.stringify([name, words, failed, name === 'connect' ? 0 : told(result)]).replaceAll(__dirname, ''));
  done();
}));
(async () => {
  const calls = [
    ['connect'],
    ['getVersion'],
    ['start', { ...wait, script: app, name: 'a', env: { V: 1 }, args: ['x', 'y z'], watch: true }],
    ['start', { ...wait, script: app, name: 'a', env: { V: 2, W: 3 } }],
    ['start', { ...wait, script: app, name: 'b', instances: 2, exec_mode: 'cluster' }],
    ['start', { script: app, name: 'down', autostart: false }],
    ['start', app, { ...wait, name: 'a', force: true }],
    ['start', { script: '/not/there.js' }],
    ['list'],
    ['describe', 'a'],
    ['describe', 'nope'],
    ['restart', 'a'],
    ['restart', 'nope'],
    ['restart', 99],
    ['restart', 'a', { updateEnv: true }],
    ['reload', 'b'],
    ['reload', 'a'],
    ['reload', 'nope'],
    ['stop', 'a'],
    ['restart', 0],
    ['list'],
    ['stop', 'a'],
    ['stop', 'a'],
    ['start', 'a'],
    ['stop', 'nope'],
    ['sendSignalToProcessName', 'SIGUSR2', 'b'],
    ['sendSignalToProcessName', 'SIGNOPE', 'b'],
    ['sendSignalToProcessName', 'SIGUSR2', 'nope'],
    ['sendSignalToProcessId', 'SIGUSR2', 0],
    ['sendSignalToProcessId', 'SIGNOPE', 0],
    ['sendSignalToProcessId', 'SIGUSR2', 99],
    ['scale', 'b', 3],
    ['scale', 'b', 1],
    ['scale', 'nope', 1],
    ['reset', 'a'],
    ['reset', 'nope'],
    ['flush', 'a'],
    ['reloadLogs'],
    ['dump'],
    ['getProcessIdByName', 'a'],
    ['start', { apps: [{ ...wait, script: app, name: 'a', env: { V: 5 }, kill_timeout: 1234 }] }],
    ['list'],
    ['delete', 'nope'],
    ['delete', 'a'],
    ['delete', 'all'],
    ['list'],
    ['resurrect'],
    ['list'],
    ['killDaemon'],
  ];
  for (const [name, ...args] of calls) await call(name, ...args);
  process.exit();
})();
";

/// Listens on the bus, does one thing after the other, and prints what it hears of each until the last of it has come.
const LISTENER: &str = "
const pm2 = require(process.argv[2]);
const heard = [];
let wanted = () => {};
const members = ['pm_id', 'name', 'namespace', 'exec_mode', 'pm_exec_path', 'pm_cwd', 'restart_time', 'env'];
pm2.connect(() => pm2.launchBus(async (error, bus) => {
  bus.on('*', (topic, packet) => {
    const { at, process: of, ...rest } = packet;
    if (topic === 'process:event') heard.push([topic, packet.event, packet.manually, at > 0, members.map(key => `${of[key]}`)]);
    else if (topic === 'log:out' || topic === 'log:err') heard.push([topic, of.pm_id, of.name, of.namespace, of.rev, at > 0, packet.data]);
    else if (topic === 'pm2:kill') heard.push([topic, packet]);
    wanted();
  });
  const after = (what, app, name, ...args) => new Promise(done => {
    wanted = () => {
      if (!what.every(word => heard.some(packet => packet[1] === word || packet[0] === word))) return;
      wanted = () => {};
      // PM2 tells an end by command twice, the second time late, and its two streams and sockets in no order.
      const meant = ([topic, event, , , of]) => topic !== 'process:event' || of[1] === app && (event !== 'exit' || what.includes(event));
      const lines = new Set(heard.splice(0).filter(meant).map(packet => JSON.stringify(packet).replaceAll(__dirname, '')));
      console.log(JSON.stringify([name, [...lines].sort()]));
      done();
    };
    pm2[name](...args, () => {});
  });
  await after(['start', 'log:out', 'log:err'], 'a', 'start', { script: __dirname + '/app.js', name: 'a', namespace: 'n', vizion: false });
  await after(['restart', 'exit', 'online', 'log:out', 'log:err'], 'a', 'restart', 'a');
  await after(['stop', 'exit'], 'a', 'stop', 'a');
  await after(['restart', 'online', 'log:out', 'log:err'], 'a', 'start', 'a');
  await after(['start', 'exit', 'restart overlimit'], 'bad', 'start', { script: __dirname + '/bad.js', name: 'bad', max_restarts: 1, vizion: false });
  await after(['pm2:kill'], '', 'killDaemon');
  process.exit();
}));
";

/// Listens to what the daemon itself writes, does one thing after the other, and prints what it heard of each about the app
/// in PM2's words, in their order.
const READER: &str = "
const pm2 = require(process.argv[2]);
const heard = [];
let wanted = () => {};
pm2.connect(() => pm2.launchBus(async (error, bus) => {
  // As PM2's own `logs` listens.
  bus.on('log:*', (stream, packet) => {
    if (stream !== 'PM2') return;
    const { at, process: of, ...rest } = packet;
    heard.push([of, at > 0, rest]);
    wanted();
  });
  const after = (last, name, ...args) => new Promise(done => {
    wanted = () => {
      if (!heard.some(([, , { data }]) => data === last)) return;
      wanted = () => {};
      const lines = heard.splice(0).filter(([, , { data }]) => /^(App \\[|Stopping app:)/.test(data));
      console.log(JSON.stringify([name, lines]));
      done();
    };
    pm2[name](...args, () => {});
  });
  await after('App [a:0] online\\n', 'start', { script: __dirname + '/app.js', name: 'a', vizion: false });
  await after('App [a:0] exited with code [0] via signal [SIGINT]\\n', 'stop', 'a');
  process.exit();
}));
";

#[test]
fn the_bus_of_pm2_tells_what_the_daemon_itself_writes() {
    if program().is_none() {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    pair.file("app.js", "setInterval(() => {}, 1e6)");
    pair.file("client.js", READER);
    pair.baton.run(["ping"]).ok();
    let theirs = calls(pair.pm2.home(), &pair.pm2.work().join("client.js"));
    let ours = calls(pair.baton.home(), &pair.baton.dir().join("client.js"));
    assert_eq!(theirs, ours);
    assert!(ours.len() == 2 && ours.iter().all(|line| line.contains("App [a:0]")), "{ours:#?}");
}

#[test]
fn the_bus_of_pm2_tells_events_logs_and_the_end() {
    if program().is_none() {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    pair.file("app.js", "console.log('out ü'); console.error('err'); setInterval(() => {}, 1e6)");
    pair.file("bad.js", "process.exit(1)");
    pair.file("client.js", LISTENER);
    pair.baton.run(["ping"]).ok();
    let theirs = calls(pair.pm2.home(), &pair.pm2.work().join("client.js"));
    let ours = calls(pair.baton.home(), &pair.baton.dir().join("client.js"));
    let different: Vec<_> = theirs.iter().zip(&ours).filter(|(theirs, ours)| theirs != ours).collect();
    assert!(different.is_empty(), "{different:#?}");
    assert_eq!((theirs.len(), ours.len()), (6, 6), "{theirs:#?} {ours:#?}");
}

/// Runs the client on a home; the lines that it prints.
fn calls(home: &Path, script: &Path) -> Vec<String> {
    #[expect(clippy::disallowed_methods, reason = "a client of PM2's is started as a user would")]
    let output = std::process::Command::new("node")
        .arg(script)
        .arg(packages().expect("PM2 is there").join("pm2"))
        .env("PM2_HOME", home)
        .env("PM2_SILENT", "true")
        .env_remove("V")
        .output()
        .expect("node");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    // What it prints of its own accord is none of what it calls back with.
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().filter(|line| line.starts_with("[\"")).map(str::to_owned).collect()
}

#[test]
fn every_call_of_the_client_of_pm2_is_answered_as_by_pm2() {
    if program().is_none() {
        return;
    }
    let Some(pair) = Pair::new() else { return };
    pair.file("app.js", APP);
    pair.file("client.js", CLIENT);
    pair.baton.run(["ping"]).ok();
    let theirs = calls(pair.pm2.home(), &pair.pm2.work().join("client.js"));
    let ours = calls(pair.baton.home(), &pair.baton.dir().join("client.js"));
    let different: Vec<_> = theirs.iter().zip(&ours).filter(|(theirs, ours)| theirs != ours).collect();
    assert!(different.is_empty(), "{different:#?}");
    assert_eq!(theirs.len(), ours.len(), "{theirs:#?} {ours:#?}");
    assert!(ours.last().is_some_and(|line| line.starts_with("[\"killDaemon\"")), "{ours:#?}");
    assert!(!pair.baton.home().join("rpc.sock").exists() && !pair.baton.home().join("baton.sock").exists());
}
