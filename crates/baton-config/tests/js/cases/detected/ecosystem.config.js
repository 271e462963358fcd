// No package.json says so, but this is a module.
import { hostname } from 'os';
const local = typeof hostname();
export default { apps: [{ name: 'detected', script: 'a.js', local }] };
