process.env.NUMBER = 5; process.env.FLAG = true; process.env.NOTHING = undefined; process.env.GONE = 'x'; delete process.env.GONE;
process.env.ASSIGNED = { toString: () => 'object' };
const before = process.cwd();
process.chdir(__dirname);
const after = process.cwd() === __dirname;
const found = require('fs').existsSync('ecosystem.config.js');
process.chdir(before);
const order = [];
process.nextTick(() => order.push('tick'));
setTimeout(() => order.push('timeout'), 1);
const interval = setInterval(() => { order.push('interval'); clearInterval(interval); }, 2);
const cancelled = setTimeout(() => order.push('never'), 1); clearTimeout(cancelled);
module.exports = new Promise((resolve) => setTimeout(resolve, 20)).then(() => ({
  apps: [], env: ['NUMBER', 'FLAG', 'NOTHING', 'GONE', 'ASSIGNED'].map((name) => [name, process.env[name], typeof process.env[name]]), has: ['NUMBER' in process.env, 'GONE' in process.env, Object.keys(process.env).includes('FLAG'), { ...process.env }.NUMBER],
  after, found, platform: process.platform, arch: process.arch, uid: process.getuid(), order, argv: Array.isArray(process.argv), major: Number(process.versions.node.split('.')[0]) >= 18, hr: process.hrtime().length, big: typeof process.hrtime.bigint(),
  memory: process.memoryUsage().rss > 1e6, up: process.uptime() >= 0, tag: Object.prototype.toString.call(process), umask: typeof process.umask(), title: typeof process.title, release: process.release.name, exec: typeof process.execPath, chain: process.on('exit', () => {}) === process, out: typeof process.stdout.write,
}));
