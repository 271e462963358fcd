module.exports = { pm2: [{ name: 'a', script: 'a.js' }], name: 'project' };
