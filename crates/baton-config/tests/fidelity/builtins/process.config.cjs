module.exports = {
  apps: [],
  kinds: ['cwd', 'uptime', 'hrtime', 'memoryUsage', 'nextTick', 'exit', 'on', 'getuid'].map((key) => typeof process[key]),
  platform: process.platform, arch: process.arch, pid: process.pid > 0, uid: process.getuid(), title: typeof process.title,
  argv: process.argv.length, version: /^v\d+\.\d+\.\d+/.test(process.version), node: typeof process.versions.node, stdout: typeof process.stdout.write,
  release: process.release.name, exec: typeof process.execPath, bigint: typeof process.hrtime.bigint(),
};
