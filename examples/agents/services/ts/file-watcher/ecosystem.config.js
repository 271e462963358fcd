const { defineNodeService } = require('../../../dev/pm2Helpers');

module.exports = {
  apps: [defineNodeService('file-watcher', __dirname)],
};
