module.exports = async function config(env) {
  return { apps: async () => [{ name: typeof env, script: 'a.js' }] };
};
