// Values as Node's console shows them: for people, so rare details (class decorations) are left out.
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const CUSTOM = Symbol.for('nodejs.util.inspect.custom');

function quote(text) {
  const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes('`') ? '`' : "'";
  const escapes = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f', '\v': '\\v', '\\': '\\\\', [mark]: `\\${mark}` };
  return mark + text.replace(/[\x00-\x1f\x7f\\'"`]/g, (c) => escapes[c] ?? (/['"`]/.test(c) ? c : `\\x${c.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`)) + mark;
}

const primitive = (value) => {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'bigint') return `${value}n`;
  return Object.is(value, -0) ? '-0' : String(value);
};

function nameOf(value) {
  for (let at = value; at !== null; at = Object.getPrototypeOf(at)) {
    const own = Object.getOwnPropertyDescriptor(at, 'constructor')?.value;
    if (typeof own === 'function' && own.name !== '') return own.name;
  }
  return null;
}

function inspect(value, options, ...legacy) {
  const given = options !== null && typeof options === 'object' ? options : { showHidden: options, depth: legacy[0] };
  const limits = { depth: 2, breakLength: 80, compact: 3, maxArrayLength: 100, maxStringLength: 10000, sorted: false, getters: false, ...given };
  if (given.depth === undefined) limits.depth = 2;
  if (limits.depth === null) limits.depth = Infinity;
  limits.circles = new Map();
  return show(value, limits, 0, []);
}

function show(value, limits, depth, above) {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return primitive(value);
  if (typeof value[CUSTOM] === 'function' && value[CUSTOM] !== inspect) {
    const shown = value[CUSTOM](limits.depth - depth, limits, inspect);
    return typeof shown === 'string' ? shown : show(shown, limits, depth, above);
  }
  if (above.includes(value)) {
    if (!limits.circles.has(value)) limits.circles.set(value, limits.circles.size + 1);
    return `[Circular *${limits.circles.get(value)}]`;
  }
  const name = nameOf(value);
  let head = name === null ? '[Object: null prototype] ' : name === 'Object' ? '' : `${name} `;
  let [open, close] = ['{', '}'];
  const skipped = new Set();
  let leaf;
  if (Array.isArray(value)) {
    [open, close] = ['[', ']'];
    head = name === 'Array' ? '' : `${name}(${value.length}) `;
  } else if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    [open, close] = ['[', ']'];
    if (name === 'Buffer') return `<Buffer${Array.from(value.subarray(0, 50), (byte) => ` ${byte.toString(16).padStart(2, '0')}`).join('')}${value.length > 50 ? ` ... ${value.length - 50} more bytes` : ''}>`;
    head = `${name}(${value.length}) `;
  } else if (typeof value === 'function') {
    const isClass = /^class\b/.test(Function.prototype.toString.call(value));
    leaf = isClass ? `[class ${value.name || '(anonymous)'}]` : `[${name ?? 'Function'}${value.name ? `: ${value.name}` : ' (anonymous)'}]`;
    head = `${leaf} `;
  } else if (value instanceof Error) {
    const title = `${value.name}${value.message ? `: ${value.message}` : ''}`;
    leaf = value.stack ? `${title}\n${value.stack}`.trimEnd() : `[${title}]`;
    head = `${leaf} `;
    ['stack', 'message', 'name'].forEach((key) => skipped.add(key));
  } else if (value instanceof RegExp) leaf = String(value);
  else if (value instanceof Date) leaf = Number.isNaN(+value) ? 'Invalid Date' : value.toISOString();
  else if (value instanceof Map || value instanceof Set) head = `${name}(${value.size}) `;
  else if (value instanceof Promise) head = 'Promise ';
  else if ([String, Number, Boolean].some((Type) => value instanceof Type)) leaf = `[${name}: ${primitive(value.valueOf())}]`;
  const keys = Reflect.ownKeys(value).filter((key) => {
    if (skipped.has(key) || (typeof value === 'function' && ['prototype', 'length', 'name'].includes(key))) return false;
    if (value instanceof String && /^\d+$/.test(String(key))) return false;
    return limits.showHidden || Object.prototype.propertyIsEnumerable.call(value, key);
  });
  if (leaf !== undefined && keys.length === 0) return leaf;
  const isEmpty = keys.length === 0 && !(value.size > 0) && !(value instanceof Promise);
  if (depth > limits.depth && !isEmpty) return Array.isArray(value) ? '[Array]' : `[${name ?? 'Object: null prototype'}]`;
  if (limits.sorted) keys.sort();
  const parts = entries(value, keys, limits, depth + 1, [...above, value]);
  // Known only now: something within leads back here.
  if (limits.circles.has(value)) head = `<ref *${limits.circles.get(value)}> ${head}`;
  if (parts.length === 0) return `${head}${open}${close}`;
  const isList = open === '[' && limits.compact >= 1;
  return layOut(isList ? inColumns(parts, value, limits, depth) : parts, `${head}${open}`, close, limits, depth, parts.length);
}

