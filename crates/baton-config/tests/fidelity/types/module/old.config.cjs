module.exports = { apps: require('./base.js').apps, cond: require('#cond') };
