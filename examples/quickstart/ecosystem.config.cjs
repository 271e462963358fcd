// Three services that need nothing but a shell: `baton start examples/quickstart/ecosystem.config.cjs`
const path = require('path');

const shared = { GREETING: process.env.GREETING || 'hello' };

const service = (name, seconds, extra = {}) => ({
  name,
  script: path.join(__dirname, 'service.sh'),
  args: `--every ${seconds}`,
  env: { ...shared, ROLE: name },
  restart_delay: 500,
  ...extra,
});

module.exports = {
  apps: [
    service('web', 5),
    service('worker', 7, { instances: 2, exec_mode: 'fork' }),
    service('clock', 1, { log_date_format: 'HH:mm:ss', namespace: 'tools' }),
  ],
};