// A list of more than six short values in columns: numbers to the right, others to the left.
function inColumns(parts, value, limits, depth) {
  const rest = value.length > limits.maxArrayLength ? 1 : 0;
  const shown = parts.slice(0, parts.length - rest);
  if (parts.length <= 6 || shown.some((part) => part.includes('\n'))) return parts;
  const widths = shown.map((part) => part.length + 2);
  const [sum, widest] = [widths.reduce((all, width) => all + width, 0), Math.max(...widths)];
  const room = limits.breakLength - depth * 2;
  if (widest * 3 >= room || (sum / widest <= 5 && widest > 8)) return parts;
  const biased = Math.max(widest - 3 - Math.sqrt(widest - sum / parts.length), 1);
  const count = Math.min(Math.round(Math.sqrt(2.5 * biased * shown.length) / biased), Math.floor(room / widest), limits.compact * 4, 15);
  if (count <= 1) return parts;
  const columns = Array.from({ length: count }, (_, column) => Math.max(...widths.filter((_, at) => at % count === column)));
  const toTheRight = Array.from(value).every((one) => typeof one === 'number' || typeof one === 'bigint');
  const lines = [];
  for (let at = 0; at < shown.length; at += count) {
    const row = shown.slice(at, at + count);
    const cells = row.map((cell, column) => {
      const isLast = column === row.length - 1;
      if (toTheRight) return isLast ? cell.padStart(columns[column] - 2) : `${cell}, `.padStart(columns[column]);
      return isLast ? cell : `${cell}, `.padEnd(columns[column]);
    });
    lines.push(cells.join(''));
  }
  return [...lines, ...parts.slice(shown.length)];
}

function entries(value, keys, limits, depth, above) {
  const inner = (one) => show(one, limits, depth, above);
  const parts = [];
  const indexed = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
  if (indexed) {
    const count = Math.min(value.length, limits.maxArrayLength ?? Infinity);
    for (let at = 0; at < count; at++) {
      let holes = 0;
      while (at + holes < count && !(at + holes in value)) holes++;
      if (holes) parts.push(`<${holes} empty item${holes > 1 ? 's' : ''}>`);
      at += holes;
      if (at < count) parts.push(inner(value[at]));
    }
    if (value.length > count) parts.push(`... ${value.length - count} more item${value.length - count > 1 ? 's' : ''}`);
  }
  if (value instanceof Map) for (const [name, one] of value) parts.push(`${inner(name)} => ${inner(one)}`);
  if (value instanceof Set) for (const one of value) parts.push(inner(one));
  for (const key of keys) {
    if (indexed && /^\d+$/.test(String(key))) continue;
    const own = Object.getOwnPropertyDescriptor(value, key);
    const bare = own.enumerable && typeof key !== 'symbol';
    const label = !bare ? `[${String(key)}]` : IDENTIFIER.test(key) ? key : quote(key);
    const text = own.get ? (own.set ? '[Getter/Setter]' : '[Getter]') : own.set ? '[Setter]' : inner(own.value);
    parts.push(`${label}: ${text}`);
  }
  return parts;
}

function layOut(parts, open, close, limits, depth, count) {
  const length = parts.reduce((sum, part) => sum + part.length + 2, open.length);
  // What was put into columns stays there.
  const oneLine = parts.length === count && parts.every((part) => !part.includes('\n')) && length + depth * 2 <= Math.min(limits.breakLength, 76);
  if (oneLine || limits.breakLength === Infinity) return `${open} ${parts.join(', ')} ${close}`;
  const pad = '  '.repeat(depth + 1);
  return `${open}\n${pad}${parts.join(`,\n${pad}`)}\n${pad.slice(2)}${close}`;
}

function formatWithOptions(options, ...args) {
  let out = '';
  if (typeof args[0] === 'string' && args.length > 1) {
    let at = 1;
    out = args[0].replace(/%[sdifjoOc%]/g, (mark) => {
      if (mark === '%%') return '%';
      if (at >= args.length) return mark;
      const value = args[at++];
      switch (mark[1]) {
        case 's': return typeof value === 'string' ? value : typeof value === 'object' && value !== null ? inspect(value, { ...options, depth: 0 }) : primitive(value);
        case 'd': return typeof value === 'bigint' ? `${value}n` : primitive(typeof value === 'object' ? NaN : Number(value));
        case 'i': return typeof value === 'bigint' ? `${value}n` : primitive(typeof value === 'object' ? NaN : parseInt(value, 10));
        case 'f': return primitive(typeof value === 'symbol' ? NaN : parseFloat(value));
        case 'j': try { return JSON.stringify(value); } catch { return '[Circular]'; }
        case 'c': return '';
        case 'o': return inspect(value, { ...options, showHidden: true, depth: 4 });
        default: return inspect(value, options);
      }
    });
    args = args.slice(at);
    if (args.length === 0) return out;
    out += ' ';
  }
  return out + args.map((arg) => (typeof arg === 'string' ? arg : inspect(arg, options))).join(' ');
}

inspect.custom = CUSTOM;
inspect.defaultOptions = { depth: 2 };
inspect.colors = Object.create(null);
inspect.styles = Object.create(null);
module.exports = { inspect, formatWithOptions, format: (...args) => formatWithOptions({}, ...args), stripVTControlCharacters: (text) => String(text).replace(/\x1b\[[0-9;]*[A-Za-z]/g, '') };
