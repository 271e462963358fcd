const b = require('./cycle-b'); exports.seen = b.seen; exports.partial = b.ofA;
