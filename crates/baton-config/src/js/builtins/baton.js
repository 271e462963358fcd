// Helpers for process files: `require('baton')`. They give plain apps, so that what comes out can be spread, changed and
// mixed with apps that are written out. `kind` and `units` of the data formats are these same functions (`expand`).
const fs = require('fs');
const path = require('path');
const { field, glob } = native.binding('baton');

const list = (value) => (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value]);
const words = (value) => (typeof value === 'string' ? native.binding('baton').words(value) : list(value));

// Which variables of an app were given, and which are only defaults that a unit's environment stands above.
const given = new WeakMap();

// What an `env` is made of, lowest first: `[who, name, variables]`. Only for those who ask where a variable comes from.
const traces = new WeakMap();
const traced = (env) => traces.get(env) ?? [['app', '', env]];

// Whether an app has a key, in any of its spellings.
const has = (app, name) => Object.keys(app).some((key) => app[key] !== undefined && (key === name || field(key) === name));
const logs = (name) => ({ out_file: `./logs/${name}-out.log`, error_file: `./logs/${name}-err.log` });

function check(condition, message) {
  if (!condition) throw new TypeError(message);
}

function defineApp(name, script, args, options) {
  if (name !== null && typeof name === 'object') return defineApp(name.name, name.script, name.args, name);
  if (args !== null && typeof args === 'object' && !Array.isArray(args) && options === undefined) [args, options] = [undefined, args];
  options ??= {};
  check(typeof name === 'string' && name !== '', 'defineApp: an app needs a name');
  const app = { name, script: script ?? options.script, args: args ?? options.args ?? [] };
  const defaults = { exec_mode: 'fork', instances: 1, ...logs(name), merge_logs: true, autorestart: true, restart_delay: 10000, kill_timeout: 10000 };
  for (const key of Object.keys(defaults)) if (!has(options, key)) app[key] = defaults[key];
  for (const key of Object.keys(options)) if (!['name', 'script', 'args', 'env'].includes(key)) app[key] = options[key];
  const own = options.env ?? {};
  app.env = { ...variables(), ...own, PM2_PROCESS_NAME: name };
  given.set(app.env, own);
  traces.set(app.env, [['helper', '', variables()], ['app', '', own], ['helper', '', { PM2_PROCESS_NAME: name }]]);
  return app;
}
defineApp.HEARTBEAT_PORT = 5005;
defineApp.PYTHONPATH = undefined;

function variables() {
  return {
    HEARTBEAT_PORT: defineApp.HEARTBEAT_PORT,
    PYTHONUNBUFFERED: '1',
    ...(defineApp.PYTHONPATH === undefined ? {} : { PYTHONPATH: defineApp.PYTHONPATH }),
    CHECK_INTERVAL: 300000,
    HEARTBEAT_TIMEOUT: 600000,
  };
}

// How a directory's Python is run: by what lies in it.
function managerOf(directory) {
  const here = (name) => fs.existsSync(path.resolve(directory, name));
  if (here('uv.lock')) return 'uv';
  if (here('Pipfile')) return 'pipenv';
  return here('.venv') || here('venv') ? 'venv' : 'pipenv';
}

function definePythonService(name, directory, options = {}) {
  check(typeof directory === 'string', `definePythonService: ${name} needs a directory`);
  const { manager, module = 'main', venv, args, ...rest } = options;
  const where = rest.cwd ?? directory;
  const kind = manager ?? (venv ? 'venv' : managerOf(where));
  const run = ['-m', module, ...words(args)];
  const programs = {
    pipenv: () => ['pipenv', ['run', 'python', ...run]],
    uv: () => ['uv', ['run', 'python', ...run]],
    venv: () => [path.resolve(where, venv ?? (fs.existsSync(path.resolve(where, '.venv')) ? '.venv' : 'venv'), 'bin/python'), run],
  };
  check(Object.hasOwn(programs, kind), `definePythonService: ${name}: manager '${kind}' is none of pipenv, uv, venv`);
  const [script, line] = programs[kind]();
  return defineApp(name, rest.script ?? script, line, { cwd: directory, interpreter: 'none', ...rest });
}

function defineNodeService(name, directory, options = {}) {
  check(typeof directory === 'string', `defineNodeService: ${name} needs a directory`);
  return defineApp(name, options.script ?? '.', options.args ?? [], { cwd: directory, ...options });
}

