const a = require('./ecosystem.config.js');
module.exports = { name: 'b', sawEarly: a.early, sawApps: a.apps === undefined, parent: require('path').basename(module.parent.filename) };
