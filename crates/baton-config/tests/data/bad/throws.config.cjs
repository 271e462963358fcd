const names = null;
module.exports = { apps: names.map((name) => ({ name })) };
