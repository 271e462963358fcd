const crypto = require('crypto');
const hash = (name, text) => crypto.createHash(name).update(text).digest('hex');
module.exports = {
  apps: [],
  hashes: ['md5', 'sha1', 'sha256', 'sha512'].map((name) => hash(name, 'héllo')),
  base64: crypto.createHash('sha256').update('a').update(Buffer.from('b')).digest('base64'),
  hmac: crypto.createHmac('sha256', 'key').update('text').digest('hex'),
  random: [crypto.randomBytes(8).length, crypto.randomUUID().length, crypto.randomUUID() === crypto.randomUUID()],
  equal: crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('a')),
};
