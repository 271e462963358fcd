exports.early = 1; const a = require('./lib/cycle-a'); exports.apps = []; exports.seen = a.seen; exports.partial = a.partial;
