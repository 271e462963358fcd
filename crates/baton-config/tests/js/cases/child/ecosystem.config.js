const { execSync, spawnSync, execFileSync } = require('child_process');
const failed = (run) => { try { run(); return 'fine'; } catch (error) { return { status: error.status, signal: error.signal, message: error.message, code: error.code, err: error.stderr?.toString() }; } };
const spawned = spawnSync('sh', ['-c', 'cat; echo err >&2; exit 3'], { input: 'fed', encoding: 'utf8' });
module.exports = {
  apps: [{ name: execSync('echo built').toString().trim(), script: execFileSync('printf', ['%s', 'a b.js'], { encoding: 'utf8' }) }],
  spawned: [spawned.status, spawned.signal, spawned.stdout, spawned.stderr, spawned.output], cwd: execSync('pwd', { cwd: '/', encoding: 'utf8' }), env: execSync('echo $ONLY', { env: { ONLY: 'this', PATH: process.env.PATH } }).toString(),
  failed: [failed(() => execSync('echo no >&2; exit 4', { stdio: 'pipe' })), failed(() => execFileSync('/no/such/program', { stdio: 'pipe' })), failed(() => execSync('sleep 5', { timeout: 50 }))].map(({ signal, status, code }) => ({ signal, status, code })),
  missing: spawnSync('no-such-program-here').error.code, shell: spawnSync('echo $((1+1))', { shell: true }).stdout.toString(), killed: spawnSync('sh', ['-c', 'kill -9 $$']).signal, inherit: execSync('true', { stdio: 'inherit' }),
};
