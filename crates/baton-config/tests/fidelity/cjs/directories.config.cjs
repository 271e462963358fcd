module.exports = { apps: [], found: [require('./lib/main-field'), require('./lib/indexed'), require('./lib/indexed/'), require('./lib/both'), require('./lib/both/')] };
