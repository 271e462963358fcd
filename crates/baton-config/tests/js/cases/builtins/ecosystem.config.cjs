const os = require('os'), util = require('util'), events = require('events'), crypto = require('crypto'), qs = require('querystring'), assert = require('assert');
const { StringDecoder } = require('string_decoder');
const emitter = new events.EventEmitter();
const heard = [];
emitter.on('x', (value) => heard.push(value)).once('x', () => heard.push('once')).prependListener('x', () => heard.push('first'));
emitter.emit('x', 1); emitter.emit('x', 2);
class Legacy { constructor() { events.call(this); } }
util.inherits(Legacy, events);
const thrown = (run) => { try { run(); } catch (error) { return [error.name, error.code]; } };
const decoder = new StringDecoder('utf8');
const bytes = Buffer.from('h\u00e9llo w\u00f6rld \u{1F600}');
module.exports = {
  apps: [], os: [os.EOL, os.platform(), os.arch(), os.cpus().length, os.hostname(), os.homedir(), os.tmpdir(), os.totalmem(), os.type(), os.release(), os.endianness(), os.userInfo().username],
  heard, legacy: new Legacy().on('a', () => {}).listenerCount('a'), unheard: emitter.emit('nobody'), error: thrown(() => emitter.emit('error', new RangeError('x'))),
  hashes: ['md5', 'sha1', 'sha256', 'sha512'].map((name) => crypto.createHash(name).update('baton ').update(bytes).digest('hex')),
  hmac: [crypto.createHmac('sha256', 'key').update('data').digest('base64'), crypto.createHmac('sha512', 'k'.repeat(200)).update('data').digest('hex')],
  random: [crypto.randomBytes(8).length, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()), crypto.randomInt(5) < 5],
  buffers: [bytes.length, bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('latin1'), Buffer.from('aGk_', 'base64').toString('hex'), Buffer.from('zz12', 'hex').length, Buffer.concat([Buffer.from('a'), Buffer.alloc(2, 'b')]).toString(), bytes.subarray(0, 1).toString(), Buffer.byteLength('\u00e9'), Buffer.isBuffer(bytes), bytes.equals(Buffer.from(bytes)), bytes.readUInt16BE(0), bytes.indexOf('w'), JSON.stringify(Buffer.from('a')), Buffer.compare(Buffer.from('a'), Buffer.from('b')), bytes.slice(-4).toString(), Buffer.from([1, 256, -1]).toString('hex'), Buffer.from('\ud83d').toString('hex')],
  text: [new TextDecoder().decode(new TextEncoder().encode('\u00e9\u{1F600}')), decoder.write(Buffer.from([0xe2, 0x82])) + decoder.write(Buffer.from([0xac])), atob('aGk='), btoa('hi')],
  query: [qs.stringify({ a: [1, 2], b: 'x y&z' }), qs.parse('a=1&a=2&b=x+y%26'), qs.escape("a'b c")],
  util: [util.format('%s is %d and %j %i %f %% %x', 'x', 4.5, { a: 1 }, '12px', '1.5', 'rest'), util.inspect({ a: 1, b: ['x', { c: new Map([['k', 1]]) }], d: null, e: undefined, f() {}, 'g-h': true }), util.inspect('it\'s'), util.types.isRegExp(/x/), util.isDeepStrictEqual({ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }), util.isDeepStrictEqual([1], ['1']), util.inspect(new Set([1, 'a'])), util.inspect([[[[1]]]]), util.inspect(Object.create(null)), util.inspect(class A {}), util.inspect(Symbol('s'))],
  assert: [thrown(() => assert(0)), thrown(() => assert.strictEqual(1, 2)), thrown(() => assert.deepStrictEqual({ a: 1 }, { a: 1 })) ?? 'equal', thrown(() => assert.throws(() => {})), thrown(() => assert.equal(1, '1')) ?? 'loose'],
  clone: structuredClone({ when: new Date(0), list: [1, { two: 2 }], map: [...new Map([[1, 2]])] }), uncloneable: thrown(() => structuredClone(() => {}))?.[0],
  module: [require('module').builtinModules.includes('fs'), require('module').isBuiltin('node:path'), require.resolve('fs'), typeof require('module').createRequire(__filename)('path').join],
  aborted: (() => { const controller = new AbortController(); controller.abort(); return [controller.signal.aborted, controller.signal.reason.name]; })(),
  global: [typeof global, global === globalThis, typeof window, typeof require('timers').setTimeout, typeof queueMicrotask, typeof performance.now()], exports: [this === module.exports, typeof __filename, require.main === module, module.id === __filename],
};
