module.exports = { apps: [ { name: 'a' } { name: 'b' } ] };
