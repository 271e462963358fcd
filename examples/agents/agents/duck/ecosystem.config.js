// An agent: services that share one environment, and a database of its own.
const path = require('path');
const dotenv = require('dotenv');
const { definePythonService, defineNodeService } = require('../../dev/pm2Helpers');

dotenv.config({ path: __dirname + '/.tokens' });

const env = {
  CHAT_TOKEN: process.env.CHAT_TOKEN,
  CHAT_USER_ID: '100200300',
  DEFAULT_CHANNEL_NAME: 'duck-pond',
  AGENT_NAME: 'Duck',
};
const service = (language, name) => path.join(__dirname, '../../services', language, name);

module.exports = {
  apps: [
    definePythonService('duck_indexer', service('py', 'indexer'), { env }),
    defineNodeService('duck_cephalon', service('ts', 'cephalon'), { env }),
    defineNodeService('duck_embedder', service('ts', 'embedder'), { env }),
    defineNodeService('duck_voice', service('ts', 'voice'), { env }),
    definePythonService('duck_attachment_indexer', service('py', 'attachment_indexer'), {
      env: { ...env, CAPTURE_CHANNEL_ID: '400500600' },
    }),
    definePythonService('duck_attachment_embedder', service('py', 'attachment_embedder'), {
      env: { ...env, CAPTURE_CHANNEL_ID: '400500600' },
    }),
    {
      name: 'chromadb',
      cwd: __dirname,
      script: './scripts/run_chroma.sh',
      restart_delay: 10000,
      kill_timeout: 10000,
    },
  ],
};
