const dotenv = require('dotenv');
const { service, unit } = require('../dev/helpers');
const read = dotenv.config({ path: __dirname + '/.tokens' });
const shared = { TOKEN: process.env.OWL_TOKEN, ID: '449', NAME: 'Owl', READ: Object.keys(read.parsed).length };
module.exports = unit('owl', [
  service('ears', '.', [], { cwd: __dirname + '/../services/ears', env: shared }),
  service('voice', '.', [], { watch: ['./x'], env: { ...shared, EXTRA: '14' } }),
], { region: 'north' });
