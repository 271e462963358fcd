module.exports = { apps: require('./lib/bad.json') };
