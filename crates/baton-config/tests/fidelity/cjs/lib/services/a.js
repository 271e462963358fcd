const { defineApp } = require('../helpers'); if (!process.env.ROOT_FLAG) throw new Error('alone');
module.exports = { apps: [defineApp('a', '.', [], { cwd: __dirname.split('/').pop() })] };
