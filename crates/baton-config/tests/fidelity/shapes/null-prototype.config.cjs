const env = Object.create(null); env.A = 1; env.__proto__ = 'text';
const inherited = Object.create({ far: 1 }); inherited.near = 2;
module.exports = { apps: [{ name: 'a', script: 'a', env, inherited }] };
