const assert = require('assert');
const attempt = (work) => { try { work(); return 'passed'; } catch (error) { return [error.name, error.code, error.message.split('\n')[0]]; } };
module.exports = {
  apps: [],
  found: [() => assert(true), () => assert.ok(0, 'no zero'), () => assert.equal(1, '1'), () => assert.deepStrictEqual({ a: 1 }, { a: 1 }), () => assert.throws(() => { throw new TypeError('x'); }, TypeError), () => assert.fail('given up')].map(attempt),
};
