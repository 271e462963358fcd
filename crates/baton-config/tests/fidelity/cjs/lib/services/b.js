exports.apps = [require('../helpers').defineApp('b', 'b.js')];
