import { fileURLToPath, pathToFileURL, URL as U, format } from 'node:url';
const url = new URL('https://me:p%20w@example.org:8443/a/../b%20c?x=1&y=a+b&x=2#frag');
url.searchParams.append('z', 'ü &');
export default {
  apps: [],
  parts: ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'].map((key) => url[key]),
  all: url.searchParams.getAll('x'), keys: [...url.searchParams.keys()], object: Object.fromEntries(new URLSearchParams('a=1&b=%C3%BC&a=3')),
  back: fileURLToPath('file:///a%20b/c.js'), there: pathToFileURL('/a b/ü#.js').href,
  relative: [new U('../x', 'http://h/a/b/c').href, new U('//o/p', 'https://h').href, new U('?q', 'http://h/a?b#c').href],
  invalid: (() => { try { return new URL('not a url'); } catch (error) { return [error.name, error.code]; } })(),
  json: url, can: [U.canParse('http://a'), U.canParse('a')],
};
