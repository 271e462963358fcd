module.exports = { old: true, type: typeof require };
