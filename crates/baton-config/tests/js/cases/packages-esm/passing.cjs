module.exports = require('./passed.cjs');
