module.exports = async (env) => { await null; return { apps: [{ name: 'a', script: 'a.js', env: { HOME: typeof env } }] }; };
