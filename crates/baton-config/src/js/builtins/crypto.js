const sys = native.binding('crypto');
const toBuffer = (data, encoding) => (typeof data === 'string' ? Buffer.from(data, encoding) : Buffer.from(data.buffer, data.byteOffset, data.byteLength));

function digestOf(name, bytes) {
  const digest = sys.hash(name, native.binary(bytes));
  if (!digest) native.unsupported(`crypto hash ${name}`);
  return Buffer.from(digest);
}

class Hash {
  #parts = [];
  constructor(name) { this.name = name; digestOf(name, Buffer.alloc(0)); }
  update(data, encoding) { this.#parts.push(toBuffer(data, encoding)); return this; }
  copy() { const copy = new Hash(this.name); copy.#parts = [...this.#parts]; return copy; }
  digest(encoding) {
    const result = digestOf(this.name, Buffer.concat(this.#parts));
    return encoding && encoding !== 'buffer' ? result.toString(encoding) : result;
  }
}

class Hmac {
  #inner;
  constructor(name, key) {
    const block = /^sha-?(384|512)$/i.test(name) ? 128 : 64;
    let bytes = toBuffer(key);
    if (bytes.length > block) bytes = digestOf(name, bytes);
    const padded = Buffer.concat([bytes, Buffer.alloc(block - bytes.length)]);
    this.name = name;
    this.outer = Buffer.from(padded.map((byte) => byte ^ 0x5c));
    this.#inner = new Hash(name).update(Buffer.from(padded.map((byte) => byte ^ 0x36)));
  }
  update(data, encoding) { this.#inner.update(data, encoding); return this; }
  digest(encoding) { return new Hash(this.name).update(this.outer).update(this.#inner.digest()).digest(encoding); }
}

const randomBytes = (size, done) => {
  const bytes = Buffer.from(sys.random(size));
  if (!done) return bytes;
  queueMicrotask(() => done(null, bytes));
};

function randomUUID() {
  const bytes = randomBytes(16);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function randomInt(low, high) {
  if (high === undefined || typeof high === 'function') [low, high] = [0, low];
  return low + Math.floor((randomBytes(6).reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 48) * (high - low));
}

function getRandomValues(array) {
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(randomBytes(array.byteLength));
  return array;
}

function timingSafeEqual(a, b) {
  if (a.byteLength !== b.byteLength) throw Object.assign(new RangeError('Input buffers must have the same byte length'), { code: 'ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH' });
  return toBuffer(a).reduce((different, byte, at) => different | (byte ^ toBuffer(b)[at]), 0) === 0;
}

const subtle = { digest: async (name, data) => Uint8Array.from(digestOf(typeof name === 'string' ? name : name.name, new Uint8Array(data.buffer ?? data))).buffer };
const webcrypto = { getRandomValues, randomUUID, subtle };
module.exports = {
  createHash: (name) => new Hash(name), createHmac: (name, key) => new Hmac(name, key), Hash, Hmac,
  hash: (name, data, encoding = 'hex') => new Hash(name).update(data).digest(encoding),
  getHashes: () => ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'],
  randomBytes, randomUUID, randomInt, getRandomValues, randomFillSync: getRandomValues, timingSafeEqual, webcrypto, subtle, constants: {},
};
const lacking = ['createCipheriv', 'createDecipheriv', 'createSign', 'createVerify', 'createPublicKey', 'createPrivateKey', 'generateKeyPairSync', 'generateKeyPair', 'pbkdf2', 'pbkdf2Sync', 'scrypt', 'scryptSync', 'publicEncrypt', 'privateDecrypt', 'sign', 'verify', 'createDiffieHellman', 'createECDH', 'hkdfSync'];
for (const name of lacking) module.exports[name] = () => native.unsupported(`crypto.${name}`);
