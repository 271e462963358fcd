const sys = native.binding('text');
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function encodeBase64(bytes, url) {
  let out = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const word = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    out += BASE64[word >> 18] + BASE64[(word >> 12) & 63] + (left > 1 ? BASE64[(word >> 6) & 63] : '=') + (left > 2 ? BASE64[word & 63] : '=');
  }
  return url ? out.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '') : out;
}

function decodeBase64(text) {
  const out = [];
  let word = 0;
  let bits = 0;
  for (const c of text) {
    if (c === '=') break;
    const value = BASE64.indexOf(c === '-' ? '+' : c === '_' ? '/' : c);
    if (value < 0) continue;
    word = ((word << 6) | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push((word >> bits) & 255);
    }
  }
  return out;
}

const fromUnits = (text, mask) => Array.from(text, (c) => c.charCodeAt(0) & mask);

function toBytes(text, encoding = 'utf8') {
  switch (String(encoding).toLowerCase()) {
    case 'utf8': case 'utf-8': return sys.encode(text.toWellFormed());
    case 'hex': return (text.match(/^(?:[0-9a-f]{2})*/i)[0].match(/../g) ?? []).map((pair) => parseInt(pair, 16));
    case 'base64': case 'base64url': return decodeBase64(text);
    case 'latin1': case 'binary': case 'ascii': return fromUnits(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '??'), 255);
    case 'utf16le': case 'ucs2': case 'ucs-2': case 'utf-16le': {
      const out = [];
      for (let at = 0; at < text.length; at++) out.push(text.charCodeAt(at) & 255, text.charCodeAt(at) >> 8);
      return out;
    }
    default: throw Object.assign(new TypeError(`Unknown encoding: ${encoding}`), { code: 'ERR_UNKNOWN_ENCODING' });
  }
}

function toText(bytes, encoding = 'utf8') {
  switch (String(encoding).toLowerCase()) {
    case 'utf8': case 'utf-8': return sys.decode(native.binary(bytes));
    case 'hex': return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    case 'base64': return encodeBase64(bytes, false);
    case 'base64url': return encodeBase64(bytes, true);
    case 'latin1': case 'binary': return native.binary(bytes);
    case 'ascii': return native.binary(bytes.map((byte) => byte & 127));
    case 'utf16le': case 'ucs2': case 'ucs-2': case 'utf-16le': {
      let out = '';
      for (let at = 0; at + 1 < bytes.length; at += 2) out += String.fromCharCode(bytes[at] | (bytes[at + 1] << 8));
      return out;
    }
    default: throw Object.assign(new TypeError(`Unknown encoding: ${encoding}`), { code: 'ERR_UNKNOWN_ENCODING' });
  }
}

const ENCODING = /^(utf-?8|hex|base64(url)?|latin1|binary|ascii|utf-?16le|ucs-?2)$/i;

