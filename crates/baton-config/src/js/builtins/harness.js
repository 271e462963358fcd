// Runs in the real Node, behind settle.js, modules.js and what makes the helpers: evaluates a process file and prints one
// line, the marker and JSON.
const fs = require('fs');
const path = require('path');
const Module = require('module');
const { MessageChannel, receiveMessageOnPort } = require('worker_threads');
const { fileURLToPath, pathToFileURL } = require('url');
const { file, marker, expression, argv, fields } = JSON.parse(fs.readFileSync(0, 'utf8'));

// A pipe takes what it has room for.
const write = (text) => {
  for (let bytes = Buffer.from(`\n${marker}${text}\n`); bytes.length; ) bytes = bytes.subarray(fs.writeSync(1, bytes));
};
const print = (report) => write(JSON.stringify({ ...report, ...seen() }));
const exit = process.exit;
let done = false;
const fail = (error) => {
  const isError = error instanceof Error;
  done = true;
  print({ error: isError ? { name: error.name, message: error.message, code: error.code, stack: error.stack } : { message: `threw ${String(error)}` } });
  exit(0);
};

// What the file prints must not stand before the result.
process.stdout.write = (...args) => process.stderr.write(...args);
process.argv = argv.length ? argv : [process.execPath];
process.on('uncaughtException', fail);
process.on('exit', (code) => { if (!done) print(code === 0 && process.exitCode === undefined ? { pending: true } : { exit: process.exitCode ?? code }); });
process.exit = (code = process.exitCode ?? 0) => { if (!done) print({ exit: Number(code) }); done = true; exit(code); };

// What the file reads, looks for and lists.
const [read, lookedFor, directories] = [new Set(), new Set(), new Set()];
const told = [];
const seen = () => {
  for (const tell of told) tell();
  const required = Object.keys(require.cache).filter((name) => name.startsWith('/'));
  return { inputs: [...new Set([...read, ...required])], lookedFor: [...lookedFor], directories: [...directories] };
};
const note = (set, given) => {
  if (typeof given === 'string' || Buffer.isBuffer(given)) set.add(path.resolve(String(given)));
  else if (given instanceof URL && given.protocol === 'file:') set.add(fileURLToPath(given));
};
const watched = (api, name, found) => {
  const real = api[name];
  api[name] = Object.assign(function (given, ...rest) {
    const failed = (error) => {
      note(lookedFor, given);
      throw error;
    };
    let result;
    try {
      result = real.call(this, given, ...rest);
    } catch (error) {
      failed(error);
    }
    if (typeof result?.then === 'function') return result.then((done) => (note(found, given), done), failed);
    note(found, given);
    return result;
  }, real);
};
for (const name of ['existsSync', 'statSync', 'lstatSync', 'accessSync', 'readlinkSync']) watched(fs, name, lookedFor);
for (const name of ['stat', 'lstat', 'access', 'readlink']) watched(fs.promises, name, lookedFor);
for (const [name, set] of [['readFile', read], ['readdir', directories]]) {
  watched(fs, `${name}Sync`, set);
  watched(fs.promises, name, set);
}
Module.syncBuiltinESMExports();
const resolveFilename = Module._resolveFilename;
Module._resolveFilename = function (request, parent, ...rest) {
  try {
    return resolveFilename.call(this, request, parent, ...rest);
  } catch (error) {
    if (/^(\.{0,2}\/|\.{1,2}$)/.test(request)) {
      const whole = path.resolve(parent?.path ?? '.', request);
      for (const ending of ['', '.js', '.json', '/index.js']) lookedFor.add(whole + ending);
    }
    throw error;
  }
};

