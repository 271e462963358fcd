module.exports = { apps: [], s: ['"\\\b\f\n\r\t', '\u0000\u001f\u007f', 'é✓😀', '\u2028\u2029', '</script>', `a${1}b
c`, String.raw`\n${2}`, 'x'.padStart(3, '-'), 'aXbX'.replaceAll('X', '_'), ' t '.trim(), 'abc'.at(-1), '😀'.length, [...'a😀'].length, 'ß'.toUpperCase(), 'İ'.toLowerCase().length, 'e\u0301'.normalize('NFC')] };
