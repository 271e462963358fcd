const { execSync, spawnSync, execFileSync } = require('child_process');
let failed; try { execSync('echo out; exit 3', { stdio: 'pipe' }); } catch (error) { failed = [error.status, String(error.stdout)]; }
const run = spawnSync('sh', ['-c', 'cat; echo err >&2; exit 2'], { input: 'in', encoding: 'utf8' });
module.exports = {
  apps: [{ name: 'a', script: 'a.js', env: { REVISION: execSync('echo abc').toString().trim() } }],
  failed, run: [run.status, run.stdout, run.stderr, run.signal],
  file: execFileSync('printf', ['%s', 'a b'], { encoding: 'utf8' }), env: execSync('echo $A', { env: { ...process.env, A: 'x' }, encoding: 'utf8' }),
};
