// Where plain English is small, it is exact.
const words = ['b', 'a', 'Z', 'B', 'ab', 'aB', 'Ab', 'a b', 'a-b', 'a_b', 'a1', 'a10', 'a2', '', ' ', '#x', '$x', 'x.y', 'x,y', 'X', '~', '|', 'abc', 'ABD'];
const made = Array.from({ length: 400 }, (_, at) => {
  let seed = at * 7919 + 13;
  return Array.from({ length: at % 7 }, () => String.fromCharCode(32 + ((seed = (seed * 1103515245 + 12345) % 2147483648) >> 8) % 95)).join('');
});
const numbers = [0, -0, 1, -1, 999, 1000, 1234.5, 123456789.98765, 1.0005, 0.0005, 0.00049, 1e21, 1.5e300, 1e-7, -0.0001, -1234567, NaN, Infinity, -Infinity, 0.1 + 0.2, 99.9995, 9.5];
const day = new Date(2024, 5, 1);
module.exports = {
  apps: [{ name: 'a', script: 'a.js' }],
  sorted: [...words, ...made].sort((a, b) => a.localeCompare(b)),
  signs: [...words, ...made].map((a, at) => a.localeCompare(made[(at * 31) % 400])),
  english: 'b'.localeCompare('a', 'en'),
  numbers: numbers.map((number) => number.toLocaleString()),
  digits: numbers.flatMap((number) => [number.toLocaleString('en-US', { maximumFractionDigits: 0 }), number.toLocaleString(undefined, { minimumFractionDigits: 2 }), number.toLocaleString('en', { minimumFractionDigits: 1, maximumFractionDigits: 2 })]),
  bigint: [12345678901234567890n.toLocaleString(), (-1000n).toLocaleString()],
  list: [1234.5, 'x', null, day].toLocaleString(),
  cases: ['ÄÖß'.toLocaleLowerCase(), 'ß'.toLocaleUpperCase()],
  dates: [0, 11.5, 12, 13.25, 23.999].map((hour) => new Date(2024, 10, 9, 0, 0, hour * 3600)).flatMap((date) => [date.toLocaleString(), date.toLocaleDateString('en-US'), date.toLocaleTimeString()]),
  invalid: [String(new Date(NaN)), new Date(NaN).toLocaleString()],
  zone: [String(day), `${day}`, day + '', day.toTimeString(), day.toDateString()],
};
