const path = require('path');
function service(name, script, args = [], options = {}) {
  const { cwd, watch, env = {}, instances = 1 } = options;
  return {
    name, script, args, cwd, watch, instances,
    out_file: `./logs/${name}-out.log`,
    env: { ...env, UNIT: name, BEAT_PORT: service.BEAT_PORT, LIB: service.LIB, EVERY: 1000 * 60 },
  };
}
service.BEAT_PORT = 1;
service.LIB = path.resolve(__dirname, '..');
const python = (name, dir, options = {}) => service(name, 'pipenv', ['run', 'python', '-m', 'main'], { cwd: dir, ...options });
const unit = (name, apps, options = {}) => ({
  name,
  apps: apps.map((app) => ({ ...app, name: `${name}_${app.name}`, env: { ...(app.env || {}), OF: name } })),
  ...options,
});
module.exports = { service, unit };
module.exports.python = python;
