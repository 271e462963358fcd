const { inspect, format, formatWithOptions, stripVTControlCharacters } = require('inspect');
const tag = (value) => Object.prototype.toString.call(value).slice(8, -1);

const types = {
  isPromise: (value) => value instanceof Promise,
  isRegExp: (value) => value instanceof RegExp,
  isDate: (value) => value instanceof Date,
  isNativeError: (value) => value instanceof Error,
  isMap: (value) => value instanceof Map,
  isSet: (value) => value instanceof Set,
  isWeakMap: (value) => value instanceof WeakMap,
  isWeakSet: (value) => value instanceof WeakSet,
  isArrayBuffer: (value) => value instanceof ArrayBuffer,
  isAnyArrayBuffer: (value) => value instanceof ArrayBuffer || value instanceof SharedArrayBuffer,
  isArrayBufferView: (value) => ArrayBuffer.isView(value),
  isTypedArray: (value) => ArrayBuffer.isView(value) && !(value instanceof DataView),
  isUint8Array: (value) => value instanceof Uint8Array,
  isDataView: (value) => value instanceof DataView,
  isGeneratorFunction: (value) => typeof value === 'function' && /GeneratorFunction$/.test(tag(value)),
  isGeneratorObject: (value) => tag(value) === 'Generator',
  isAsyncFunction: (value) => typeof value === 'function' && /^Async/.test(tag(value)),
  isBoxedPrimitive: (value) => [Number, String, Boolean, Symbol, BigInt].some((Type) => value instanceof Type),
  isSymbolObject: (value) => value instanceof Symbol,
  isNumberObject: (value) => value instanceof Number,
  isStringObject: (value) => value instanceof String,
  isBooleanObject: (value) => value instanceof Boolean,
  isProxy: () => false,
  isModuleNamespaceObject: (value) => tag(value) === 'Module',
};

function deepEqual(a, b, same, strict, seen = new Map()) {
  if (same(a, b)) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  if (strict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (tag(a) !== tag(b)) return false;
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  if (a instanceof Date && +a !== +b) return false;
  if (a instanceof RegExp && String(a) !== String(b)) return false;
  if (a instanceof Error && (a.message !== b.message || a.name !== b.name)) return false;
  if (types.isBoxedPrimitive(a) && !same(a.valueOf(), b.valueOf())) return false;
  const deep = (x, y) => deepEqual(x, y, same, strict, seen);
  if (a instanceof Map || a instanceof Set) {
    if (a.size !== b.size) return false;
    const others = [...b];
    for (const one of a) {
      const at = others.findIndex((other) => deep(one, other));
      if (at === -1) return false;
      others.splice(at, 1);
    }
  }
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && deep(a[name], b[name]));
}
const isDeepStrictEqual = (a, b) => deepEqual(a, b, Object.is, true);

const custom = Symbol.for('nodejs.util.promisify.custom');
function promisify(run) {
  if (typeof run !== 'function') throw Object.assign(new TypeError('The "original" argument must be of type function.'), { code: 'ERR_INVALID_ARG_TYPE' });
  if (run[custom]) return run[custom];
  const promised = function (...args) {
    return new Promise((resolve, reject) => run.call(this, ...args, (error, value) => (error ? reject(error) : resolve(value))));
  };
  return Object.defineProperties(Object.setPrototypeOf(promised, Object.getPrototypeOf(run)), Object.getOwnPropertyDescriptors(run));
}
promisify.custom = custom;

const callbackify = (run) => (...args) => {
  const done = args.pop();
  run(...args).then((value) => queueMicrotask(() => done(null, value)), (error) => queueMicrotask(() => done(error ?? new Error('rejected'))));
};

function inherits(child, parent) {
  Object.defineProperty(child, 'super_', { value: parent, writable: true, configurable: true });
  Object.setPrototypeOf(child.prototype, parent.prototype);
}

function deprecate(run, message, code) {
  let warned = false;
  return function (...args) {
    if (!warned) process.emitWarning(message, 'DeprecationWarning', code);
    warned = true;
    return new.target ? Reflect.construct(run, args, new.target) : run.apply(this, args);
  };
}

function parseArgs({ args = process.argv.slice(2), options = {}, allowPositionals = true } = {}) {
  const values = Object.create(null);
  const positionals = [];
  const put = (name, value) => {
    if (options[name]?.multiple) (values[name] ??= []).push(value);
    else values[name] = value;
  };
  for (const [name, { default: value }] of Object.entries(options)) if (value !== undefined) values[name] = value;
  for (let at = 0; at < args.length; at++) {
    const found = /^--([^=]+)(?:=(.*))?$/.exec(args[at]) ?? /^-([^-])(.+)?$/.exec(args[at]);
    if (args[at] === '--') positionals.push(...args.slice(at + 1));
    if (args[at] === '--') break;
    if (!found) { positionals.push(args[at]); continue; }
    const name = args[at].startsWith('--') ? found[1] : Object.keys(options).find((long) => options[long].short === found[1]) ?? found[1];
    if (!(name in options)) throw Object.assign(new TypeError(`Unknown option '${args[at]}'`), { code: 'ERR_PARSE_ARGS_UNKNOWN_OPTION' });
    put(name, options[name].type === 'string' ? found[2] ?? args[++at] : true);
  }
  if (positionals.length && !allowPositionals) throw Object.assign(new TypeError(`Unexpected argument '${positionals[0]}'`), { code: 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL' });
  return { values, positionals };
}

module.exports = {
  inspect, format, formatWithOptions, stripVTControlCharacters, types, isDeepStrictEqual, promisify, callbackify, inherits, deprecate, parseArgs,
  debuglog: () => Object.assign(() => {}, { enabled: false }),
  debug: () => Object.assign(() => {}, { enabled: false }),
  toUSVString: (text) => String(text).toWellFormed(),
  styleText: (style, text) => text,
  parseEnv: (text) => require('dotenv').parse(text),
  isArray: Array.isArray,
  isRegExp: types.isRegExp, isDate: types.isDate, isError: types.isNativeError,
  isString: (value) => typeof value === 'string', isFunction: (value) => typeof value === 'function', isObject: (value) => value !== null && typeof value === 'object',
  get TextEncoder() { return globalThis.TextEncoder; },
  get TextDecoder() { return globalThis.TextDecoder; },
};
Object.defineProperty(module.exports, 'isDeepEqual', { value: (a, b) => deepEqual(a, b, (x, y) => x == y || (x !== x && y !== y), false) });
