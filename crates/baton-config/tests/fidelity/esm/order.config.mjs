globalThis.order = ['entry text'];
import './lib/first.mjs'; import './lib/second.mjs';
export default { apps: [], order: globalThis.order, first: globalThis.first };
