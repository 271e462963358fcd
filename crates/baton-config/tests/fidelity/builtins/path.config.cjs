const path = require('path');
const list = ['/a/b/../c/./d', 'a//b', '', '.', '..', '/', '/..', 'a/b/', './a', '../../x'];
module.exports = {
  apps: [],
  normalize: list.map(path.normalize),
  dirname: list.map((one) => path.dirname(one)),
  basename: list.map((one) => path.basename(one)),
  extname: ['.a', 'a.b.c', 'a.', '.', 'a', '..', '.a.b', 'x/.y'].map(path.extname),
  resolve: [path.resolve('/a', '..', 'b'), path.resolve('/a', '/b', './c'), path.resolve('/', '')],
  relative: [path.relative('/a/b/c', '/a/d'), path.relative('/a', '/a'), path.relative('/a', '/a/b/'), path.relative('/', '/x')],
  join: [path.join('a', '', '..', '..', 'b'), path.join(''), path.join('/a', '/b')],
  parse: [path.parse('/home/x/file.tar.gz'), path.parse('a'), path.parse('/')],
  format: [path.format({ dir: '/a', base: 'b' }), path.format({ root: '/', name: 'n', ext: '.e' })],
  absolute: ['/', 'a', './a', ''].map(path.isAbsolute),
  sep: [path.sep, path.delimiter, path.posix === path, path.win32.join('a', '../b/c', 'd')],
  win32: [path.win32.normalize('C:/a//b/../c'), path.win32.basename('C:\\a\\b.txt', '.txt'), path.win32.extname('a\\b.c'), path.win32.dirname('C:\\a\\b'), path.win32.isAbsolute('C:\\a'), path.win32.isAbsolute('a\\b')],
};
