// The first of our JavaScript that runs: CommonJS, the globals, and what the engine calls to drive an evaluation.
// Everything else is compiled when it is first used, so that a plain file costs nothing but this.
(function (native) {
  'use strict';
  const cache = Object.create(null);
  // Bytes as a string with one character for each: how they travel to the natives.
  native.binary = (bytes) => {
    let text = '';
    for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode.apply(null, bytes.subarray(at, at + 4096));
    return text;
  };
  const builtins = new Map();

  function requireBuiltin(name) {
    const known = builtins.get(name);
    if (known) return known.exports;
    const start = native.builtin(name);
    if (!start) throw coded(Error, 'ERR_UNKNOWN_BUILTIN_MODULE', `No such built-in module: node:${name}`);
    const module = { id: name, exports: {} };
    builtins.set(name, module);
    const internal = name === 'module' ? { ...native, Module, cache, createRequire } : native;
    start.call(module.exports, module.exports, requireBuiltin, module, internal);
    return module.exports;
  }

  function coded(Type, code, message) {
    const error = new Type(message);
    error.code = code;
    return error;
  }

  class Module {
    constructor(id = '', parent) {
      this.id = id;
      this.path = id.slice(0, id.lastIndexOf('/')) || '/';
      this.exports = {};
      this.filename = id;
      this.loaded = false;
      this.children = [];
      this.paths = nodeModulePaths(this.path);
      Object.defineProperty(this, 'parent', { value: parent, configurable: true, writable: true });
    }
    require(specifier) {
      if (typeof specifier !== 'string') {
        throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', `The "id" argument must be of type string. Received ${specifier === null ? 'null' : typeof specifier}`);
      }
      return Module._load(specifier, this);
    }
    _compile(source, filename) {
      native.compile(source, filename).call(this.exports, this.exports, makeRequire(this), this, filename, this.path);
    }
    static _load(specifier, parent) {
      const target = Module._resolveFilename(specifier, parent);
      if (target === 'node:baton') return helpersFor(parent?.filename);
      if (target.startsWith('node:')) return requireBuiltin(target.slice(5));
      return loadFile(target, parent).exports;
    }
    static _resolveFilename(specifier, parent, options) {
      const bases = options?.paths?.map((directory) => `${directory}/noop.js`) ?? [parent?.filename || '/'];
      let failure;
      for (const base of bases) {
        try {
          return native.resolve(specifier, base);
        } catch (error) {
          failure ??= error;
        }
      }
      if (failure.code === 'MODULE_NOT_FOUND') {
        const stack = [];
        for (let module = parent; module?.filename; module = module.parent) stack.push(module.filename);
        failure.requireStack = stack;
        if (stack.length) failure.message += `\nRequire stack:\n- ${stack.join('\n- ')}`;
      }
      throw failure;
    }
    static _nodeModulePaths(from) {
      return nodeModulePaths(from);
    }
  }
  Module.Module = Module;
  Module._cache = cache;
  Module._extensions = { '.js'() {}, '.json'() {}, '.node'() {} };

  function nodeModulePaths(from) {
    const paths = [];
    for (let at = from; ; at = at.slice(0, at.lastIndexOf('/'))) {
      if (!at.endsWith('/node_modules')) paths.push(`${at === '/' ? '' : at}/node_modules`);
      if (at === '' || at === '/') return paths;
    }
  }

  function makeRequire(module) {
    const require = (specifier) => module.require(specifier);
    require.resolve = (specifier, options) => {
      const target = Module._resolveFilename(specifier, module, options);
      return target.startsWith('node:') && !specifier.startsWith('node:') ? target.slice(5) : target;
    };
    require.resolve.paths = () => module.paths;
    require.cache = cache;
    require.extensions = Module._extensions;
    // The process file is never the program: a file that asks `require.main === module` must not start itself.
    require.main = undefined;
    return require;
  }

  function createRequire(from) {
    const name = typeof from === 'string' ? from : from?.href;
    if (typeof name !== 'string' || !(name.startsWith('file://') || name.startsWith('/'))) {
      throw coded(TypeError, 'ERR_INVALID_ARG_VALUE', `The argument 'filename' must be a file URL object, file URL string, or absolute path string. Received ${String(name)}`);
    }
    return makeRequire(new Module(name.startsWith('/') ? name : requireBuiltin('url').fileURLToPath(name)));
  }

  function loadFile(file, parent) {
    const known = cache[file];
    if (known) {
      if (parent && !parent.children.includes(known)) parent.children.push(known);
      return known;
    }
    const module = new Module(file, parent);
    parent?.children.push(module);
    const source = file.endsWith('.node') ? '' : native.readSource(file);
    const format = native.format(file, source);
    if (format === 'module') {
      module.exports = native.requireModule(file);
      module.loaded = true;
      cache[file] = module;
      return module;
    }
    cache[file] = module;
    try {
      if (format === 'json') module.exports = native.parseJson(file, source);
      else if (format === 'addon') native.unsupported(`the compiled addon ${file}`);
      else module._compile(source, file);
      module.loaded = true;
      return module;
    } finally {
      if (!module.loaded) delete cache[file];
    }
  }

  // A global that is compiled when somebody looks at it.
  function lazyGlobal(name, builtin, pick) {
    const define = (value) => Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
    Object.defineProperty(globalThis, name, {
      get() {
        const value = pick(requireBuiltin(builtin));
        define(value);
        return value;
      },
      set: define,
      enumerable: false,
      configurable: true,
    });
  }
  globalThis.global = globalThis;
  lazyGlobal('process', 'process', (process) => process);
  lazyGlobal('console', 'console', (console) => console);
  for (const name of ['Buffer', 'TextEncoder', 'TextDecoder', 'atob', 'btoa', 'Blob']) {
    lazyGlobal(name, 'buffer', (buffer) => buffer[name]);
  }
  for (const name of ['URL', 'URLSearchParams']) lazyGlobal(name, 'url', (url) => url[name]);
  for (const name of ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate']) {
    lazyGlobal(name, 'timers', (timers) => timers[name]);
  }
  for (const name of ['AbortController', 'AbortSignal', 'Event', 'EventTarget']) {
    lazyGlobal(name, 'abort', (abort) => abort[name]);
  }
  lazyGlobal('structuredClone', 'structured_clone', (clone) => clone);
  lazyGlobal('crypto', 'crypto', (crypto) => crypto.webcrypto);
  for (const name of ['fetch', 'WebSocket', 'XMLHttpRequest', 'Request', 'Response', 'Headers', 'BroadcastChannel', 'MessageChannel']) {
    lazyGlobal(name, 'unavailable', (unavailable) => unavailable.call(name));
  }

  lazyGlobal('Intl', 'unavailable', (unavailable) => unavailable.intl);
  // What depends on language and place, in place of what the engine has.
  const placed = { String: 'localeCompare toLocaleLowerCase toLocaleUpperCase', Number: 'toLocaleString', BigInt: 'toLocaleString', Date: 'toString toTimeString toLocaleString toLocaleDateString toLocaleTimeString' };
  for (const [type, names] of Object.entries(placed)) {
    const of = globalThis[type].prototype;
    for (const name of names.split(' ')) {
      const before = of[name];
      const made = { [name](...args) { return requireBuiltin('locale')[type][name](this, args, before); } }[name];
      Object.defineProperty(of, name, { value: made, writable: true, enumerable: false, configurable: true });
    }
  }

  // Tells of the lists of apps that came from other files. ES modules are those of the engine, the first one first.
  function noteModules(file) {
    const others = native.esModules().reverse();
    const modules = Object.values(cache);
    if (modules.length + others.length < 2) return;
    const loaded = [];
    for (const name of others) {
      try {
        loaded.push([name, native.requireModule(name)]);
      } catch {
        // One that failed and was caught, or that nobody waited for.
      }
    }
    native.exportedLists(JSON.stringify(requireBuiltin('modules')(file, modules, loaded)));
  }

  async function run(file, expression) {
    let value;
    if (expression !== undefined) value = native.expression(file, expression);
    else if (native.format(file, native.readSource(file)) === 'module') value = await import(file);
    else value = loadFile(file).exports;
    const settle = requireBuiltin('settle');
    const settled = await settle(value, native.environment());
    const made = builtins.has('baton') ? requireBuiltin('baton').trace : undefined;
    const { text, without, traces } = settle.stringify(settled, made);
    for (const [app, map, variable] of without) native.undefinedVariable(app, map, variable);
    if (traces.length) native.envTraces(JSON.stringify(traces));
    noteModules(file);
    return text;
  }

  // The helpers are one for all files, but for the directory that their paths start from.
  const helpers = new Map();
  function helpersFor(file) {
    if (!helpers.has(file)) {
      const { helpersFor: make, expand } = requireBuiltin('baton');
      const made = make((service) => loadFile(service, cache[file]).exports, file);
      helpers.set(file, Object.defineProperty(made, 'expand', { value: expand }));
    }
    return helpers.get(file);
  }

  function load(name) {
    if (name.startsWith('node:baton?')) return helpersFor(name.slice('node:baton?'.length));
    return name.startsWith('node:') ? requireBuiltin(name.slice(5)) : loadFile(name).exports;
  }

  return {
    run,
    load,
    // Milliseconds until the next timer; negative when there is none.
    untilTimer: () => (builtins.has('timers') ? requireBuiltin('timers').untilNext() : -1),
    runTimers: () => requireBuiltin('timers').runDue(),
  };
});
