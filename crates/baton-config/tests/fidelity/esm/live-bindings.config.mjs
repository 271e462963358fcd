import { live, bump } from './lib/base.mjs';
import Named, * as all from './lib/base.mjs';
const before = live; bump(); bump();
export default { apps: [], before, after: live, keys: Object.keys(all), same: all.default === Named, x: Named.x, tag: Object.prototype.toString.call(all) };
