const base = { cwd: __dirname, env: { A: '1', B: '2' }, max_restarts: 3 };
const app = (name, extra = {}) => ({ ...base, name, script: 'x.js', ...extra, env: { ...base.env, ...extra.env } });
module.exports = { apps: [app('a'), app('b', { env: { B: '3', C: undefined }, cwd: undefined }), app('c', null ?? undefined)] };
