const a = require('./cycle-a'); exports.ofA = Object.keys(a); exports.seen = require('../cycle.config.cjs').early;
