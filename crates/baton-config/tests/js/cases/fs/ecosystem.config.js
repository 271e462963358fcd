const fs = require('node:fs');
const path = require('path');
const here = (name) => path.join(__dirname, name);
const failure = (run) => { try { run(); return 'no error'; } catch (error) { return { code: error.code, call: error.syscall, path: error.path && path.basename(error.path), errno: error.errno, name: error.name, message: error.message.replace(__dirname, ''), real: error instanceof Error }; } };
const names = fs.readdirSync(here('services'), { withFileTypes: true });
module.exports = {
  apps: names.filter((entry) => entry.isDirectory()).map((entry) => ({ name: entry.name, script: fs.readFileSync(here(`services/${entry.name}/main`), 'utf8').trim() })),
  plain: fs.readdirSync(here('services')), recursive: fs.readdirSync(here('services'), { recursive: true }).sort(),
  exists: [fs.existsSync(here('services')), fs.existsSync(here('nothing')), fs.existsSync(undefined)],
  stat: (({ size }) => ({ size, file: fs.statSync(here('services/README')).isFile(), dir: fs.statSync(here('services')).isDirectory(), link: fs.lstatSync(__filename).isSymbolicLink() }))(fs.statSync(here('services/README'))),
  buffer: fs.readFileSync(here('services/README')).toString('hex'), latin: fs.readFileSync(here('services/README'), 'latin1'), json: JSON.parse(fs.readFileSync(new URL(`file://${here('services/list.json')}`))),
  soft: fs.statSync(here('nothing'), { throwIfNoEntry: false }) === undefined, time: fs.statSync(__filename).mtime instanceof Date, mode: typeof fs.statSync(__filename).mode,
  errors: [failure(() => fs.readFileSync(here('nothing'))), failure(() => fs.readdirSync(here('nothing'))), failure(() => fs.statSync(here('nothing'))), failure(() => fs.accessSync(here('nothing'))), failure(() => fs.readFileSync(here('services'))), failure(() => fs.readdirSync(__filename)), failure(() => fs.lstatSync('/nope/x'))],
  real: path.basename(fs.realpathSync(here('services/../services'))), constants: fs.constants.R_OK, promised: typeof fs.promises.readFile,
};
