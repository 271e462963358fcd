const { Buffer: B } = require('buffer');
const bytes = B.from('héllo ✓', 'utf8');
module.exports = {
  apps: [],
  length: [bytes.length, B.byteLength('é'), B.alloc(3).length],
  forms: ['utf8', 'hex', 'base64', 'base64url', 'latin1', 'ascii'].map((form) => bytes.toString(form)),
  from: [B.from('aGk=', 'base64').toString(), B.from('6869', 'hex').toString(), B.from([104, 105]).toString()],
  parts: [bytes.slice(0, 2).toString('hex'), bytes.subarray(-3).toString(), B.concat([B.from('a'), B.from('b')]).toString()],
  compare: [B.compare(B.from('a'), B.from('b')), B.from('a').equals(B.from('a')), bytes.indexOf('l'), bytes.includes('✓')],
  json: B.from('hi'), is: [B.isBuffer(bytes), B.isBuffer(new Uint8Array(1))],
  numbers: (() => { const b = B.alloc(8); b.writeUInt32BE(0xdeadbeef, 0); b.writeInt16LE(-2, 4); return [b.readUInt32BE(0), b.readInt16LE(4), b.toString('hex')]; })(),
};
