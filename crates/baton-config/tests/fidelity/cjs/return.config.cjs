module.exports = { apps: [] };
if (module.exports.apps.length === 0) return;
module.exports = null;
