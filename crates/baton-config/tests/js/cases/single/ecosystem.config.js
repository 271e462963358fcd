const { name = 'fallback', version } = require('./package.json');
module.exports = { name, script: '.', version };
