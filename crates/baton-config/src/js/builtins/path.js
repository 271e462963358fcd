// Paths as POSIX writes them. `win32` has its own separator and drive letters; only its `resolve` is that of POSIX, as
// there is no current drive.
const check = (value, name) => {
  if (typeof value !== 'string') {
    const error = new TypeError(`The "${name}" argument must be of type string. Received ${value === null ? 'null' : typeof value}`);
    error.code = 'ERR_INVALID_ARG_TYPE';
    throw error;
  }
};

// Removes `.`, `..` and doubled slashes; `..` above the start stays when the path is relative.
function simplify(text, absolute) {
  const out = [];
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') out.push(part);
    else if (out.length && out[out.length - 1] !== '..') out.pop();
    else if (!absolute) out.push('..');
  }
  return out.join('/');
}

function normalize(text) {
  check(text, 'path');
  if (text === '') return '.';
  const absolute = text[0] === '/';
  let result = simplify(text, absolute);
  if (result === '' && !absolute) result = '.';
  if (result !== '' && text.endsWith('/')) result += '/';
  return absolute ? `/${result}` : result;
}

function join(...parts) {
  parts.forEach((part) => check(part, 'path'));
  const text = parts.filter((part) => part !== '').join('/');
  return text === '' ? '.' : normalize(text);
}

function resolve(...parts) {
  let text = '';
  for (let at = parts.length - 1; at >= 0 && text[0] !== '/'; at--) {
    check(parts[at], `paths[${at}]`);
    if (parts[at] !== '') text = text === '' ? parts[at] : `${parts[at]}/${text}`;
  }
  if (text[0] !== '/') text = `${process.cwd()}/${text}`;
  return `/${simplify(text, true)}`;
}

function relative(from, to) {
  check(from, 'from');
  check(to, 'to');
  const start = resolve(from).split('/').filter(Boolean);
  const end = resolve(to).split('/').filter(Boolean);
  let same = 0;
  while (same < start.length && same < end.length && start[same] === end[same]) same++;
  return [...start.slice(same).map(() => '..'), ...end.slice(same)].join('/');
}

const withoutTrailingSlashes = (text) => text.replace(/\/+$/, '');

function dirname(text) {
  check(text, 'path');
  if (text === '') return '.';
  const short = withoutTrailingSlashes(text);
  const at = short.lastIndexOf('/');
  if (at <= 0) return text[0] === '/' ? '/' : '.';
  return at === 1 && text[0] === '/' ? '//' : short.slice(0, at);
}

function basename(text, suffix) {
  check(text, 'path');
  const short = withoutTrailingSlashes(text);
  const base = short.slice(short.lastIndexOf('/') + 1);
  if (suffix === undefined) return base;
  check(suffix, 'suffix');
  if (suffix === text) return '';
  return base !== suffix && base.endsWith(suffix) ? base.slice(0, base.length - suffix.length) : base;
}

function extname(text) {
  const base = basename(text);
  const at = base.lastIndexOf('.');
  return at <= 0 || base === '..' ? '' : base.slice(at);
}

function parse(text) {
  check(text, 'path');
  const root = text[0] === '/' ? '/' : '';
  const base = basename(text);
  const ext = extname(text);
  const name = ext ? base.slice(0, base.length - ext.length) : base;
  const dir = base === '' ? root : dirname(text);
  return { root, dir: dir === '.' && !text.startsWith('./') ? '' : dir, base, ext, name };
}

function format(parts) {
  const dir = parts.dir || parts.root;
  const ext = parts.ext ? (parts.ext[0] === '.' ? parts.ext : `.${parts.ext}`) : '';
  const base = parts.base || `${parts.name || ''}${ext}`;
  if (!dir) return base;
  return dir === parts.root ? `${dir}${base}` : `${dir}/${base}`;
}

function matchesGlob(text, pattern) {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*\*\/?|\*|\?/g, (glob) => (glob === '?' ? '[^/]' : glob === '*' ? '[^/]*' : '(?:.*/)?'));
  return new RegExp(`^${source}$`).test(normalize(text));
}

const path = {
  resolve, normalize, join, relative, dirname, basename, extname, parse, format, matchesGlob,
  isAbsolute: (text) => (check(text, 'path'), text[0] === '/'),
  toNamespacedPath: (text) => text,
  sep: '/',
  delimiter: ':',
};
path.posix = path;
const slashes = (text) => (typeof text === 'string' ? text.replaceAll('\\', '/') : text);
const windows = (work) => (...all) => work(...all.map(slashes)).replaceAll('/', '\\');
path.win32 = {
  ...path,
  ...Object.fromEntries(Object.entries({ normalize, join, relative, dirname }).map(([name, work]) => [name, windows(work)])),
  basename: (text, ...suffix) => basename(slashes(text), ...suffix),
  extname: (text) => extname(slashes(text)),
  isAbsolute: (text) => (check(text, 'path'), /^([a-z]:)?[\\/]/i.test(text)),
  sep: '\\',
  delimiter: ';',
};
path.win32.win32 = path.win32;
module.exports = path;
