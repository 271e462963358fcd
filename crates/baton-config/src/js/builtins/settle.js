// Awaits promises and calls functions, in the export and in the places where apps are looked for. Anything else stays
// the object it is, so that getters and `toJSON` mean what they mean in Node. The real Node runs this file too.
const isThenable = (value) => value !== null && (typeof value === 'object' || typeof value === 'function') && typeof value.then === 'function';
const isClass = (value) => /^class\b/.test(Function.prototype.toString.call(value));
const isCallable = (value) => typeof value === 'function' && !isClass(value) && value.apps === undefined;

module.exports = async function settle(value, env, depth = 3) {
  for (let rounds = 0; rounds < 8; rounds++) {
    if (isThenable(value)) value = await value;
    else if (isCallable(value)) value = value(env);
    else break;
  }
  if (depth === 0 || value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  let copy;
  for (const key of ['default', 'apps', 'pm2']) {
    const before = value[key];
    if (before === null || (typeof before !== 'object' && typeof before !== 'function')) continue;
    const after = await settle(before, env, depth - 1);
    if (after !== before) (copy ??= { ...value })[key] = after;
  }
  return copy ?? value;
};

// The export as JSON, and the variables of apps that have no value: `[app, map, variable]`. They are left out, as
// everywhere in JSON, and their app most likely misses them. `traceOf` tells what an `env` of the helpers is made of.
module.exports.stringify = (value, traceOf) => {
  const maps = new WeakMap();
  const [without, traces] = [[], []];
  const text = JSON.stringify(value, function (key, inner) {
    if (inner === undefined && maps.has(this)) {
      const { app, map } = maps.get(this);
      without.push([String(app.name ?? app.script ?? ''), map, key]);
    } else if (inner !== null && typeof inner === 'object' && (key === 'env' || key.startsWith('env_'))) {
      maps.set(inner, { app: this, map: key });
      const trace = key === 'env' ? traceOf?.(inner) : undefined;
      if (trace) traces.push([String(this.name ?? ''), trace]);
    }
    return inner;
  });
  return { text, without, traces };
};
