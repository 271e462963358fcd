// What depends on language and place: exactly what Node says in US English and in UTC, where that is small. Everything else
// has only the real Node, so that no result differs in silence.
const os = native.binding('os');
const environment = native.environment();
const only = (what) => native.unsupported(what);

// The language that Node takes when the caller names none, such as `en-US`.
function byDefault() {
  const given = environment.LC_ALL || environment.LC_MESSAGES || environment.LANG || '';
  const name = given.replace(/[.@].*$/, '').replace('_', '-');
  return name === '' || name === 'C' || name === 'POSIX' ? 'en-US' : name;
}
const languageOf = (locales) => {
  const given = Array.isArray(locales) ? locales[0] : locales;
  return given === undefined ? byDefault() : typeof given === 'string' ? given : '';
};
const isAmerican = (locales) => /^en(-US)?$/.test(languageOf(locales));
const given = (options) => (options === undefined ? [] : Object.keys(Object(options)).filter((key) => options[key] !== undefined));

// ASCII in the order of Unicode's root collation, which these languages keep.
const ORDER = '\t\n\v\f\r _-,;:!?.\'"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz';
const KEEPING = /^(en|de|fr|it|nl|pt|es|ja|zh|ko|ru)(-|$)/;
function localeCompare(text, [other, locales, options]) {
  const [a, b] = [String(text), String(other)];
  if (a === b) return 0;
  if (given(options).length || !KEEPING.test(languageOf(locales)) || /[^\t-\r -~]/.test(a + b)) return only('String.prototype.localeCompare beyond plain English');
  const weights = (one) => Array.from(one.toLowerCase(), (c) => ORDER.indexOf(c));
  const [left, right] = [weights(a), weights(b)];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    if (left[at] !== right[at]) return left[at] < right[at] ? -1 : 1;
  }
  if (left.length !== right.length) return left.length < right.length ? -1 : 1;
  // Alike but for case: the lower one comes first.
  const at = [...a].findIndex((c, index) => c !== b[index]);
  return a[at] > b[at] ? -1 : 1;
}

const cased = (name) => (text, [locales], before) => {
  const language = languageOf(locales);
  return /^(az|el|lt|tr)/.test(language) || language === '' ? only(`String.prototype.${name} in this language`) : before.call(text);
};

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ',');
// The digits before and behind the point of a number without exponent.
function digitsOf(number) {
  const [mantissa, exponent = '0'] = String(number).split('e');
  const [whole, part = ''] = mantissa.split('.');
  const shift = Number(exponent);
  if (shift >= 0) return [whole + part.slice(0, shift).padEnd(shift, '0'), part.slice(shift)];
  const padded = whole.padStart(1 - shift, '0');
  return [padded.slice(0, shift), padded.slice(shift) + part];
}
function formatNumber(number, [locales, options]) {
  const value = Number.prototype.valueOf.call(number);
  const { minimumFractionDigits, maximumFractionDigits } = options ?? {};
  const known = given(options).every((key) => ['minimumFractionDigits', 'maximumFractionDigits'].includes(key));
  const least = minimumFractionDigits ?? 0;
  const most = maximumFractionDigits ?? Math.max(3, least);
  const fit = [least, most].every((count) => Number.isInteger(count) && count >= 0 && count <= 20) && least <= most;
  if (!isAmerican(locales) || options === null || !known || !fit) return only('Number.prototype.toLocaleString beyond plain English');
  if (Number.isNaN(value)) return 'NaN';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (Math.abs(value) === Infinity) return `${sign}∞`;
  const [whole, part] = digitsOf(Math.abs(value));
  // Half is rounded away from zero, as it is written.
  const rounded = (BigInt(whole + part.slice(0, most).padEnd(most, '0')) + (part[most] >= '5' ? 1n : 0n)).toString().padStart(most + 1, '0');
  const at = rounded.length - most;
  let behind = rounded.slice(at);
  while (behind.length > least && behind.endsWith('0')) behind = behind.slice(0, -1);
  return `${sign}${grouped(rounded.slice(0, at))}${behind && `.${behind}`}`;
}
function formatBigInt(number, [locales, options]) {
  if (!isAmerican(locales) || given(options).length) return only('BigInt.prototype.toLocaleString beyond plain English');
  const text = BigInt.prototype.toString.call(number);
  return text.startsWith('-') ? `-${grouped(text.slice(1))}` : grouped(text);
}

const ZULU = /^(Etc\/)?(UTC|UCT|Universal|Zulu)$/;
function isUtc() {
  const { TZ } = environment;
  if (TZ !== undefined) return TZ === '' || ZULU.test(TZ.replace(/^:/, ''));
  const link = os.localtime();
  return link === null || ZULU.test(link.replace(/^.*zoneinfo\//, ''));
}
const zoned = (name) => (date, args, before) => {
  const text = before.call(date);
  if (Number.isNaN(+date) || text.endsWith(')')) return text;
  return isUtc() ? `${text} (Coordinated Universal Time)` : only(`Date.prototype.${name} with the name of this time zone`);
};

const two = (number) => String(number).padStart(2, '0');
const day = (date) => `${date.getMonth() + 1}/${date.getDate()}/${date.getFullYear()}`;
const clock = (date) => `${date.getHours() % 12 || 12}:${two(date.getMinutes())}:${two(date.getSeconds())} ${date.getHours() < 12 ? 'AM' : 'PM'}`;
const dated = (name, shown) => (date, [locales, options], before) => {
  // Older days are those of another calendar.
  const plain = isAmerican(locales) && options !== null && given(options).length === 0 && !(date.getFullYear() < 1600);
  if (!plain) return only(`Date.prototype.${name} beyond plain English`);
  return Number.isNaN(Date.prototype.valueOf.call(date)) ? 'Invalid Date' : shown(date);
};

module.exports = {
  String: { localeCompare, toLocaleLowerCase: cased('toLocaleLowerCase'), toLocaleUpperCase: cased('toLocaleUpperCase') },
  Number: { toLocaleString: formatNumber },
  BigInt: { toLocaleString: formatBigInt },
  Date: {
    toString: zoned('toString'),
    toTimeString: zoned('toTimeString'),
    toLocaleString: dated('toLocaleString', (date) => `${day(date)}, ${clock(date)}`),
    toLocaleDateString: dated('toLocaleDateString', day),
    toLocaleTimeString: dated('toLocaleTimeString', clock),
  },
};