// The apps in anything that holds some: a list, an agent, a whole export.
function appsOf(value) {
  if (Array.isArray(value)) return value.flatMap(appsOf);
  check(value !== null && typeof value === 'object', `${value === null ? 'null' : typeof value} is no app and holds none`);
  if (value.apps !== undefined) return appsOf(value.apps);
  if (value.default !== undefined && !has(value, 'script')) return appsOf(value.default);
  return [value];
}

// An app under another name: variables and log files that were made of the old one follow.
function renamed(app, name) {
  const copy = { ...app, name };
  const [before, after] = [logs(app.name), logs(name)];
  for (const key of Object.keys(before)) if (app[key] === before[key]) copy[key] = after[key];
  if (app.env && 'PM2_PROCESS_NAME' in app.env) {
    copy.env = { ...app.env, PM2_PROCESS_NAME: name };
    given.set(copy.env, given.get(app.env) ?? app.env);
    const follow = (env) => ('PM2_PROCESS_NAME' in env ? { ...env, PM2_PROCESS_NAME: name } : env);
    traces.set(copy.env, traced(app.env).map(([who, of, env]) => [who, of, follow(env)]));
  }
  return copy;
}

// An app with what its unit shares: below what the app was given itself, above the defaults of `defineApp`.
function shared(app, unit, { env, env_file, depends_on } = {}, prefix = '') {
  const copy = { ...app };
  if (env) {
    const own = given.get(app.env ?? {}) ?? app.env;
    const name = app.env?.PM2_PROCESS_NAME;
    copy.env = { ...app.env, ...env, ...own, ...(name === undefined ? {} : { PM2_PROCESS_NAME: name }) };
    given.set(copy.env, { ...env, ...own });
    const before = traced(app.env ?? {});
    const defaults = before.findIndex(([who]) => who !== 'helper');
    traces.set(copy.env, [...before.slice(0, defaults), ['unit', unit, env], ...before.slice(defaults)]);
  }
  const both = (above, below) => {
    const all = [...new Set([...list(above), ...list(below)])];
    return all.length === 1 ? all[0] : all;
  };
  if (env_file !== undefined) copy.env_file = both(env_file, app.env_file);
  if (depends_on !== undefined) copy.depends_on = dependencies(without([app.name, app.name?.slice(prefix.length)], depends_on), app.depends_on);
  return copy;
}

// What a unit needs, for an app of it: when that is the app itself, the other apps wait for it.
function without(names, needed) {
  const other = (one) => !names.includes(typeof one === 'object' ? one?.on : one);
  if (Array.isArray(needed)) return needed.filter(other);
  if (needed === null || typeof needed !== 'object') return other(needed) ? needed : [];
  return Object.fromEntries(Object.entries(needed).filter(([one]) => other(one)));
}

// Dependencies among apps that get new names follow them.
function following(app, names) {
  const needed = app.depends_on;
  if (needed === undefined || needed === null) return app;
  const one = (name) => names.get(name) ?? name;
  const item = (it) => (typeof it === 'string' ? one(it) : typeof it === 'object' && it ? { ...it, on: one(it.on) } : it);
  const isMap = typeof needed === 'object' && !Array.isArray(needed);
  const depends_on = isMap
    ? Object.fromEntries(Object.entries(needed).map(([name, how]) => [one(name), how]))
    : Array.isArray(needed) ? needed.map(item) : item(needed);
  return { ...app, depends_on };
}

// Lists of names and maps from names to conditions, in one.
function dependencies(...all) {
  const known = all.filter((one) => one !== undefined && one !== null);
  const isMap = (one) => typeof one === 'object' && !Array.isArray(one);
  if (!known.some(isMap)) return [...new Set(known.flatMap(list))];
  const entry = (one) => (typeof one === 'object' ? [one.on, { ...one, on: undefined }] : [one, null]);
  const maps = known.map((one) => (isMap(one) ? one : Object.fromEntries(list(one).map(entry))));
  return Object.assign({}, ...maps);
}

function member(app, unit, prefix, options) {
  const made = shared(renamed(app, `${prefix}${app.name}`), unit, { ...options, env: options?.env ?? {} }, prefix);
  made.env.AGENT_NAME = unit;
  traces.get(made.env).push(['unit', unit, { AGENT_NAME: unit }]);
  return { ...made, namespace: unit };
}

