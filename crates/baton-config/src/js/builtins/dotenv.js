// Stands in for the package of this name where it is not installed: the same calls, the same reading of a file.
const fs = require('fs');
const path = require('path');

const LINE = /^[ \t]*(?:export[ \t]+)?([\w.-]+)(?:[ \t]*=[ \t]*|:[ \t]+)('(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`|[^#\r\n]*)?[ \t]*(?:#.*)?$/gm;

function parse(source) {
  const values = {};
  for (const [, name, raw = ''] of String(source).replace(/\r\n?/g, '\n').matchAll(LINE)) {
    let value = raw.trim();
    const quote = /^(['"`])[\s\S]*\1$/.exec(value)?.[1];
    if (quote) value = value.slice(1, -1);
    if (quote === '"') value = value.replaceAll('\\n', '\n').replaceAll('\\r', '\r');
    values[name] = value;
  }
  return values;
}

function populate(target, values, options = {}) {
  for (const name of Object.keys(values)) {
    if (options.override || !Object.prototype.hasOwnProperty.call(target, name)) target[name] = values[name];
  }
  return values;
}

function config(options = {}) {
  const given = options.path ?? process.env.DOTENV_CONFIG_PATH ?? path.resolve(process.cwd(), '.env');
  const parsed = {};
  let failure;
  for (const file of Array.isArray(given) ? given : [given]) {
    const name = typeof file === 'string' && file.startsWith('~') ? path.join(require('os').homedir(), file.slice(1)) : file;
    try {
      populate(parsed, parse(fs.readFileSync(name, options.encoding ?? 'utf8')), options);
    } catch (error) {
      if (options.throws) throw error;
      failure = error;
    }
  }
  populate(options.processEnv ?? process.env, parsed, options);
  return failure ? { parsed, error: failure } : { parsed };
}

module.exports = { config, configDotenv: config, parse, populate };
