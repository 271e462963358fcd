// Builtins that load, so that a package which only mentions them works; what they would do needs the real Node. A
// call is remembered even when the file swallows its error.
const NAMES = {
  http: 'createServer request get Agent Server ServerResponse IncomingMessage ClientRequest OutgoingMessage',
  https: 'createServer request get Agent Server',
  http2: 'createServer createSecureServer connect',
  net: 'createServer createConnection connect Socket Server',
  tls: 'createServer connect createSecureContext TLSSocket Server',
  dgram: 'createSocket Socket',
  zlib: 'gzip gunzip gzipSync gunzipSync deflate inflate deflateSync inflateSync brotliCompressSync brotliDecompressSync createGzip createGunzip createDeflate createInflate',
  dns: 'lookup resolve resolve4 resolve6 resolveTxt resolveSrv reverse setServers',
  'dns/promises': 'lookup resolve resolve4 resolve6 resolveTxt resolveSrv reverse',
  readline: 'createInterface clearLine cursorTo moveCursor',
  'readline/promises': 'createInterface',
  repl: 'start',
  vm: 'runInThisContext runInNewContext runInContext createContext Script compileFunction',
  v8: 'serialize deserialize getHeapStatistics setFlagsFromString writeHeapSnapshot',
  inspector: 'open close url Session',
  cluster: 'fork setupPrimary setupMaster disconnect',
  worker_threads: 'Worker MessageChannel MessagePort receiveMessageOnPort',
  stream: 'pipeline finished addAbortSignal',
  'stream/promises': 'pipeline finished',
  'stream/web': 'ReadableStream WritableStream TransformStream',
  'stream/consumers': 'text json buffer arrayBuffer blob',
  trace_events: 'createTracing getEnabledCategories',
  wasi: 'WASI',
  punycode: 'encode decode toASCII toUnicode',
  domain: 'create createDomain',
};

const call = (api) => function (...args) { return native.unsupported(api); };

class AsyncLocalStorage {
  #store;
  run(store, run, ...args) {
    const before = this.#store;
    this.#store = store;
    try { return run(...args); } finally { this.#store = before; }
  }
  exit(run, ...args) { return this.run(undefined, run, ...args); }
  getStore() { return this.#store; }
  enterWith(store) { this.#store = store; }
  disable() { this.#store = undefined; }
}

function isIP(text) {
  const parts = String(text).split('.');
  if (parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && part <= 255)) return 4;
  return /^[0-9a-f:.]+$/i.test(text) && String(text).includes(':') && !/:::|::.*::/.test(text) ? 6 : 0;
}

// What does no harm and is looked at while packages load.
const REAL = {
  net: () => ({ isIP, isIPv4: (text) => isIP(text) === 4, isIPv6: (text) => isIP(text) === 6 }),
  http: () => ({ METHODS: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'], STATUS_CODES: { 200: 'OK', 404: 'Not Found', 500: 'Internal Server Error' }, globalAgent: {} }),
  https: () => ({ globalAgent: {} }),
  zlib: () => ({ constants: {} }),
  tty: () => ({ isatty: () => false, ReadStream: class ReadStream {}, WriteStream: class WriteStream {} }),
  cluster: () => ({ isMaster: true, isPrimary: true, isWorker: false, workers: {}, settings: {} }),
  worker_threads: () => ({ isMainThread: true, parentPort: null, workerData: null, threadId: 0 }),
  async_hooks: () => ({ AsyncLocalStorage, AsyncResource: class AsyncResource { runInAsyncScope(run, self, ...args) { return run.apply(self, args); } }, executionAsyncId: () => 0, createHook: () => ({ enable() { return this; }, disable() { return this; } }) }),
  perf_hooks: () => ({ performance, PerformanceObserver: class PerformanceObserver { observe() {} disconnect() {} }, constants: {}, monitorEventLoopDelay: call('perf_hooks.monitorEventLoopDelay') }),
  diagnostics_channel: () => {
    const channel = (name) => ({ name, hasSubscribers: false, publish() {}, subscribe() {}, unsubscribe() {} });
    return { channel, hasSubscribers: () => false, subscribe() {}, unsubscribe() {}, tracingChannel: channel };
  },
  stream: streams,
  sys: () => require('util'),
};

function streams() {
  const EventEmitter = require('events');
  class Stream extends EventEmitter { pipe() { return native.unsupported('stream.pipe'); } }
  const made = { Stream };
  for (const name of ['Readable', 'Writable', 'Duplex', 'Transform', 'PassThrough']) {
    made[name] = { [name]: class extends Stream { constructor(options) { super(); this.options = options; } } }[name];
    for (const method of ['read', 'write', 'end', 'push', 'resume']) made[name].prototype[method] = call(`stream.${name}.${method}`);
    made[name].from = call(`stream.${name}.from`);
  }
  return Object.assign(Stream, made, { promises: module.exports('stream/promises') });
}

module.exports = (name) => {
  const exports = REAL[name]?.() ?? {};
  for (const key of (NAMES[name] ?? '').split(' ').filter(Boolean)) exports[key] ??= call(`${name}.${key}`);
  return exports;
};
module.exports.call = call;

// Languages and places: a package may look which of them there are.
const intl = Object.defineProperty({}, Symbol.toStringTag, { value: 'Intl', configurable: true });
for (const name of ['Collator', 'DateTimeFormat', 'DisplayNames', 'ListFormat', 'Locale', 'NumberFormat', 'PluralRules', 'RelativeTimeFormat', 'Segmenter', 'getCanonicalLocales', 'supportedValuesOf']) {
  const value = Object.assign(call(`Intl.${name}`), /^[A-Z]/.test(name) ? { supportedLocalesOf: call(`Intl.${name}.supportedLocalesOf`) } : {});
  Object.defineProperty(intl, name, { value, writable: true, configurable: true });
}
module.exports.intl = intl;
