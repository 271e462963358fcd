import { nothing } from './lib/some.mjs';
export default { apps: [], nothing };
