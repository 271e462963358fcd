const util = require('util');
module.exports = {
  apps: [],
  format: [util.format('%s-%d-%i-%f-%j-%o', 'a', '1.5', 2.7, '3.25', { a: 1 }, [1]), util.format('%% %s'), util.format('a', 'b', { c: 1 }), util.format(1, 2), util.format('%O %o', { a: { b: 1 } }, { c: 'x' })],
  inspect: [util.inspect({ a: [1, 'x', null, undefined], b: { c: { d: { e: 1 } } } }), util.inspect('it\'s'), util.inspect(new Map([['a', 1]])), util.inspect(new Set([1]))],
  types: [util.types.isPromise(Promise.resolve()), util.types.isRegExp(/a/), util.types.isDate({}), util.isDeepStrictEqual({ a: [1] }, { a: [1] }), util.isDeepStrictEqual([1], ['1'])],
  inherits: (() => { function A() {} function B() {} util.inherits(B, A); return new B() instanceof A; })(),
};
