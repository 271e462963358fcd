// The synchronous functions are the real ones; callback and promise forms run them and hand over the result.
const sys = native.binding('fs');

const constants = {
  F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1, COPYFILE_EXCL: 1, O_RDONLY: 0, O_WRONLY: 1, O_RDWR: 2, O_CREAT: 64, O_EXCL: 128, O_TRUNC: 512, O_APPEND: 1024,
  S_IFMT: 0o170000, S_IFREG: 0o100000, S_IFDIR: 0o040000, S_IFCHR: 0o020000, S_IFBLK: 0o060000, S_IFIFO: 0o010000, S_IFLNK: 0o120000, S_IFSOCK: 0o140000,
};

function toPath(path) {
  if (typeof path === 'string') return path;
  if (path instanceof Uint8Array) return Buffer.from(path).toString();
  if (path !== null && typeof path === 'object' && typeof path.href === 'string') return require('url').fileURLToPath(path);
  const error = new TypeError(`The "path" argument must be of type string or an instance of Buffer or URL. Received ${path === null ? 'null' : typeof path}`);
  error.code = 'ERR_INVALID_ARG_TYPE';
  throw error;
}
const encodingOf = (options) => (typeof options === 'string' ? options : options?.encoding);
const isUtf8 = (encoding) => /^utf-?8$/i.test(encoding);

class Stats {
  constructor([mode, size, atimeMs, mtimeMs, ctimeMs, dev, ino, nlink, uid, gid, blksize, blocks, rdev]) {
    Object.assign(this, { dev, mode, nlink, uid, gid, rdev, blksize, ino, size, blocks, atimeMs, mtimeMs, ctimeMs, birthtimeMs: ctimeMs });
    this.atime = new Date(atimeMs);
    this.mtime = new Date(mtimeMs);
    this.ctime = this.birthtime = new Date(ctimeMs);
  }
}
const kinds = { isFile: 'S_IFREG', isDirectory: 'S_IFDIR', isSymbolicLink: 'S_IFLNK', isFIFO: 'S_IFIFO', isSocket: 'S_IFSOCK', isCharacterDevice: 'S_IFCHR', isBlockDevice: 'S_IFBLK' };
for (const [name, kind] of Object.entries(kinds)) {
  Stats.prototype[name] = function () { return (this.mode & constants.S_IFMT) === constants[kind]; };
}

