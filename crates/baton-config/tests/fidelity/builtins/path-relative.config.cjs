const { join, resolve, relative } = require('node:path');
const root = resolve(__dirname, '..');
module.exports = { apps: ['api', 'web'].map((name) => ({ name, script: join(root, name, 'index.js'), cwd: relative(__dirname, join(root, name)) })) };
