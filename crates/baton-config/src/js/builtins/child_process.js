// The synchronous calls run; what would outlive the evaluation needs the real Node.
const sys = native.binding('child_process');
const signals = require('os').constants.signals;
const nameOf = (number) => Object.keys(signals).find((name) => signals[name] === number) ?? null;

function spawnSync(file, args, options) {
  if (!Array.isArray(args)) [args, options] = [[], args];
  options ??= {};
  let command = [String(file), ...args.map(String)];
  if (options.shell) command = [typeof options.shell === 'string' ? options.shell : '/bin/sh', '-c', command.join(' ')];
  const env = options.env ?? process.env;
  const stdio = typeof options.stdio === 'string' ? [options.stdio, options.stdio, options.stdio] : options.stdio ?? ['pipe', 'pipe', 'pipe'];
  const input = options.input === undefined ? undefined : typeof options.input === 'string' ? Buffer.from(options.input) : new Uint8Array(options.input.buffer, options.input.byteOffset, options.input.byteLength);
  let done;
  try {
    done = sys.run({
      file: command[0], args: command.slice(1),
      cwd: options.cwd === undefined ? undefined : options.cwd.href ? require('url').fileURLToPath(options.cwd) : String(options.cwd),
      env: Object.keys(env).filter((name) => env[name] !== undefined).map((name) => [name, String(env[name])]),
      input: input && native.binary(input), timeout: options.timeout,
      killSignal: signals[options.killSignal] ?? options.killSignal ?? signals.SIGTERM,
    });
  } catch (error) {
    if (!error.code) throw error;
    Object.assign(error, { path: command[0], spawnargs: command.slice(1), message: `spawnSync ${command[0]} ${error.code}` });
    return { pid: 0, output: null, stdout: null, stderr: null, status: null, signal: null, error };
  }
  const take = (fd, bytes) => {
    const buffer = Buffer.from(bytes);
    if (stdio[fd] === 'inherit' || stdio[fd] === fd) native.print(buffer.toString());
    if (stdio[fd] !== undefined && stdio[fd] !== null && stdio[fd] !== 'pipe') return null;
    return options.encoding && options.encoding !== 'buffer' ? buffer.toString(options.encoding) : buffer;
  };
  const stdout = take(1, done.stdout);
  const stderr = take(2, done.stderr);
  const result = { pid: done.pid, output: [null, stdout, stderr], stdout, stderr, status: done.status ?? null, signal: done.signal == null ? null : nameOf(done.signal) };
  if (done.timedOut) {
    result.error = Object.assign(new Error(`spawnSync ${command[0]} ETIMEDOUT`), { errno: -110, code: 'ETIMEDOUT', syscall: `spawnSync ${command[0]}`, path: command[0], spawnargs: command.slice(1) });
  }
  return result;
}

function outputOf(result, shown, options) {
  if (result.error) throw Object.assign(result.error, result);
  if (result.status !== 0) {
    const stderr = result.stderr?.length ? `\n${result.stderr.toString()}` : '';
    throw Object.assign(new Error(`Command failed: ${shown}${stderr}`), result);
  }
  // The command's complaints are for whoever starts the file, as in Node.
  if (options?.stdio === undefined && result.stderr?.length) native.print(result.stderr.toString());
  return result.stdout;
}

function execSync(command, options) {
  return outputOf(spawnSync(command, [], { ...options, shell: options?.shell ?? true }), command, options);
}

function execFileSync(file, args, options) {
  if (!Array.isArray(args)) [args, options] = [[], args];
  return outputOf(spawnSync(file, args, options), [file, ...args].join(' '), options);
}

module.exports = { spawnSync, execSync, execFileSync, ChildProcess: class ChildProcess {} };
for (const name of ['spawn', 'exec', 'execFile', 'fork']) module.exports[name] = () => native.unsupported(`child_process.${name}`);
