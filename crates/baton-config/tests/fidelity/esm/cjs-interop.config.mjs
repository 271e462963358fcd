import whole, { one, two } from './lib/cjs.cjs';
import * as all from './lib/cjs.cjs';
export default { apps: [], one, two, nested: whole.nested, keys: Object.keys(all).filter((key) => key !== 'module.exports').sort(), same: all.default === whole };