class Buffer extends Uint8Array {
  static from(value, encoding, length) {
    if (typeof value === 'string') return view(Uint8Array.from(toBytes(value, encoding)));
    if (value instanceof ArrayBuffer) return new Buffer(value, encoding, length);
    if (value?.type === 'Buffer' && Array.isArray(value.data)) return view(Uint8Array.from(value.data));
    if (value !== null && typeof value === 'object') {
      const primitive = value.valueOf?.();
      if (typeof primitive === 'string') return Buffer.from(primitive, encoding);
      return view(Uint8Array.from(value));
    }
    throw Object.assign(new TypeError('The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object.'), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  static of(...bytes) { return Buffer.from(bytes); }
  static alloc(size, fill, encoding) {
    const buffer = new Buffer(size);
    return fill === undefined ? buffer : buffer.fill(fill, 0, size, encoding);
  }
  static concat(list, length = list.reduce((sum, part) => sum + part.length, 0)) {
    const out = new Buffer(length);
    let at = 0;
    for (const part of list) {
      if (at >= length) break;
      out.set(part.subarray(0, length - at), at);
      at += part.length;
    }
    return out;
  }
  static isBuffer(value) { return value instanceof Buffer; }
  static isEncoding(name) { return typeof name === 'string' && ENCODING.test(name); }
  static byteLength(value, encoding) { return typeof value === 'string' ? toBytes(value, encoding).length : value.byteLength; }
  static compare(a, b) {
    for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return a[at] < b[at] ? -1 : 1;
    return Math.sign(a.length - b.length);
  }
  toString(encoding, start = 0, end = this.length) { return toText(this.subarray(start, end), encoding); }
  toLocaleString(encoding) { return this.toString(encoding); }
  toJSON() { return { type: 'Buffer', data: Array.from(this) }; }
  equals(other) { return Buffer.compare(this, other) === 0; }
  compare(other) { return Buffer.compare(this, other); }
  slice(start, end) { return this.subarray(start, end); }
  write(text, offset = 0, length = this.length - offset, encoding = 'utf8') {
    if (typeof offset === 'string') return this.write(text, 0, this.length, offset);
    if (typeof length === 'string') return this.write(text, offset, this.length - offset, length);
    const bytes = Array.from(toBytes(text, encoding)).slice(0, Math.min(length, this.length - offset));
    this.set(bytes, offset);
    return bytes.length;
  }
  fill(value, start = 0, end = this.length, encoding = 'utf8') {
    if (typeof value === 'number') return super.fill(value, start, end);
    const bytes = typeof value === 'string' ? toBytes(value, encoding) : value;
    for (let at = start; at < end && bytes.length; at++) this[at] = bytes[(at - start) % bytes.length];
    return this;
  }
  copy(target, at = 0, start = 0, end = this.length) {
    const part = this.subarray(start, Math.min(end, start + target.length - at));
    target.set(part, at);
    return part.length;
  }
  indexOf(value, from = 0, encoding) {
    if (typeof value === 'number') return super.indexOf(value & 255, from);
    const wanted = typeof value === 'string' ? toText(Uint8Array.from(toBytes(value, encoding)), 'latin1') : toText(value, 'latin1');
    return toText(this, 'latin1').indexOf(wanted, from);
  }
  // Pairs, fours and eights of bytes the other way round, in place.
  #swap(size) {
    if (this.length % size) throw Object.assign(new RangeError(`Buffer size must be a multiple of ${size * 8}-bits`), { code: 'ERR_INVALID_BUFFER_SIZE' });
    for (let at = 0; at < this.length; at += size) this.subarray(at, at + size).reverse();
    return this;
  }
  swap16() { return this.#swap(2); }
  swap32() { return this.#swap(4); }
  swap64() { return this.#swap(8); }
  includes(value, from, encoding) { return this.indexOf(value, from, encoding) !== -1; }
}

const view = (bytes) => new Buffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);
Buffer.allocUnsafe = Buffer.allocUnsafeSlow = (size) => new Buffer(size);
Buffer.poolSize = 8192;

// readUInt32LE and its like, each over the method of DataView.
const numbers = { UInt8: 'Uint8', UInt16: 'Uint16', UInt32: 'Uint32', Int8: 'Int8', Int16: 'Int16', Int32: 'Int32', Float: 'Float32', Double: 'Float64', BigInt64: 'BigInt64', BigUInt64: 'BigUint64' };
for (const [name, type] of Object.entries(numbers)) {
  for (const order of name.endsWith('8') ? [''] : ['LE', 'BE']) {
    const dataView = (buffer) => new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    const size = Number(/\d+$/.exec(type)[0]) / 8;
    Buffer.prototype[`read${name}${order}`] = function (at = 0) { return dataView(this)[`get${type}`](at, order === 'LE'); };
    Buffer.prototype[`write${name}${order}`] = function (value, at = 0) { dataView(this)[`set${type}`](at, value, order === 'LE'); return at + size; };
  }
}

class TextEncoder {
  get encoding() { return 'utf-8'; }
  encode(text = '') { return Uint8Array.from(sys.encode(String(text).toWellFormed())); }
  encodeInto(text, target) {
    const bytes = this.encode(text).subarray(0, target.length);
    target.set(bytes);
    return { read: text.length, written: bytes.length };
  }
}

class TextDecoder {
  constructor(encoding = 'utf-8', options = {}) {
    if (!/^(utf-?8|utf-?16le|latin1|ascii|windows-1252|iso-8859-1)$/i.test(encoding)) throw new RangeError(`The "${encoding}" encoding is not supported`);
    this.encoding = encoding.toLowerCase();
    this.fatal = Boolean(options.fatal);
    this.ignoreBOM = Boolean(options.ignoreBOM);
  }
  decode(input = new Uint8Array()) {
    const bytes = input instanceof ArrayBuffer ? new Uint8Array(input) : new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    const text = toText(bytes, /^(utf|ascii)/.test(this.encoding) ? this.encoding : 'latin1');
    if (this.fatal && text.includes('\ufffd')) throw new TypeError('The encoded data was not valid');
    return this.ignoreBOM ? text : text.replace(/^\ufeff/, '');
  }
}

module.exports = {
  Buffer, TextEncoder, TextDecoder,
  atob: (text) => native.binary(Uint8Array.from(decodeBase64(String(text)))),
  btoa: (text) => encodeBase64(fromUnits(String(text), 255), false),
  Blob: class Blob { constructor() { native.unsupported('Blob'); } },
  SlowBuffer: Buffer, kMaxLength: 2 ** 32, constants: { MAX_LENGTH: 2 ** 32, MAX_STRING_LENGTH: 2 ** 29 - 24 },
};
