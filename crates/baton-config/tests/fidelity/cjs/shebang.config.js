#!/usr/bin/env node
module.exports = { apps: [{ name: 'a', script: 'a.js' }], main: require.main === module };
