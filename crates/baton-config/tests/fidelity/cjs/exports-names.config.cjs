const { a, b: { c = 3 } = {} } = require('./lib/exported'); module.exports = { apps: [], a, c };
