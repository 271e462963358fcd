// The engine asks how long it may wait (`untilNext`) and then lets what is due run (`runDue`).
const pending = new Map();
let last = 0;

class Timeout {
  constructor(run, delay, args, every) {
    this.id = ++last;
    Object.assign(this, { run, args, every, delay: delay >= 1 && delay <= 2 ** 31 - 1 ? Math.trunc(delay) : 1, kept: true });
    this.at = performance.now() + this.delay;
    pending.set(this.id, this);
  }
  ref() { this.kept = true; return this; }
  unref() { this.kept = false; return this; }
  hasRef() { return this.kept; }
  refresh() { this.at = performance.now() + this.delay; return this; }
  close() { pending.delete(this.id); return this; }
  [Symbol.toPrimitive]() { return this.id; }
}

function start(run, delay, args, every) {
  if (typeof run !== 'function') {
    const error = new TypeError('The "callback" argument must be of type function.');
    error.code = 'ERR_INVALID_ARG_TYPE';
    throw error;
  }
  return new Timeout(run, delay, args, every);
}
const stop = (timer) => { pending.delete(typeof timer === 'object' ? timer?.id : Number(timer)); };

const setTimeout = (run, delay, ...args) => start(run, Number(delay), args, false);
const setInterval = (run, delay, ...args) => start(run, Number(delay), args, true);
const setImmediate = (run, ...args) => {
  const timer = start(run, 1, args, false);
  timer.at = 0;
  return timer;
};

function untilNext() {
  let next = Infinity;
  for (const timer of pending.values()) if (timer.kept && timer.at < next) next = timer.at;
  return next === Infinity ? -1 : Math.max(0, next - performance.now());
}

function runDue() {
  const now = performance.now();
  const due = [...pending.values()].filter((timer) => timer.at <= now).sort((a, b) => a.at - b.at || a.id - b.id);
  for (const timer of due) {
    if (!pending.has(timer.id)) continue;
    if (timer.every) timer.refresh();
    else pending.delete(timer.id);
    timer.run(...timer.args);
  }
}

const promises = {
  setTimeout: (delay, value) => new Promise((resolve) => setTimeout(resolve, delay, value)),
  setImmediate: (value) => new Promise((resolve) => setImmediate(resolve, value)),
  async *setInterval(delay, value) { for (;;) { await promises.setTimeout(delay); yield value; } },
  scheduler: { wait: (delay) => promises.setTimeout(delay), yield: () => promises.setImmediate() },
};
const custom = Symbol.for('nodejs.util.promisify.custom');
setTimeout[custom] = promises.setTimeout;
setImmediate[custom] = promises.setImmediate;

module.exports = { setTimeout, setInterval, setImmediate, clearTimeout: stop, clearInterval: stop, clearImmediate: stop, promises };
for (const name of ['untilNext', 'runDue']) {
  Object.defineProperty(module.exports, name, { value: { untilNext, runDue }[name] });
}
