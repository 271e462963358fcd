module.exports = {
  apps: [], undef: undefined, fn() {}, symbol: Symbol('x'), nan: NaN, inf: [Infinity, -Infinity], zero: -0, date: new Date(86400000), regexp: /a/g,
  list: [undefined, () => 1, Symbol('y'), , null], map: new Map([['a', 1]]), set: new Set([1]), typed: new Uint8Array([1, 2]), boxed: [new Number(1), new String('s'), new Boolean(false)],
  error: new Error('x'), nested: { toJSON: () => ({ a: undefined, b: 1 }) }, date2: new Date(NaN), weak: new WeakMap(),
};
