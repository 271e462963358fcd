const { service } = require('./dev/helpers.js');
service.LIB = __dirname;
service.BEAT_PORT = 5005;
process.env.FROM_ROOT = '1';
const owl = require('./owl/ecosystem.config.js');
const services = [require('./services/tts/ecosystem.config.js'), require('./services/tts/ecosystem.config')];
module.exports = { apps: [...owl.apps, ...services.flatMap((one) => one.apps)], same: services[0] === services[1] };
