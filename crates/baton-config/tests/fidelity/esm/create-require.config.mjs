import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const data = require('./lib/data.json'); const cjs = require('./lib/cjs.cjs');
export default { apps: data.apps, cjs, resolved: require.resolve('./lib/cjs.cjs').split('/').slice(-2), builtin: require('path') === (await import('path')).default };
