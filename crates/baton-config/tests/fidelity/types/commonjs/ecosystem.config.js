module.exports = { apps: [], kind: typeof exports, dir: require('path').basename(__dirname) };
