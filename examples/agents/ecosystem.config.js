// The master file: one agent and every service of its own.
const { defineApp } = require('./dev/pm2Helpers');
defineApp.HEARTBEAT_PORT = Number(process.env.HEARTBEAT_PORT || 5105);

const duck = require('./agents/duck/ecosystem.config.js');

const services = [
  require('./services/py/tts/ecosystem.config.js'),
  require('./services/py/stt/ecosystem.config.js'),
  require('./services/ts/file-watcher/ecosystem.config.js'),
  require('./services/js/vision/ecosystem.config.js'),
];

module.exports = {
  apps: [...duck.apps, ...services.flatMap((service) => service.apps)],
};
