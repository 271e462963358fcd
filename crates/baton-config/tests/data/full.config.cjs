const path = require('path');
const app = (name, more) => ({ name, script: path.join(__dirname, 'srv/server.js'), ...more });
console.log('reading');
module.exports = {
  apps: [
    app('api', {
      execMode: 'cluster', instances: 2, 'max-memory-restart': '512M', watch: ['srv'], ignore_watch: ['node_modules'],
      killTimeout: '5s', out: 'logs/out.log', err_file: 'NULL', log_file: true, time: true, env_file: ['.env', 'srv/missing.env'],
      env: { A: 'base', B: undefined }, env_production: { A: 'production' }, vizion: false, watch_ignore: [],
    }),
    app('worker', { uid: 1000, port: '8081', stop_exit_codes: 0, autorestart: 'false' }),
    app('worker', { uid: '1000', port: 8081, stop_exit_codes: [0], autorestart: false, env_production: {} }),
  ],
  deploy: { production: { env: { A: 'deploy', C: 'deploy' } } },
  static: [{ path: '.', port: 1 }],
};
