const path = require('path');
const { service, python } = require(path.join(__dirname, '../../dev/helpers.js'));
if (!process.env.FROM_ROOT) {
  service.BEAT_PORT = 6006;
  service.LIB = 'standalone';
}
const apps = [python('tts', path.relative(process.cwd(), __dirname) && __dirname)];
if (!process.env.FROM_ROOT) module.exports = { apps: [...apps, ...require('./ecosystem.dependencies').apps] };
else module.exports = { apps };
