const data = require('./lib/list'); data.added = true;
module.exports = { apps: data.apps, again: require('./lib/list.json').added, name: require('./lib/bom.json') };
