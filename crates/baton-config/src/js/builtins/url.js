// URLs after the WHATWG rules, for the schemes that process files use. Host names in other scripts have only the real Node.
const PORTS = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21', 'file:': '' };
const special = (protocol) => protocol in PORTS;

const utf8Escapes = (c) => Array.from(Buffer.from(c), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
const escape = (text, pattern) => text.toWellFormed().replace(pattern, utf8Escapes);
const escapePath = (text) => escape(text, /[\x00-\x20"#<>?`{}^\x7f]|[^\x00-\x7f]/gu);
const escapeQuery = (text, isSpecial) => escape(text, isSpecial ? /[\x00-\x20"#<>'\x7f]|[^\x00-\x7f]/gu : /[\x00-\x20"#<>\x7f]|[^\x00-\x7f]/gu);
const escapeHash = (text) => escape(text, /[\x00-\x20"<>`\x7f]|[^\x00-\x7f]/gu);
const escapeUser = (text) => escape(text, /[\x00-\x20"#<>?`{}/:;=@[\]^|\x7f]|[^\x00-\x7f]/gu);

function invalid(input, base) {
  const error = new TypeError('Invalid URL');
  error.code = 'ERR_INVALID_URL';
  error.input = input;
  if (base !== undefined) error.base = base;
  return error;
}

// Removes dot segments; a URL's path keeps its trailing slash.
function simplify(path) {
  const out = [];
  const parts = path.split('/').slice(1);
  parts.forEach((part, at) => {
    const lastOne = at === parts.length - 1;
    if (/^(\.\.|\.%2e|%2e\.|%2e%2e)$/i.test(part)) {
      out.pop();
      if (lastOne) out.push('');
    } else if (/^(\.|%2e)$/i.test(part)) {
      if (lastOne) out.push('');
    } else out.push(part);
  });
  return `/${out.join('/')}`;
}

function parseHost(text, isSpecial) {
  if (text.startsWith('[')) return text.endsWith(']') ? text.toLowerCase() : undefined;
  if (!isSpecial) return /[\x00\t\n\r #/<>?@[\\\]^|]/.test(text) ? undefined : escape(text, /[^\x21-\x7e]/gu);
  let host;
  try { host = decodeURIComponent(text).toLowerCase(); } catch { return undefined; }
  if (/[^\x00-\x7f]/.test(host)) return native.unsupported('a URL with a host name that is not ASCII');
  if (host === '' || /[\x00-\x20#%/:<>?@[\\\]^|\x7f]/.test(host)) return undefined;
  if (!/(^|\.)(\d+|0x[0-9a-f]*)\.?$/.test(host)) return host;
  const parts = host.replace(/\.$/, '').split('.');
  const numbers = parts.map((part) => (/^0x/.test(part) ? parseInt(part.slice(2) || '0', 16) : /^0\d/.test(part) ? parseInt(part, 8) : Number(part || NaN)));
  if (parts.length > 4 || numbers.some((number, at) => Number.isNaN(number) || (at < numbers.length - 1 && number > 255))) return undefined;
  let address = numbers.pop();
  if (address >= 256 ** (4 - numbers.length)) return undefined;
  numbers.forEach((number, at) => { address += number * 256 ** (3 - at); });
  return [24, 16, 8, 0].map((bits) => Math.floor(address / 2 ** bits) % 256).join('.');
}

function parse(input, base) {
  const text = input.replace(/^[\x00-\x20]+|[\x00-\x20]+$/g, '').replace(/[\t\n\r]/g, '');
  const [, beforeHash, hash] = /^([^#]*)(#[\s\S]*)?$/.exec(text);
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(beforeHash);
  const record = { protocol: '', username: '', password: '', hostname: '', port: '', pathname: '', search: '', hash: hash ? escapeHash(hash) : '', opaque: false };
  let rest = beforeHash;
  const sameSpecial = scheme && base && special(base.protocol) && scheme[0].toLowerCase() === base.protocol && !/^[a-z0-9+.-]+:[\\/]/i.test(beforeHash);
  if (scheme) {
    record.protocol = scheme[0].toLowerCase();
    rest = beforeHash.slice(scheme[0].length);
  }
  if (!scheme || sameSpecial) {
    if (!base || (base.opaque && rest !== '')) return undefined;
    record.protocol = base.protocol;
  }
  const isSpecial = special(record.protocol);
  const question = rest.indexOf('?');
  if (question !== -1) {
    const query = rest.slice(question + 1);
    record.search = `?${escapeQuery(query, isSpecial)}`;
    rest = rest.slice(0, question);
  }
  if (isSpecial) rest = rest.replaceAll('\\', '/');
  const relative = !scheme || sameSpecial;
  if (scheme && !sameSpecial && !isSpecial && !rest.startsWith('/')) {
    record.opaque = true;
    record.pathname = escape(rest, /[\x00-\x1f\x7f]|[^\x00-\x7f]/gu);
    return record;
  }
  if (rest.startsWith('//') || (isSpecial && !relative && record.protocol !== 'file:')) {
    return withAuthority(record, rest.replace(isSpecial && record.protocol !== 'file:' ? /^\/*/ : /^\/\//, ''), isSpecial);
  }
  if (relative) Object.assign(record, { username: base.username, password: base.password, hostname: base.hostname, port: base.port });
  if (rest === '' && relative) {
    record.pathname = base.pathname;
    record.opaque = base.opaque;
    if (question === -1) record.search = base.search;
  } else if (rest.startsWith('/') || !relative) record.pathname = simplify(escapePath(rest.startsWith('/') ? rest : `/${rest}`));
  else record.pathname = simplify(base.pathname.slice(0, base.pathname.lastIndexOf('/') + 1) + escapePath(rest));
  return record;
}

function withAuthority(record, rest, isSpecial) {
  const slash = rest.indexOf('/');
  let authority = slash === -1 ? rest : rest.slice(0, slash);
  const path = slash === -1 ? '' : rest.slice(slash);
  const at = authority.lastIndexOf('@');
  if (at !== -1) {
    const [, user, password = ''] = /^([^:]*):?([\s\S]*)$/.exec(authority.slice(0, at));
    record.username = escapeUser(user);
    record.password = escapeUser(password);
    authority = authority.slice(at + 1);
  }
  const port = /:(\d*)$/.exec(authority);
  if (port && record.protocol !== 'file:') {
    if (Number(port[1]) > 65535) return undefined;
    record.port = port[1] === '' || String(Number(port[1])) === PORTS[record.protocol] ? '' : String(Number(port[1]));
    authority = authority.slice(0, port.index);
  }
  if (authority === '' && (record.protocol === 'file:' || !isSpecial)) record.hostname = '';
  else record.hostname = parseHost(authority, isSpecial);
  if (record.hostname === undefined) return undefined;
  if (record.protocol === 'file:' && record.hostname === 'localhost') record.hostname = '';
  record.pathname = path === '' && !isSpecial ? '' : simplify(escapePath(path || '/'));
  return record;
}

const encodeForm = (text) => escape(String(text), /[^A-Za-z0-9*\-._ ]/gu).replaceAll(' ', '+');
const decodeForm = (text) => {
  const bytes = text.replaceAll('+', ' ');
  return bytes.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString());
};

class URLSearchParams {
  #list = [];
  #changed = () => {};
  constructor(init = '', changed) {
    if (changed) this.#changed = changed;
    if (init === null || init === undefined) return;
    if (typeof init === 'object' || typeof init === 'function') {
      const pairs = typeof init[Symbol.iterator] === 'function' ? [...init] : Object.entries(init);
      this.#list = pairs.map((pair) => {
        const [name, value] = [...pair];
        return [String(name), String(value)];
      });
    } else {
      this.#list = String(init).replace(/^\?/, '').split('&').filter(Boolean).map((part) => {
        const at = part.indexOf('=');
        return (at === -1 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)]).map(decodeForm);
      });
    }
  }
  get size() { return this.#list.length; }
  append(name, value) { this.#list.push([String(name), String(value)]); this.#changed(); }
  delete(name, value) {
    this.#list = this.#list.filter(([known, one]) => known !== String(name) || (value !== undefined && one !== String(value)));
    this.#changed();
  }
  get(name) { return this.#list.find(([known]) => known === String(name))?.[1] ?? null; }
  getAll(name) { return this.#list.filter(([known]) => known === String(name)).map(([, value]) => value); }
  has(name, value) { return this.#list.some(([known, one]) => known === String(name) && (value === undefined || one === String(value))); }
  set(name, value) {
    const at = this.#list.findIndex(([known]) => known === String(name));
    if (at === -1) return this.append(name, value);
    this.#list = this.#list.filter(([known], index) => index <= at || known !== String(name));
    this.#list[at] = [String(name), String(value)];
    this.#changed();
  }
  sort() { this.#list.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)); this.#changed(); }
  forEach(run, self) { for (const [name, value] of this.#list) run.call(self, value, name, this); }
  *entries() { yield* this.#list.map((pair) => [...pair]); }
  *keys() { for (const [name] of this.#list) yield name; }
  *values() { for (const [, value] of this.#list) yield value; }
  [Symbol.iterator]() { return this.entries(); }
  toString() { return this.#list.map(([name, value]) => `${encodeForm(name)}=${encodeForm(value)}`).join('&'); }
}

class URL {
  #record;
  #params;
  constructor(input, base) {
    const under = base === undefined ? undefined : parse(String(base));
    if (base !== undefined && !under) throw invalid(String(input), String(base));
    this.#record = parse(String(input), under);
    if (!this.#record) throw invalid(String(input), base === undefined ? undefined : String(base));
  }
  static canParse(input, base) {
    try { return Boolean(new URL(input, base)); } catch { return false; }
  }
  static parse(input, base) {
    try { return new URL(input, base); } catch { return null; }
  }
  get href() {
    const { protocol, username, password, pathname, search, hash, hostname } = this.#record;
    const user = username || password ? `${username}${password ? `:${password}` : ''}@` : '';
    const slashes = hostname || protocol === 'file:' || special(protocol) ? '//' : '';
    return `${protocol}${slashes}${user}${this.host}${pathname}${search}${hash}`;
  }
  set href(text) {
    const record = parse(String(text));
    if (!record) throw invalid(String(text));
    this.#record = record;
    this.#params = undefined;
  }
  get origin() { return special(this.protocol) && this.protocol !== 'file:' ? `${this.protocol}//${this.host}` : 'null'; }
  get protocol() { return this.#record.protocol; }
  set protocol(text) {
    const protocol = `${String(text).replace(/:.*$/, '').toLowerCase()}:`;
    if (special(protocol) !== special(this.protocol)) return;
    this.#record.protocol = protocol;
    if (this.port === PORTS[protocol]) this.#record.port = '';
  }
  get username() { return this.#record.username; }
  set username(text) { this.#record.username = escapeUser(String(text)); }
  get password() { return this.#record.password; }
  set password(text) { this.#record.password = escapeUser(String(text)); }
  get host() { return this.hostname + (this.port ? `:${this.port}` : ''); }
  set host(text) {
    const [, name, port] = /^(\[[^\]]*\]|[^:/?#]*)(?::(\d*))?/.exec(String(text));
    this.hostname = name;
    if (port !== undefined) this.port = port;
  }
  get hostname() { return this.#record.hostname; }
  set hostname(text) { this.#record.hostname = parseHost(String(text), special(this.protocol)) ?? this.hostname; }
  get port() { return this.#record.port; }
  set port(text) {
    const [digits] = /^\d*/.exec(String(text));
    if (String(text) !== '' && digits === '') return;
    if (Number(digits) <= 65535) this.#record.port = digits === '' || String(Number(digits)) === PORTS[this.protocol] ? '' : String(Number(digits));
  }
  get pathname() { return this.#record.pathname; }
  set pathname(text) { this.#record.pathname = simplify(escapePath(String(text).startsWith('/') ? String(text) : `/${text}`)); }
  get search() { return this.#record.search === '?' ? '' : this.#record.search; }
  set search(text) {
    const query = String(text).replace(/^\?/, '');
    this.#record.search = query ? `?${escapeQuery(query, special(this.protocol))}` : '';
    this.#params = undefined;
  }
  get searchParams() {
    this.#params ??= new URLSearchParams(this.search, () => {
      const text = this.#params.toString();
      this.#record.search = text ? `?${text}` : '';
    });
    return this.#params;
  }
  get hash() { return this.#record.hash === '#' ? '' : this.#record.hash; }
  set hash(text) {
    const fragment = String(text).replace(/^#/, '');
    this.#record.hash = fragment ? `#${escapeHash(fragment)}` : '';
  }
  toString() { return this.href; }
  toJSON() { return this.href; }
}

function fileURLToPath(input) {
  const url = typeof input === 'string' ? new URL(input) : input;
  if (url?.protocol !== 'file:') throw Object.assign(new TypeError('The URL must be of scheme file'), { code: 'ERR_INVALID_URL_SCHEME' });
  if (url.hostname !== '') throw Object.assign(new TypeError(`File URL host must be "localhost" or empty on ${process.platform}`), { code: 'ERR_INVALID_FILE_URL_HOST' });
  if (/%2f/i.test(url.pathname)) throw Object.assign(new TypeError('File URL path must not include encoded / characters'), { code: 'ERR_INVALID_FILE_URL_PATH' });
  return decodeURIComponent(url.pathname);
}

function pathToFileURL(text) {
  const path = require('path').resolve(text) + (/[^/]\/$/.test(text) ? '/' : '');
  return new URL(`file://${path.replace(/[%\\\n\r\t?#]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)}`);
}

// The older interface: plain objects.
function parseLegacy(text, parseQuery) {
  const [, protocol = null, slashes, auth = null, host = null, pathname = null, search = null, hash = null] =
    /^([a-z][a-z0-9+.-]*:)?(\/\/)?(?:([^/?#@]*)@)?([^/?#]*)?([^?#]*)?(\?[^#]*)?(#.*)?$/i.exec(text.trim());
  const named = Boolean(slashes);
  const [, hostname = null, port = null] = named && host ? /^(.*?)(?::(\d+))?$/.exec(host) : [];
  const rest = named ? pathname || (protocol ? '/' : null) : `${host ?? ''}${pathname ?? ''}` || null;
  const query = search === null ? null : search.slice(1);
  return {
    protocol, slashes: named || null, auth: auth && decodeURIComponent(auth), host: named ? host : null, port, hostname, hash, search,
    query: parseQuery ? require('querystring').parse(query ?? '') : query, pathname: rest, path: rest || search ? `${rest ?? ''}${search ?? ''}` : null, href: text.trim(),
  };
}

function format(url) {
  if (typeof url === 'string' || url instanceof URL) return String(url);
  const protocol = url.protocol ? url.protocol.replace(/:?$/, ':') : '';
  const host = url.host ?? (url.hostname ? url.hostname + (url.port ? `:${url.port}` : '') : '');
  const search = url.search ?? (url.query && typeof url.query === 'object' ? `?${require('querystring').stringify(url.query)}` : '');
  const slashes = url.slashes || special(protocol) ? '//' : '';
  return `${protocol}${slashes}${url.auth ? `${url.auth}@` : ''}${host}${url.pathname ?? ''}${search === '?' ? '' : search}${url.hash ?? ''}`;
}

module.exports = {
  URL, URLSearchParams, fileURLToPath, pathToFileURL, parse: parseLegacy, format,
  resolve: (from, to) => {
    const base = new URL(from, 'resolve://');
    const url = new URL(to, base);
    return url.protocol === 'resolve:' ? `${url.pathname}${url.search}${url.hash}` : url.href;
  },
  urlToHttpOptions: (url) => ({ protocol: url.protocol, hostname: url.hostname, hash: url.hash, search: url.search, pathname: url.pathname, path: `${url.pathname}${url.search}`, href: url.href, port: url.port === '' ? undefined : Number(url.port) }),
  domainToASCII: (name) => name.toLowerCase(),
  domainToUnicode: (name) => name.toLowerCase(),
};
