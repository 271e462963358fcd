const a = require('./lib/counter'); const b = require('./lib/counter.js'); a.count++;
const key = require.resolve('./lib/counter'); delete require.cache[key]; const fresh = require('./lib/counter');
module.exports = { apps: [], same: a === b, counts: [a.count, b.count, fresh.count], cached: key in require.cache, id: module.id === '.' || module.id === __filename, children: module.children.length > 0, loaded: module.loaded };