// The helpers, for those who ask for them and have no package of that name installed.
let host;
const byFile = new Map();
const helpersFor = (from) => {
  host ??= makeHelpers({ binding: () => batonInNode(fields, (directory) => directories.add(directory)) });
  if (!byFile.has(from)) {
    const require = Module.createRequire(from);
    byFile.set(from, host.helpersFor((service) => require(service), from));
  }
  return byFile.get(from);
};
const isHelpers = (request) => request === 'baton' || request === 'node:baton';
const load = Module._load;
Module._load = function (request, parent, ...rest) {
  if (isHelpers(request)) {
    try {
      resolveFilename.call(Module, request, parent);
    } catch {
      return helpersFor(parent?.filename ?? file);
    }
  }
  return load.call(this, request, parent, ...rest);
};
// `import` asks elsewhere: a module that fetches them from here stands for the helpers.
globalThis[Symbol.for('baton.helpers')] = (from) => helpersFor(from ? fileURLToPath(from) : file);
const hooks = `
const isHelpers = ${isHelpers};
const standIn = (from) => 'data:text/javascript,' + encodeURIComponent('const made = globalThis[Symbol.for("baton.helpers")](' + JSON.stringify(from) + '); export default made; export const { defineApp, definePythonService, defineNodeService, defineAgent, defineStack, loadServices } = made;');
const found = (context) => ({ url: standIn(context.parentURL ?? null), format: 'module', shortCircuit: true });
const missing = (request, context) => /^(\\.{0,2}\\/|file:)/.test(request) ? { missing: new URL(request, context.parentURL).href } : {};
`;
// What is imported is not in the cache of what is required.
const hear = ({ url, missing }) => {
  if (url?.startsWith('file:')) read.add(fileURLToPath(url));
  if (missing) lookedFor.add(fileURLToPath(missing));
};
let hooked = false;
const hook = () => {
  if (hooked) return;
  hooked = true;
  const resolve = (asynchronous) => {
    const [begin, wait] = asynchronous ? ['async ', 'await '] : ['', ''];
    return `${begin}(request, context, next) => {
      if (isHelpers(request) && request !== 'baton') return found(context);
      try {
        const result = ${wait}next(request, context);
        tell({ url: result.url });
        return result;
      } catch (error) {
        if (isHelpers(request)) return found(context);
        tell(missing(request, context));
        throw error;
      }
    }`;
  };
  if (Module.registerHooks) {
    Module.registerHooks({ resolve: new Function('tell', `${hooks} return ${resolve(false)};`)(hear) });
  } else if (Module.register) {
    const { port1, port2 } = new MessageChannel();
    const source = `${hooks} let port; const tell = (what) => port.postMessage(what); export const initialize = (given) => { port = given; }; export const resolve = ${resolve(true)};`;
    Module.register(`data:text/javascript,${encodeURIComponent(source)}`, { data: port2, transferList: [port2] });
    port1.unref();
    told.push(() => {
      for (let next; (next = receiveMessageOnPort(port1)); ) hear(next.message);
    });
  }
};
const importFile = () => {
  hook();
  return import(pathToFileURL(file));
};
// Where Node can do so in one thread, `require` of an ES module asks there too.
if (Module.registerHooks) hook();
const isModule = () => {
  if (!/\.[jt]s$/.test(file)) return /\.m[jt]s$/.test(file);
  for (let at = path.dirname(file); ; at = path.dirname(at)) {
    const description = path.join(at, 'package.json');
    if (fs.existsSync(description)) {
      try {
        return JSON.parse(fs.readFileSync(description, 'utf8')).type === 'module';
      } catch {
        return false;
      }
    }
    if (at === path.dirname(at)) return false;
  }
};
const misses = (error) => error?.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes(`package 'baton' imported from ${file}`);

(async () => {
  if (/\.[cm]?ts$/.test(file) && !process.features.typescript) {
    throw new Error(`Node ${process.version} reads no TypeScript by itself; 22.18 and newer do`);
  }
  let value;
  if (expression !== undefined && expression !== null) {
    value = require('vm').runInThisContext(`(${expression}\n)`, { filename: file, columnOffset: -1 });
  } else if (isModule()) {
    value = await importFile();
  } else {
    try {
      value = require(file);
      // The namespace that `import` gives has no `__esModule` of Node's own in it.
      if (require('util').types.isModuleNamespaceObject(value)) value = await importFile();
    } catch (error) {
      if (!misses(error) && !['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE'].includes(error?.code) && !/^(Cannot use import statement|Unexpected token 'export')/.test(error?.message)) throw error;
      value = await importFile();
    }
  }
  const { text, without, traces } = settle.stringify(await settle(value, { ...process.env }), (env) => host?.trace(env));
  const loaded = Object.values(require.cache);
  const exported = loaded.length > 1 ? modules(file, loaded) : [];
  const report = { ...seen(), traces };
  // As a text within the text: halves of surrogate pairs are no values of JSON everywhere.
  if (/\\ud[89a-f]/.test(text)) report.exact = text;
  done = true;
  write(`${JSON.stringify(report).slice(0, -1)},"without":${JSON.stringify(without)},"exported":${JSON.stringify(exported)},"value":${text ?? 'null'},"nothing":${text === undefined}}`);
  exit(0);
})().catch(fail);
