module.exports = { script: 'a.js', name: 'a' };
