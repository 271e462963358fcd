const fs = require('fs');
const at = (name) => `${__dirname}/data/${name}`;
const attempt = (work) => { try { return work(); } catch (error) { return [error.code, error.syscall, error.message.replace(__dirname, '')]; } };
module.exports = {
  apps: [],
  exists: [fs.existsSync(at('a.txt')), fs.existsSync(at('none')), fs.existsSync(undefined)],
  text: fs.readFileSync(at('a.txt'), 'utf8'),
  object: fs.readFileSync(at('a.txt'), { encoding: 'utf-8' }),
  hex: fs.readFileSync(at('a.txt')).toString('hex'),
  base64: fs.readFileSync(at('a.txt'), 'base64'),
  names: fs.readdirSync(at('')).sort(),
  kinds: fs.readdirSync(at(''), { withFileTypes: true }).map((one) => [one.name, one.isFile(), one.isDirectory()]).sort(),
  stat: [fs.statSync(at('a.txt')).size, fs.statSync(at('')).isDirectory(), fs.statSync(at('none'), { throwIfNoEntry: false }) === undefined],
  errors: [attempt(() => fs.readFileSync(at('none'))), attempt(() => fs.readdirSync(at('a.txt'))), attempt(() => fs.readFileSync(at(''))), attempt(() => fs.statSync(at('none')))],
  access: attempt(() => fs.accessSync(at('none'), fs.constants.R_OK)),
  real: fs.realpathSync(at('../data/a.txt')).replace(__dirname, ''),
};
