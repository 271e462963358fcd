exports.count = 0; exports.dir = __dirname.split('/').pop();
