import { b } from './lib/tdz.mjs';
export const a = 1;
export default { apps: [], b };
