const { defineAgent, defineApp } = require('./lib/helpers'); defineApp.PYTHONPATH = __dirname.length > 0 ? 'root' : '';
process.env.ROOT_FLAG = '1'; const services = ['a', 'b'].map((name) => require(`./lib/services/${name}`));
module.exports = { apps: [...defineAgent('owl', [defineApp('ears', 'e.js', [], { env: { X: undefined, N: 1 } })]).apps, ...services.flatMap((s) => s.apps)] };
