let found; try { found = require('./es.mjs').default; } catch (error) { found = error.code; }
module.exports = { apps: [], known: found === 'ERR_REQUIRE_ESM' || found === 'es' };
