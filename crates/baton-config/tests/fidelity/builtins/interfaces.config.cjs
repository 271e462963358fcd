module.exports = { apps: [{ name: 'a', script: 'a.js' }], interfaces: require('os').networkInterfaces() };
