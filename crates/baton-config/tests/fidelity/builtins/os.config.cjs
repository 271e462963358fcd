const os = require('os');
module.exports = {
  apps: [{ name: 'a', script: 'a.js', instances: Math.max(1, os.cpus().length - 1) }],
  platform: os.platform(), arch: os.arch(), home: os.homedir(), tmp: os.tmpdir(), host: os.hostname(), eol: os.EOL,
  type: os.type(), total: os.totalmem() > 1e6, free: os.freemem() > 0, load: os.loadavg().length, user: os.userInfo().username,
  signals: [os.constants.signals.SIGTERM, os.constants.signals.SIGHUP], parallel: os.availableParallelism() > 0, endian: os.endianness(),
};
