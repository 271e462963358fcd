const { URL: Same, fileURLToPath, pathToFileURL, parse, format } = require('url');
const inputs = ['http://example.com', 'HTTPS://User:p%40ss@Example.COM:443/a/../b/./c?x=1 2&y=é#frag ment', 'http://h:8080', 'redis://:secret@cache:6379/0', 'postgres://u:p@db/name?ssl=true', 'mongodb://127.0.0.1:27017', 'file:///a/b%20c.txt', 'mailto:a@b.c', 'http://[::1]:80/x', 'ws://h/p?q', 'http://127.1/', 'http://a/b?c#', 'amqp://localhost', 'data:text/plain,hi', 'http:\\\\x\\y', 'not a url', 'http://', '//x', 'http://a b/', 'http://h:99999'];
const show = (text, base) => { try { const { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash } = new URL(text, base); return { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash }; } catch (error) { return [error.name, error.code]; } };
const edited = new URL('http://h/p?a=1&b=2');
edited.searchParams.append('c', 'x y&z'); edited.searchParams.delete('a'); edited.port = '81'; edited.pathname = 'a b'; edited.hash = 'z'; edited.hostname = 'other'; edited.protocol = 'https';
const params = new URLSearchParams({ q: 'a b', r: 'é&=' });
module.exports = {
  apps: [], same: Same === URL, all: inputs.map((one) => show(one)), relative: ['x', '/x', '../x', '?q', '#h', '', '//other/y', 'http:z', './a/./b/', '..', 'a:b'].map((one) => show(one, 'http://u:p@host:81/a/b/c?d#e')),
  edited: edited.href, params: [params.toString(), [...params], params.get('q'), params.get('no'), params.has('r'), new URLSearchParams('?a=1&a=2&b').getAll('a'), new URLSearchParams([['k', 'v']]).toString(), params.size],
  file: [fileURLToPath('file:///a/b%20c'), pathToFileURL('/x y/z#1?').href, pathToFileURL('/a/').href, fileURLToPath(new URL('..', pathToFileURL('/a/b/c.js')))], can: [URL.canParse('http://x'), URL.canParse('x')], json: { url: new URL('http://x/y') },
  legacy: (({ protocol, host, hostname, port, pathname, query, search, hash }) => ({ protocol, host, hostname, port, pathname, query, search, hash }))(parse('http://h:8080/p?q=1#x')), formatted: format({ protocol: 'http', hostname: 'h', port: 80, pathname: '/p', query: { a: 1 } }),
};
