// `process` as a process file sees it: its own copy of the environment, an emulated working directory, and no way to
// change or end the program that evaluates it.
const sys = native.binding('process');

// Assigned values become text, as in Node; nothing reaches the real environment.
const env = new Proxy(native.environment(), {
  set(target, name, value) {
    if (typeof name === 'symbol' || typeof value === 'symbol') throw new TypeError('Cannot convert a Symbol value to a string');
    target[name] = String(value);
    return true;
  },
  defineProperty(target, name, description) {
    if ('value' in description) description.value = String(description.value);
    return Reflect.defineProperty(target, name, description);
  },
});

const version = 'v20.19.0';
let execPath;
const node = () => (execPath ??= sys.which('node') ?? 'node');
const argv = sys.argv.length ? [...sys.argv] : [node()];

function exit(code) {
  sys.stop(Number(code ?? process.exitCode ?? 0) | 0);
  for (;;); // until the engine asks whether to go on; no catch or finally can interfere
}

function stream(fd) {
  return {
    fd, isTTY: false, writable: true, columns: undefined,
    write(chunk, encoding, done) {
      native.print(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
      const callback = typeof encoding === 'function' ? encoding : done;
      if (callback) process.nextTick(callback);
      return true;
    },
    end(chunk) { if (chunk !== undefined) this.write(chunk); },
    on() { return this; }, once() { return this; }, off() { return this; }, emit() { return false; },
    removeListener() { return this; }, getColorDepth: () => 1, hasColors: () => false,
  };
}

function hrtime(since) {
  const now = sys.elapsed();
  let seconds = Math.floor(now);
  let nanoseconds = Math.floor((now - seconds) * 1e9);
  if (since) {
    seconds -= since[0];
    nanoseconds -= since[1];
    if (nanoseconds < 0) { seconds -= 1; nanoseconds += 1e9; }
  }
  return [seconds, nanoseconds];
}
hrtime.bigint = () => BigInt(Math.floor(sys.elapsed() * 1e9));

function emitWarning(warning, type, code) {
  const options = type !== null && typeof type === 'object' ? type : { type, code };
  const name = warning?.name ?? options.type ?? 'Warning';
  const label = options.code ? `[${options.code}] ` : '';
  native.print(`(baton) ${label}${name}: ${warning?.message ?? warning}\n`);
}

let title = 'node';
let umask = 0o022;
const process = {
  env, argv, argv0: argv[0], execArgv: [], version,
  versions: { node: version.slice(1), v8: '0.0.0', modules: '115', uv: '1.0.0' },
  release: { name: 'node', lts: 'Iron' },
  config: { variables: {}, target_defaults: {} },
  features: { inspector: false, ipv6: true, tls: false },
  pid: sys.pid, ppid: sys.ppid, platform: sys.platform, arch: sys.arch,
  exitCode: undefined, exiting: false, connected: false, debugPort: 9229,
  get execPath() { return node(); },
  get title() { return title; },
  set title(text) { title = String(text); },
  cwd: () => sys.cwd(),
  chdir: (directory) => sys.chdir(String(directory)),
  exit, reallyExit: exit,
  abort: () => exit(134),
  kill: () => native.unsupported('process.kill'),
  dlopen: () => native.unsupported('process.dlopen'),
  getuid: () => sys.uid, getgid: () => sys.gid, geteuid: () => sys.euid, getegid: () => sys.egid,
  getgroups: () => [sys.gid],
  umask(mask) { const old = umask; if (mask !== undefined) umask = Number(mask); return old; },
  uptime: () => sys.elapsed(),
  hrtime,
  memoryUsage: Object.assign(() => { const rss = sys.memory(); return { rss, heapTotal: rss, heapUsed: rss, external: 0, arrayBuffers: 0 }; }, { rss: () => sys.memory() }),
  cpuUsage: () => ({ user: Math.floor(sys.elapsed() * 1e6), system: 0 }),
  resourceUsage: () => ({}),
  nextTick: (run, ...args) => queueMicrotask(() => run(...args)),
  emitWarning,
  stdout: stream(1), stderr: stream(2),
  stdin: { fd: 0, isTTY: false, on() { return this; }, once() { return this; }, resume() {}, pause() {}, setEncoding() {} },
  // Nothing happens to this process that a listener could hear.
  on() { return process; }, once() { return process; }, off() { return process; }, addListener() { return process; },
  prependListener() { return process; }, removeListener() { return process; }, removeAllListeners() { return process; },
  emit: () => false, listeners: () => [], listenerCount: () => 0, eventNames: () => [], setMaxListeners() { return process; }, getMaxListeners: () => 10,
  binding: (name) => native.unsupported(`process.binding('${name}')`),
  getBuiltinModule: (name) => { try { return require(String(name).replace(/^node:/, '')); } catch { return undefined; } },
  loadEnvFile(file = '.env') { require('dotenv').config({ path: file, throws: true }); },
};
Object.defineProperty(process, Symbol.toStringTag, { value: 'process', configurable: true });
module.exports = process;
