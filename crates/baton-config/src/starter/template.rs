//! The process files that PM2's `init` gives: the same name, apps and keys.

/// The file that PM2 writes, whatever the project is.
pub const NAME: &str = "ecosystem.config.js";

/// Two apps that are watched, and a place to deploy to.
pub const FULL: &str = "\
module.exports = {
  apps: [
    {
      script: 'index.js',
      watch: '.',
    },
    {
      script: './service-worker/',
      watch: ['./service-worker'],
    },
  ],

  deploy: {
    production: {
      user: 'SSH_USERNAME',
      host: 'SSH_HOSTMACHINE',
      ref: 'origin/master',
      repo: 'GIT_REPOSITORY',
      path: 'DESTINATION_PATH',
      'pre-deploy-local': '',
      'post-deploy': 'npm install && pm2 reload ecosystem.config.js --env production',
      'pre-setup': '',
    },
  },
};
";

/// One app.
pub const SIMPLE: &str = "\
module.exports = {
  apps: [
    {
      name: 'app1',
      script: './app.js',
    },
  ],
};
";
