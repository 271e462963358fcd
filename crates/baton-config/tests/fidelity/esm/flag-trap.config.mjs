import { seen } from './lib/flag.mjs';
process.env.ROOT_ECOSYSTEM = '1';
const late = (await import('./lib/flag-late.mjs')).seen;
export default { apps: [], seen: seen ?? null, late };
