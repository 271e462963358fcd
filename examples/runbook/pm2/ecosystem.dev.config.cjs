/**
 * Six services from built files. Logs go to scripts/logs, where the project's other tools look for them.
 */
const path = require('path');

const root = path.resolve(__dirname, '..');
const logs = path.join(root, 'scripts', 'logs');

const shared = {
  NODE_ENV: process.env.NODE_ENV || 'development',
  DATABASE_URL: process.env.DATABASE_URL || 'postgresql://dev:dev@localhost:5433/dev',
  REDIS_URL: process.env.REDIS_URL || 'redis://localhost:6380',
  // May well be undefined: then the agents do without.
  API_KEY: process.env.EXAMPLE_API_KEY,
};

const base = {
  cwd: root,
  instances: 1,
  exec_mode: 'fork',
  autorestart: true,
  max_restarts: 10,
  min_uptime: '10s',
  restart_delay: 4000,
  log_date_format: 'YYYY-MM-DD HH:mm:ss Z',
  merge_logs: true,
};

const agent = (name) => ({
  ...base,
  name: `agent-${name}`,
  script: `packages/agents/${name}-agent/dist/run-agent.js`,
  max_memory_restart: '512M',
  out_file: path.join(logs, `${name}-agent-out.log`),
  error_file: path.join(logs, `${name}-agent-error.log`),
  env: { ...shared },
});

module.exports = {
  apps: [
    {
      ...base,
      name: 'orchestrator',
      script: 'packages/orchestrator/dist/server.js',
      max_memory_restart: '1G',
      out_file: path.join(logs, 'orchestrator-out.log'),
      error_file: path.join(logs, 'orchestrator-error.log'),
      env: { ...shared, ORCHESTRATOR_PORT: process.env.ORCHESTRATOR_PORT || 3000 },
    },
    ...['scaffold', 'validation', 'e2e', 'integration', 'deployment'].map(agent),
    // { ...base, name: 'agent-mock', script: 'packages/agents/mock-agent/dist/run-agent.js' },
  ],
};
