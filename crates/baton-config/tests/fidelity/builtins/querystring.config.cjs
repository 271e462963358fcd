const qs = require('querystring');
module.exports = { apps: [], parse: qs.parse('a=1&b=2&a=3&c=%20x+y&d'), string: qs.stringify({ a: [1, 2], b: 'ü &', c: true, d: null }), escape: qs.escape('a b&c'), unescape: qs.unescape('a%20b') };
