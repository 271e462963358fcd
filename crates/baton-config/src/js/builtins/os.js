const sys = native.binding('os');
const ids = native.binding('process');
const account = () => sys.account(ids.euid);

const signals = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGILL: 4, SIGTRAP: 5, SIGABRT: 6, SIGBUS: 7, SIGFPE: 8, SIGKILL: 9, SIGUSR1: 10, SIGSEGV: 11, SIGUSR2: 12, SIGPIPE: 13, SIGALRM: 14, SIGTERM: 15, SIGCHLD: 17, SIGCONT: 18, SIGSTOP: 19, SIGTSTP: 20, SIGWINCH: 28 };
const times = () => ({ user: 0, nice: 0, sys: 0, idle: 0, irq: 0 });

module.exports = {
  EOL: '\n',
  devNull: '/dev/null',
  constants: { signals, errno: {}, priority: {}, dlopen: {} },
  cpus: () => sys.cpus().map(({ model, speed }) => ({ model, speed, times: times() })),
  availableParallelism: () => sys.availableParallelism(),
  hostname: () => sys.hostname,
  homedir: () => process.env.HOME ?? account()?.[1] ?? '/',
  tmpdir: () => {
    const directory = process.env.TMPDIR || process.env.TMP || process.env.TEMP || '/tmp';
    return directory.length > 1 && directory.endsWith('/') ? directory.slice(0, -1) : directory;
  },
  platform: () => ids.platform,
  arch: () => sys.arch,
  machine: () => sys.machine,
  type: () => sys.type,
  release: () => sys.release,
  version: () => sys.version,
  endianness: () => (new Uint8Array(new Uint16Array([1]).buffer)[0] ? 'LE' : 'BE'),
  totalmem: () => sys.memory('MemTotal'),
  freemem: () => sys.memory('MemAvailable'),
  uptime: () => sys.uptime(),
  loadavg: () => sys.loadavg(),
  userInfo: () => {
    const [username, homedir, shell] = account() ?? [process.env.USER ?? String(ids.euid), process.env.HOME ?? '/', null];
    return { uid: ids.euid, gid: ids.egid, username, homedir, shell };
  },
  // Addresses of other interfaces need system calls that no process file was seen to use.
  networkInterfaces: () => (sys.interfaces().includes('lo') ? { lo: [{ address: '127.0.0.1', netmask: '255.0.0.0', family: 'IPv4', mac: '00:00:00:00:00:00', internal: true, cidr: '127.0.0.1/8' }] } : {}),
  getPriority: () => 0,
  setPriority: () => native.unsupported('os.setPriority'),
};
