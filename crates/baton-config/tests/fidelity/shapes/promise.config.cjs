module.exports = Promise.all([1, 2].map(async (n) => ({ name: `a${n}`, script: 'a.js' }))).then((apps) => ({ apps }));
