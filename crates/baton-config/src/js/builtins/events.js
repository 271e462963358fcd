// Plain functions, no private methods: older packages inherit without calling the constructor of the class.
function listenersOf(emitter, name) {
  emitter._events ??= Object.create(null);
  return (emitter._events[name] ??= []);
}

function add(emitter, name, run, place) {
  if (typeof run !== 'function') throw Object.assign(new TypeError('The "listener" argument must be of type function.'), { code: 'ERR_INVALID_ARG_TYPE' });
  if (emitter._events?.newListener) emitter.emit('newListener', name, run.listener ?? run);
  listenersOf(emitter, name)[place](run);
  return emitter;
}

function onceOnly(emitter, name, run) {
  const wrapper = (...args) => {
    emitter.off(name, wrapper);
    return run.apply(emitter, args);
  };
  wrapper.listener = run;
  return wrapper;
}

class EventEmitter {
  on(name, run) { return add(this, name, run, 'push'); }
  prependListener(name, run) { return add(this, name, run, 'unshift'); }
  once(name, run) { return this.on(name, onceOnly(this, name, run)); }
  prependOnceListener(name, run) { return this.prependListener(name, onceOnly(this, name, run)); }
  off(name, run) {
    const list = listenersOf(this, name);
    const at = list.findLastIndex((known) => known === run || known.listener === run);
    if (at === -1) return this;
    this._events[name] = list.toSpliced(at, 1);
    if (this._events[name].length === 0) delete this._events[name];
    if (this._events.removeListener) this.emit('removeListener', name, run);
    return this;
  }
  emit(name, ...args) {
    const list = this._events?.[name] ?? [];
    if (list.length === 0) {
      if (name !== 'error') return false;
      if (args[0] instanceof Error) throw args[0];
      throw Object.assign(new Error(`Unhandled error. (${String(args[0])})`), { code: 'ERR_UNHANDLED_ERROR', context: args[0] });
    }
    for (const run of [...list]) run.apply(this, args);
    return true;
  }
  removeAllListeners(name) {
    if (name === undefined) this._events = Object.create(null);
    else if (this._events) delete this._events[name];
    return this;
  }
  listeners(name) { return (this._events?.[name] ?? []).map((run) => run.listener ?? run); }
  rawListeners(name) { return [...(this._events?.[name] ?? [])]; }
  listenerCount(name) { return this._events?.[name]?.length ?? 0; }
  eventNames() { return Reflect.ownKeys(this._events ?? {}).filter((name) => this._events[name].length > 0); }
  setMaxListeners(count) { this._maxListeners = count; return this; }
  getMaxListeners() { return this._maxListeners ?? 10; }
}
EventEmitter.prototype.addListener = EventEmitter.prototype.on;
EventEmitter.prototype.removeListener = EventEmitter.prototype.off;

// Older packages call the constructor as a function: `EventEmitter.call(this)`.
const Callable = new Proxy(EventEmitter, {
  apply: (target, self) => { if (self) self._events ??= Object.create(null); },
});
EventEmitter.prototype.constructor = Callable;
Callable.EventEmitter = Callable;
Callable.default = Callable;
Callable.defaultMaxListeners = 10;
Callable.errorMonitor = Symbol('events.errorMonitor');
Callable.captureRejectionSymbol = Symbol.for('nodejs.rejection');
Callable.once = (emitter, name) => new Promise((resolve, reject) => {
  const failed = (error) => { emitter.off(name, arrived); reject(error); };
  const arrived = (...args) => { emitter.off('error', failed); resolve(args); };
  emitter.once(name, arrived);
  if (name !== 'error') emitter.once('error', failed);
});
Callable.listenerCount = (emitter, name) => emitter.listenerCount(name);
Callable.getEventListeners = (emitter, name) => emitter.listeners(name);
Callable.setMaxListeners = () => {};
module.exports = Callable;
