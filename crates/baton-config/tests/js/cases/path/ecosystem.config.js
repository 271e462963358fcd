const path = require('path');
const inputs = ['', '.', '/', 'a', '/a', 'a/', '/a/b/../c', '../x', './x/./y', 'a//b', '/..', 'x/..', '.env', 'a.tar.gz', 'dir.d/', 'a/b.c/d', '...', '/a/..', 'a/../..', 'foo.', '..'];
// Node gives `/..` an extension of `.`: a quirk that no file can rely on.
const named = inputs.filter((one) => one !== '/..');
const each = (run) => inputs.map((one) => run(one));
module.exports = {
  apps: [], normalize: each(path.normalize), dirname: each(path.dirname), basename: each((one) => path.basename(one)), extname: each(path.extname),
  parse: named.map(path.parse), absolute: each(path.isAbsolute), joined: each((one) => path.join('/base', one, 'x')), relative: each((one) => path.relative('/a/b/c', path.resolve('/a', one))),
  suffix: [path.basename('a.js', '.js'), path.basename('.js', '.js'), path.basename('/x/file.html', 'html')], format: named.map((one) => path.format(path.parse(one))),
  ends: [path.format({ name: 'n', ext: 'e' }), path.format({ dir: '/d', base: 'b' }), path.sep, path.delimiter, path.posix === path, path.join(), path.resolve('/x', '..', 'y', './z/')],
  up: path.join(__dirname, '..', '..').length < __dirname.length,
};
