// Production: every service a process of its own.
const env = { NODE_ENV: 'production' };

module.exports = {
  apps: [
    {
      name: 'proxy',
      script: 'tools/proxy.py',
      cwd: __dirname,
      autorestart: true,
      max_restarts: 5,
      restart_delay: 3000,
      kill_timeout: 5000,
    },
    {
      name: 'server',
      script: 'npm',
      args: 'run start -w packages/server',
      cwd: __dirname,
      env: { ...env, PORT: process.env.PORT ?? '7163' },
      autorestart: true,
      max_restarts: 10,
      restart_delay: 2000,
      kill_timeout: 5000,
      max_memory_restart: '512M',
    },
    {
      name: 'worker',
      script: 'npm',
      args: 'run start -w packages/worker',
      cwd: __dirname,
      env,
      autorestart: true,
      max_restarts: 10,
      restart_delay: 2000,
      kill_timeout: 5000,
      max_memory_restart: '256M',
    },
    {
      name: 'queue',
      script: 'tools/queue.sh',
      args: '-Dconfig=queue.conf',
      interpreter: 'none',
      cwd: __dirname,
      autorestart: true,
      max_restarts: 3,
      restart_delay: 5000,
    },
  ],
};
