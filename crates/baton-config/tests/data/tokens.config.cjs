require('dotenv').config({ path: `${__dirname}/.tokens` });
const shared = { DISCORD_TOKEN: process.env.DISCORD_TOKEN };
module.exports = {
  apps: [
    { name: 'ears', script: 'srv/server.js', env: { ...shared, KEEP: 1, gone: null }, cwd: undefined },
    { name: 'mouth', script: 'srv/server.js', env: shared, env_production: { KEY: undefined } },
  ],
  deploy: undefined,
};
