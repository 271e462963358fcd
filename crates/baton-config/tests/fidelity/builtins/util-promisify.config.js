const util = require('util');
const old = (value, done) => setTimeout(() => done(value < 0 ? new Error('negative') : null, value * 2), 1);
const twice = util.promisify(old);
module.exports = (async () => ({ apps: [], good: await twice(2), bad: await twice(-1).catch((error) => error.message) }))();
