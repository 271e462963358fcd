const escape = (text) => encodeURIComponent(text);
const unescape = (text) => {
  try { return decodeURIComponent(text); } catch { return text; }
};
const primitive = (value) => (['string', 'boolean', 'bigint'].includes(typeof value) || Number.isFinite(value) ? String(value) : '');

function stringify(values, between = '&', equals = '=', options = {}) {
  const encode = options.encodeURIComponent ?? module.exports.escape;
  if (values === null || typeof values !== 'object') return '';
  return Object.entries(values)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${encode(name)}${equals}${encode(primitive(one))}`))
    .join(between);
}

function parse(text, between = '&', equals = '=', options = {}) {
  const decode = options.decodeURIComponent ?? module.exports.unescape;
  const values = Object.create(null);
  for (const part of String(text ?? '').split(between || '&').filter(Boolean).slice(0, options.maxKeys || undefined)) {
    const at = part.indexOf(equals || '=');
    const [name, value] = (at === -1 ? [part, ''] : [part.slice(0, at), part.slice(at + (equals || '=').length)]).map((half) => decode(half.replaceAll('+', ' ')));
    if (name in values) values[name] = [].concat(values[name], value);
    else values[name] = value;
  }
  return values;
}

module.exports = { stringify, encode: stringify, parse, decode: parse, escape, unescape };
