const a = { apps: [] }; a.self = a; module.exports = a;
