const { inspect, isDeepStrictEqual, isDeepEqual } = require('util');

class AssertionError extends Error {
  constructor({ message, actual, expected, operator }) {
    super(message);
    this.name = 'AssertionError';
    this.code = 'ERR_ASSERTION';
    this.generatedMessage = false;
    Object.assign(this, { actual, expected, operator });
  }
}

function fail(message, text, actual, expected, operator) {
  if (message instanceof Error) throw message;
  throw new AssertionError({ message: message ?? text, actual, expected, operator });
}
const compare = (operator, holds, words) => (actual, expected, message) => {
  if (!holds(actual, expected)) fail(message, `${words}:\n\n${inspect(actual)} !== ${inspect(expected)}\n`, actual, expected, operator);
};

function ok(value, message) {
  if (!value) fail(message, `The expression evaluated to a falsy value: ${inspect(value)}`, value, true, '==');
}
function matches(error, expected) {
  if (expected === undefined || typeof expected === 'string') return true;
  if (expected instanceof RegExp) return expected.test(String(error));
  if (typeof expected === 'function') return expected.prototype !== undefined && error instanceof expected ? true : Error.isPrototypeOf(expected) ? false : expected(error) === true;
  return Object.keys(expected).every((name) => (expected[name] instanceof RegExp ? expected[name].test(error[name]) : isDeepStrictEqual(error[name], expected[name])));
}

const strict = Object.assign((value, message) => ok(value, message), {
  AssertionError, ok,
  fail: (message = 'Failed') => fail(message),
  equal: compare('strictEqual', Object.is, 'Expected values to be strictly equal'),
  notEqual: compare('notStrictEqual', (a, b) => !Object.is(a, b), 'Expected "actual" to be strictly unequal to'),
  strictEqual: compare('strictEqual', Object.is, 'Expected values to be strictly equal'),
  notStrictEqual: compare('notStrictEqual', (a, b) => !Object.is(a, b), 'Expected "actual" to be strictly unequal to'),
  deepEqual: compare('deepStrictEqual', isDeepStrictEqual, 'Expected values to be strictly deep-equal'),
  deepStrictEqual: compare('deepStrictEqual', isDeepStrictEqual, 'Expected values to be strictly deep-equal'),
  notDeepStrictEqual: compare('notDeepStrictEqual', (a, b) => !isDeepStrictEqual(a, b), 'Expected "actual" not to be strictly deep-equal to'),
  notDeepEqual: compare('notDeepStrictEqual', (a, b) => !isDeepStrictEqual(a, b), 'Expected "actual" not to be strictly deep-equal to'),
  match: compare('match', (text, pattern) => pattern.test(text), 'The input did not match the regular expression'),
  doesNotMatch: compare('doesNotMatch', (text, pattern) => !pattern.test(text), 'The input was expected to not match the regular expression'),
  ifError: (value) => { if (value !== null && value !== undefined) throw value; },
  throws(run, expected, message) {
    try {
      run();
    } catch (error) {
      if (!matches(error, expected)) throw error;
      return;
    }
    fail(typeof expected === 'string' ? expected : message, 'Missing expected exception.', undefined, expected, 'throws');
  },
  doesNotThrow: (run) => void run(),
  async rejects(run, expected, message) {
    try {
      await (typeof run === 'function' ? run() : run);
    } catch (error) {
      if (!matches(error, expected)) throw error;
      return;
    }
    fail(message, 'Missing expected rejection.', undefined, expected, 'rejects');
  },
  doesNotReject: async (run) => void (await (typeof run === 'function' ? run() : run)),
});
strict.strict = strict;
module.exports = Object.assign((value, message) => ok(value, message), strict, {
  strict,
  equal: compare('==', (a, b) => a == b || (a !== a && b !== b), 'Expected values to be loosely equal'),
  notEqual: compare('!=', (a, b) => a != b, 'Expected "actual" to be loosely unequal to'),
  deepEqual: compare('deepEqual', isDeepEqual, 'Expected values to be loosely deep-equal'),
  notDeepEqual: compare('notDeepEqual', (a, b) => !isDeepEqual(a, b), 'Expected "actual" not to be loosely deep-equal to'),
});
