// Development behind a proxy. The empty quoted arguments of the proxy are arguments, not nothing.
module.exports = {
  apps: [
    {
      name: 'proxy',
      script: 'tools/proxy.py',
      args: "run --config '' --adapter ''",
      cwd: __dirname,
      autorestart: true,
      max_restarts: 3,
      restart_delay: 2000,
    },
    {
      name: 'server',
      script: 'npm',
      args: 'run start -w packages/server',
      cwd: __dirname,
      env: {
        WORKER_INLINE: 'true',
        SPA_ROOT: './build/client',
      },
      watch: ['packages/server/src'],
      watch_delay: 1000,
      ignore_watch: ['node_modules', '*.test.ts'],
      autorestart: true,
      max_restarts: 10,
      restart_delay: 1000,
    },
  ],
};
