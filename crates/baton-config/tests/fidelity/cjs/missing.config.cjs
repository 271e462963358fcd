const attempt = (work) => { try { return work(); } catch (error) { return [error.code, error.message.split('\n')[0]]; } };
module.exports = { apps: [], errors: [attempt(() => require('./not-here')), attempt(() => require('not-installed')), attempt(() => require('node:nothing')), attempt(() => require.resolve('./no'))], resolved: require.resolve('fs') };
