const settings = undefined;
module.exports = { apps: [{ name: settings.name }] };
