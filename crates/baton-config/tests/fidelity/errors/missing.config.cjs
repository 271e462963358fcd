module.exports = require('./nowhere');
