exports.early = 'set before';
const b = require('./b');
exports.apps = [{ name: b.name, script: 'x', sawEarly: b.sawEarly, sawApps: b.sawApps, cached: Object.keys(require.cache).length, parent: b.parent }];
exports.loaded = require.cache[__filename] === module;
