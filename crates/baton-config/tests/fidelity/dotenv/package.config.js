const dotenv = require('dotenv');
const found = dotenv.config({ path: `${__dirname}/.env.local` });
const missing = dotenv.config({ path: `${__dirname}/.tokens` });
module.exports = { apps: [{ name: 'a', script: 'a.js', env: { TOKEN: process.env.TOKEN, GONE: process.env.DISCORD_TOKEN, PORT: process.env.PORT } }], parsed: found.parsed, missing: missing.error.code, version: dotenv.version };