class Dirent {
  #kind;
  constructor(name, parentPath, kind) {
    this.name = name;
    this.parentPath = this.path = parentPath;
    this.#kind = kind;
  }
  isFile() { return this.#kind === 'file'; }
  isDirectory() { return this.#kind === 'directory'; }
  isSymbolicLink() { return this.#kind === 'link'; }
  isSocket() { return this.#kind === 'socket'; }
  isFIFO() { return this.#kind === 'fifo'; }
  isCharacterDevice() { return this.#kind === 'device'; }
  isBlockDevice() { return this.#kind === 'device'; }
}

function readFileSync(path, options) {
  if (typeof path === 'number') return native.unsupported('fs.readFileSync of a descriptor');
  const encoding = encodingOf(options);
  if (encoding && isUtf8(encoding)) return sys.readText(toPath(path));
  const bytes = Buffer.from(sys.readBytes(toPath(path)).buffer);
  return encoding && encoding !== 'buffer' ? bytes.toString(encoding) : bytes;
}

function stat(path, options, follow) {
  const numbers = sys.stat(toPath(path), follow, options?.throwIfNoEntry !== false);
  return numbers && new Stats(numbers);
}

function readdirSync(path, options) {
  const root = toPath(path);
  const out = [];
  const visit = (directory, prefix) => {
    for (const [name, kind] of sys.readdir(directory)) {
      out.push(options?.withFileTypes ? new Dirent(name, directory, kind) : prefix + name);
      if (options?.recursive && kind === 'directory') visit(`${directory.replace(/\/$/, '')}/${name}`, `${prefix}${name}/`);
    }
  };
  visit(root, '');
  return out;
}

function write(path, data, options, append) {
  if (typeof path === 'number') return native.unsupported('fs.writeFileSync to a descriptor');
  const bytes = typeof data === 'string' ? Buffer.from(data, encodingOf(options) ?? 'utf8') : Buffer.from(data.buffer ?? data, data.byteOffset, data.byteLength);
  const mode = options !== null && typeof options === 'object' && options.mode !== undefined ? options.mode : 0o666;
  if (options?.flag === 'wx' && existsSync(path)) return sys.mkdir(toPath(path), false, 0o777);
  sys.write(toPath(path), native.binary(bytes), append || /^a/.test(options?.flag ?? ''), typeof mode === 'string' ? parseInt(mode, 8) : mode);
}

function existsSync(path) {
  try {
    return sys.stat(toPath(path), true, false) != null;
  } catch {
    return false;
  }
}

const modeOf = (options, otherwise) => {
  const mode = (options !== null && typeof options === 'object' ? options.mode : options) ?? otherwise;
  return typeof mode === 'string' ? parseInt(mode, 8) : mode;
};

function rmSync(path, options) {
  const target = toPath(path);
  const found = sys.stat(target, false, !options?.force);
  if (!found) return;
  if (new Stats(found).isDirectory() && !options?.recursive) {
    const error = new Error(`Path is a directory: rm returned EISDIR (is a directory) ${target}`);
    error.code = 'ERR_FS_EISDIR';
    throw error;
  }
  sys.rm(target);
}

function mkdtempSync(prefix) {
  const name = toPath(prefix) + require('crypto').randomBytes(3).toString('hex');
  sys.mkdir(name, false, 0o700);
  return name;
}

const sync = {
  readFile: readFileSync,
  stat: (path, options) => stat(path, options, true),
  lstat: (path, options) => stat(path, options, false),
  readdir: readdirSync,
  access: (path, mode = 0) => sys.access(toPath(path), mode),
  realpath: (path) => sys.realpath(toPath(path)),
  readlink: (path) => sys.readlink(toPath(path)),
  writeFile: (path, data, options) => write(path, data, options, false),
  appendFile: (path, data, options) => write(path, data, options, true),
  mkdir: (path, options) => sys.mkdir(toPath(path), Boolean(options?.recursive), modeOf(options, 0o777)) ?? undefined,
  mkdtemp: mkdtempSync,
  unlink: (path) => sys.unlink(toPath(path)),
  rmdir: (path) => sys.rmdir(toPath(path)),
  rm: rmSync,
  rename: (from, to) => sys.rename(toPath(from), toPath(to)),
  copyFile: (from, to) => sys.copyfile(toPath(from), toPath(to)),
  symlink: (target, path) => sys.symlink(toPath(target), toPath(path)),
  chmod: (path, mode) => sys.chmod(toPath(path), modeOf(mode)),
};

const fs = { constants, Stats, Dirent, existsSync, ...constants };
fs.promises = { constants };
for (const [name, run] of Object.entries(sync)) {
  fs[`${name}Sync`] = run;
  fs.promises[name] = async (...args) => run(...args);
  fs[name] = (...args) => {
    const done = args.pop();
    let result;
    try {
      result = run(...args);
    } catch (error) {
      queueMicrotask(() => done(error));
      return;
    }
    queueMicrotask(() => done(null, result));
  };
}
fs.realpathSync.native = fs.realpathSync;
fs.realpath.native = fs.realpath;
fs.exists = (path, done) => queueMicrotask(() => done(existsSync(path)));
const lacking = ['openSync', 'open', 'readSync', 'read', 'writeSync', 'write', 'closeSync', 'close', 'fstatSync', 'fstat', 'createReadStream', 'createWriteStream',
  'watch', 'watchFile', 'unwatchFile', 'opendir', 'opendirSync', 'cp', 'cpSync', 'link', 'linkSync', 'utimes', 'utimesSync', 'chown', 'chownSync', 'truncate', 'truncateSync'];
for (const name of lacking) fs[name] = () => native.unsupported(`fs.${name}`);
module.exports = fs;
