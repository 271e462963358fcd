// Loaded by baton before a program of Node: it tells metrics and exceptions over the IPC channel, and helps a cluster worker
// to leave without cutting off a client. `pmx: false` leaves it out.
//
// It must not be noticed. It waits for nothing that keeps the program alive, patches nothing while the program serves,
// throws nothing into it, and says what it says in messages that Node takes for its own, so that no listener of the
// program sees them.
'use strict';

// No syntax that an old Node does not read: it must start its program all the same.

// The program and its children see NODE_OPTIONS as if we were not there. Its path may be a link to this file.
const ours = /(?:^| )--require "(?:[^"\\]|\\.)*\/run\/preload\.cjs"$/.exec(process.env.NODE_OPTIONS || '');
if (ours && ours.index === 0 && ours[0][0] !== ' ') delete process.env.NODE_OPTIONS;
else if (ours) process.env.NODE_OPTIONS = process.env.NODE_OPTIONS.slice(0, ours.index);

// Worker threads and whoever else has no channel of ours load this file too.
if (process.connected && typeof process.send === 'function' && parseInt(process.versions.node, 10) >= 18) begin();

function begin() {
  const PERIOD = 1000; // ms between two looks
  const WINDOW = 60; // looks that rates and latencies are of
  const SAMPLES = 256; // requests whose latency is remembered
  const PER_PERIOD = 200; // requests that are timed in one period, about
  const channel = require('diagnostics_channel').channel;
  const send = process.send;

  let busy = false;
  function tell(type, data) {
    if (!process.connected) return;
    busy = true;
    try {
      send.call(process, { cmd: 'NODE_BATON', type, data }, () => { busy = false; });
    } catch {
      busy = false;
    }
  }

  // ---- requests

  let total = 0; // in this period
  let every = 1; // one of so many is timed
  const begun = new WeakMap();
  const latencies = []; // [period, ms], a ring
  let next = 0;
  const counts = new Array(WINDOW).fill(0);
  let sum = 0;
  let leaving = false;
  let last;
  const servers = [];

  function requested({ server, response }) {
    total++;
    if (server !== last) know(server);
    if (leaving) response.shouldKeepAlive = false;
    if (total % every === 0) begun.set(response, performance.now());
  }

  function answered({ response }) {
    const since = begun.get(response);
    if (since === undefined) return;
    latencies[next] = [period, performance.now() - since];
    next = (next + 1) % SAMPLES;
  }

  function know(server) {
    last = server;
    if (!servers.some((known) => known.deref() === server)) servers.push(new WeakRef(server));
  }

  channel('http.server.request.start').subscribe(requested);
  channel('http.server.response.finish').subscribe(answered);

  // ---- metrics

  let period = 0;
  let woke = performance.now();
  const lags = [];
  const told = new Map();

  // How late we wake is how long a request that came at that moment would have waited.
  function look() {
    const now = performance.now();
    lags[period % WINDOW] = Math.max(0, now - woke - PERIOD);
    woke = now;
    sum += total - counts[period % WINDOW];
    counts[period % WINDOW] = total;
    every = Math.max(1, Math.ceil(total / PER_PERIOD));
    total = 0;
    period++;
    if (!busy) report(false);
  }

  function report(all) {
    const metrics = {};
    let some = false;
    // Only what has moved: a program that rests says nothing.
    const put = (name, value, floor, digits, type, unit) => {
      const before = told.get(name);
      if (!all && before !== undefined && Math.abs(value - before) <= Math.max(floor, Math.abs(before) * 0.05)) return;
      told.set(name, value);
      some = true;
      metrics[name] = { historic: true, unit, type, value: digits === undefined ? value : value.toFixed(digits) };
    };
    const { heapTotal, heapUsed } = process.memoryUsage();
    put('Heap Size', heapTotal / 1048576, 1, 2, 'internal/v8/heap/total', 'MiB');
    put('Heap Usage', Number(((100 * heapUsed) / heapTotal).toFixed(2)), 5, undefined, 'internal/v8/heap/usage', '%');
    put('Used Heap Size', heapUsed / 1048576, 1, 2, 'internal/v8/heap/used', 'MiB');
    const resources = process.getActiveResourcesInfo && process.getActiveResourcesInfo();
    if (resources) {
      const requests = resources.filter((kind) => /Req|ConnectWrap|WriteWrap|ShutdownWrap/.test(kind)).length;
      const timers = resources.filter((kind) => kind === 'Timeout' || kind === 'Immediate').length;
      put('Active requests', requests, 0, undefined, 'internal/libuv/requests');
      put('Active handles', resources.length - requests - timers, 0, undefined, 'internal/libuv/handles');
    }
    const waits = lags.slice().sort((a, b) => a - b);
    put('Event Loop Latency', at(waits, 0.5), 1, 2, 'internal/libuv/latency/p50', 'ms');
    put('Event Loop Latency p95', at(waits, 0.95), 1, 2, 'internal/libuv/latency/p95', 'ms');
    if (sum > 0 || told.has('HTTP')) {
      put('HTTP', Math.round((sum * WINDOW) / Math.min(period, WINDOW)), 0, undefined, 'internal/http/builtin/reqs', 'req/min');
      const recent = latencies.filter(([when]) => when > period - WINDOW).map(([, ms]) => ms).sort((a, b) => a - b);
      const mean = recent.reduce((a, b) => a + b, 0) / (recent.length || 1);
      put('HTTP Mean Latency', mean, 0.1, 2, 'internal/http/builtin/latency/p50', 'ms');
      put('HTTP P95 Latency', at(recent, 0.95), 0.1, 2, 'internal/http/builtin/latency/p95', 'ms');
    }
    if (some) tell('axm:monitor', metrics);
  }

  function at(sorted, share) {
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] : 0;
  }

  setInterval(() => {
    try { look(); } catch { /* A metric is no reason to disturb a program. */ }
  }, PERIOD).unref();

  // ---- exceptions that end the program, as it sees them or not

  process.on('uncaughtExceptionMonitor', (error, origin) => {
    try {
      const text = (value) => String(value).slice(0, 16384);
      const { name, message, stack, code } = Object(error);
      const whole = message === undefined ? text(error) : text(message);
      tell('process:exception', { name: name && text(name), message: whole, stack: stack && text(stack), code, origin });
    } catch { /* What can't be shown is printed by Node. */ }
  });

  // ---- actions

  let session;
  const file = (kind) => require('path').join(require('os').tmpdir(), `${(process.env.name || 'app').replace(/[^\w.-]/g, '_')}-${process.pid}-${Date.now()}.${kind}`);
  const written = (kind, path) => ({ success: true, [kind]: true, dump_file: path, dump_file_size: require('fs').statSync(path).size });
  const actions = {
    // On the usual port where that is free: Node would write into the log of the program that it is not.
    'internal:inspect': (reply) => {
      const inspector = require('inspector');
      const is = () => reply({ success: true, url: inspector.url() });
      if (inspector.url()) return is();
      const open = (port) => {
        try {
          inspector.open(port, '127.0.0.1');
          is();
        } catch (error) {
          reply({ success: false, err: error.message });
        }
      };
      const trial = require('net').createServer();
      trial.once('error', () => open(0));
      trial.listen({ port: process.debugPort, host: '127.0.0.1', exclusive: true }, () => trial.close(() => open(process.debugPort)));
    },
    'km:heapdump': (reply) => reply(written('heapdump', require('v8').writeHeapSnapshot(file('heapsnapshot')))),
    'km:cpu:profiling:start': (reply) => {
      if (session) return reply({ success: false, err: 'a profile is being taken' });
      session = new (require('inspector').Session)();
      session.connect();
      session.post('Profiler.enable');
      session.post('Profiler.start', (error) => reply(error ? { success: false, err: error.message } : { success: true }));
    },
    'km:cpu:profiling:stop': (reply) => {
      if (!session) return reply({ success: false, err: 'no profile is being taken' });
      const ended = session;
      session = undefined;
      ended.post('Profiler.stop', (error, result) => {
        ended.disconnect();
        if (error) return reply({ success: false, err: error.message });
        const path = file('cpuprofile');
        require('fs').writeFileSync(path, JSON.stringify(result.profile), { mode: 0o600 });
        reply(written('cpuprofile', path));
      });
    },
  };

  function act(name) {
    const reply = (value) => tell('axm:reply', { action_name: name, return: value });
    try {
      if (Object.hasOwn(actions, name)) actions[name](reply);
    } catch (error) {
      reply({ success: false, err: String(error && error.message) });
    }
  }

  // ---- leaving a cluster

  // Node closes connections that rest at once, and a client may just be using one. They may be used once more instead,
  // and are told to end with the answer; what still rests after a moment is closed. Node 18 leaves them open for ever.
  function leave() {
    leaving = true;
    for (const server of servers.map((known) => known.deref())) {
      const close = server && server.closeIdleConnections;
      if (typeof close !== 'function') continue;
      server.closeIdleConnections = () => {};
      const again = () => { try { close.call(server); } catch { /* It is closed. */ } };
      setTimeout(() => {
        delete server.closeIdleConnections;
        again();
        // Answers that were being written when the order came end later.
        setInterval(again, PERIOD).unref();
      }, PERIOD).unref();
    }
  }

  process.prependListener('internalMessage', (message) => {
    try {
      if (message.cmd === 'NODE_CLUSTER' && message.act === 'disconnect') leave();
      else if (message.cmd === 'NODE_BATON' && message.report) report(true);
      else if (message.cmd === 'NODE_BATON' && message.action) act(message.action);
    } catch { /* The program goes on as if nothing had come. */ }
  });

  tell('baton:hello', { node_version: process.versions.node, actions: Object.keys(actions) });
}
