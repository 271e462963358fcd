module.exports = { apps: [{ name: 'a', script: 'a.js', env: { HALF: '\ud800', OTHER: 'x\udfff', WHOLE: '\u{1f986}', TEXT: '\\ud800', '\udbff': 1 } }] };
