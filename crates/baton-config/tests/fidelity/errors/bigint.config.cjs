module.exports = { apps: [], n: 1n };
