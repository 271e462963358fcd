module.exports = 'myself';