function defineAgent(name, apps, options = {}) {
  check(typeof name === 'string' && name !== '', 'defineAgent: an agent needs a name');
  const { env, env_file, depends_on } = options;
  const all = appsOf(apps ?? []);
  check(all.length, `defineAgent: the agent '${name}' has no apps`);
  const names = new Map(all.map((app) => [app.name, `${name}_${app.name}`]));
  const made = all.map((app) => member(following(app, names), name, `${name}_`, { env, env_file, depends_on }));
  return { name, apps: made, ...options };
}

// Several apps, agents and services as one export; `prefix` lets stacks of the same apps run side by side.
function defineStack(name, parts, options = {}) {
  check(typeof name === 'string' && name !== '', 'defineStack: a stack needs a name');
  const { prefix = '', env, env_file, ...rest } = options;
  const all = appsOf(parts ?? []);
  const unitOf = (app) => (app.namespace === undefined ? name : `${prefix}${app.namespace}`);
  // Where a unit and an app have one name, it is the app's.
  const units = all.filter((app) => app.namespace !== undefined).map((app) => [app.namespace, unitOf(app)]);
  const names = new Map([...units, ...all.map((app) => [app.name, `${prefix}${app.name}`])]);
  const apps = all.map((app) => {
    const made = shared(renamed(following(app, names), `${prefix}${app.name}`), name, { env, env_file });
    return { ...made, namespace: unitOf(app) };
  });
  return { name, apps, ...rest };
}

// A unit's files of variables lie beside the file that names them, wherever its apps run.
const beside = (directory, files) => list(files).map((file) => (typeof file === 'string' && !/^[/~]/.test(file) ? path.join(directory, file) : file));
const within = (file, define) => (name, apps, options = {}) =>
  define(name, apps, options?.env_file === undefined || !file ? options : { ...options, env_file: beside(path.dirname(file), options.env_file) });

// The helpers as a file gets them.
const helpersFor = (load, file) => ({
  ...helpers,
  defineAgent: within(file, defineAgent),
  defineStack: within(file, defineStack),
  loadServices: loader(load, file),
});

// `loadServices` for a file: patterns start from its directory.
function loader(load, file) {
  return function loadServices(pattern, { env = {} } = {}) {
    const base = path.dirname(file);
    const files = list(pattern).flatMap((one) => glob(one, base));
    const found = [...new Set(files)].filter((one) => one !== file);
    check(found.length, `loadServices: ${list(pattern).join(', ')} matches no file under ${base}`);
    const before = { ...process.env };
    Object.assign(process.env, env);
    try {
      return found.flatMap((one) => {
        const exported = load(one);
        check(typeof exported?.then !== 'function' && typeof exported !== 'function', `loadServices: ${one} exports a ${typeof exported === 'function' ? 'function' : 'promise'}: load it by itself`);
        return appsOf(exported);
      });
    } finally {
      for (const key of Object.keys(env)) {
        if (key in before) process.env[key] = before[key];
        else delete process.env[key];
      }
    }
  };
}

const kinds = {
  app: (name, app) => defineApp(name, app.script, app.args, app),
  node: (name, app) => defineNodeService(name, app.cwd ?? '.', app),
  python: (name, app) => definePythonService(name, app.cwd ?? '.', app),
};

// What `kind` and `units` of a data file mean: for each item, in order, `[app]`, or what is wrong and with which key.
function expand(items) {
  return items.map(({ app, unit, prefix, options }) => {
    const { kind, ...rest } = app;
    let made = rest;
    try {
      if (kind !== undefined) made = kinds[kind](app.name, rest);
    } catch (error) {
      // The file is data: it is told in its words, and where the key stands.
      const key = ['manager', 'cwd', 'args', 'module', 'venv', 'env'].find((one) => error.message.includes(`${one} '`));
      return [null, error.message.replace(/^\w+: (?:(\S+): )?/, ''), key ?? 'kind'];
    }
    return [unit === undefined ? made : member(made, unit, prefix, options)];
  });
}

const helpers = { defineApp, definePythonService, defineNodeService, defineAgent, defineStack };
module.exports = { helpersFor, expand, trace: (env) => traces.get(env) };
