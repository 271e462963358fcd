const fs = require('fs'); const path = require('path');
const read = (file) => Object.fromEntries(fs.readFileSync(path.join(__dirname, file), 'utf8').split('\n').map((line) => line.trim()).filter((line) => line && !line.startsWith('#')).map((line) => { const at = line.indexOf('='); return [line.slice(0, at), line.slice(at + 1).replace(/^"(.*)"$/, '$1')]; }));
module.exports = { apps: [{ name: 'a', script: 'a.js', env: { ...read('.env.local'), MODE: 'x' } }] };
