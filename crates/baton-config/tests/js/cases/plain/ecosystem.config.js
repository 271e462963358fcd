module.exports = {
  apps: [
    { name: 'web', script: './server.js', instances: 2, exec_mode: 'cluster', env: { PORT: 3000, DEBUG: true, EMPTY: '', GONE: undefined, NONE: null } },
    { name: 'worker', script: 'worker.py', args: ['--queue', 'mail'], max_memory_restart: '200M', autorestart: false },
  ],
  deploy: { production: { user: 'deploy', host: ['10.0.0.1'] } },
};
