const failed = (name) => { try { return require(name); } catch (error) { return error.code; } };
module.exports = {
  apps: [], dual: require('dual'), sub: require('dual/feature'), pattern: require('dual/parts/one'), hidden: failed('dual/internal'), main: require('@scope/main-field'), deep: require('@scope/main-field/lib/deep'), index: require('index-only'), json: require('index-only/data'), missing: failed('not-installed'), relative: failed('./nowhere'),
  self: require('./local').self, esm: { ...require('./module.mjs') }, own: require('./named.mjs'), bom: require('./bom.json'), shebang: require('./shebang'), resolved: require.resolve('dual').endsWith('dual/require.cjs'),
};
