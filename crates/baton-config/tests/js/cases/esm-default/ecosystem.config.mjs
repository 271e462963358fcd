import path from 'path';
import { fileURLToPath, pathToFileURL, URL } from 'node:url';
import { base, count as total, default as helper } from './lib/helper.mjs';
import * as names from './lib/names.cjs';
import legacy, { first, nested } from './lib/names.cjs';
import data from './lib/data.json' with { type: 'json' };
import { createRequire } from 'module';

const require = createRequire(import.meta.url);
const __dirname = path.dirname(fileURLToPath(import.meta.url));
const lazy = await import('./lib/lazy.mjs');
const again = await import(pathToFileURL(path.join(__dirname, 'lib', 'lazy.mjs')).href);
await new Promise((resolve) => setImmediate(resolve));

export default {
  apps: [
    { name: 'one', script: path.join(__dirname, 'one.js'), ...base, total: total(), helper: helper('x') },
    { name: first, script: 'b.js', nested, keys: Object.keys(names).sort().filter((key) => !['module.exports'].includes(key)), same: legacy.first === names.first },
    { name: data.name, script: require('./lib/data.json').script, lazy: lazy.value, once: lazy === again, counted: lazy.loads() },
  ],
  dirname: import.meta.dirname === __dirname, filename: path.basename(import.meta.filename),
  url: new URL('./lib/', import.meta.url).pathname.endsWith('/lib/'), resolved: path.basename(import.meta.resolve('./lib/data.json')),
  thisIsUndefined: (() => this === undefined)(),
};
