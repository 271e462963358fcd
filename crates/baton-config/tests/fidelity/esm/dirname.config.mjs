import { dirname, join, basename } from 'node:path';
import { fileURLToPath } from 'node:url';
const __filename = fileURLToPath(import.meta.url); const __dirname = dirname(__filename);
export default { apps: [{ name: basename(__dirname), script: join(__dirname, 'x.js') }], file: basename(__filename), types: [typeof require, typeof module, typeof this] };
