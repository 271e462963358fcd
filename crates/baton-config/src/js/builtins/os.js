const sys = native.binding('os');
const ids = native.binding('process');
const account = () => sys.account(ids.euid);

const signals = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGILL: 4, SIGTRAP: 5, SIGABRT: 6, SIGBUS: 7, SIGFPE: 8, SIGKILL: 9, SIGUSR1: 10, SIGSEGV: 11, SIGUSR2: 12, SIGPIPE: 13, SIGALRM: 14, SIGTERM: 15, SIGCHLD: 17, SIGCONT: 18, SIGSTOP: 19, SIGTSTP: 20, SIGWINCH: 28 };
const times = () => ({ user: 0, nice: 0, sys: 0, idle: 0, irq: 0 });

// The address of so many leading ones, in bytes.
const mask = (bits, bytes) => Array.from({ length: bytes }, (_, at) => 256 - 2 ** (8 - Math.min(8, Math.max(0, bits - at * 8))));

// IPv6 as text: the longest run of two or more zeros is `::`.
function six(bytes) {
  const groups = Array.from({ length: 8 }, (_, at) => bytes[at * 2] * 256 + bytes[at * 2 + 1]);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return `::ffff:${bytes.slice(12).join('.')}`;
  let [start, length] = [-1, 1];
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > length) [start, length] = [at, end - at];
  }
  const text = (part) => part.map((group) => group.toString(16)).join(':');
  return start < 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}

function networkInterfaces() {
  const addresses = sys.addresses();
  if (!addresses) return native.unsupported('os.networkInterfaces');
  const found = {};
  for (const [name, mac, internal, bits, scopeid, ...bytes] of addresses) {
    const [family, show] = bytes.length === 4 ? ['IPv4', (all) => all.join('.')] : ['IPv6', six];
    const [address, netmask] = [show(bytes), show(mask(bits, bytes.length))];
    const one = { address, netmask, family, mac, internal, cidr: `${address}/${bits}` };
    (found[name] ??= []).push(family === 'IPv6' ? { ...one, scopeid } : one);
  }
  return found;
}

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
  networkInterfaces,
  getPriority: () => 0,
  setPriority: () => native.unsupported('os.setPriority'),
};
