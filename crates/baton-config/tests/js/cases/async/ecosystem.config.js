const { promisify } = require('util');
const { readFile } = require('fs');
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
module.exports = (async () => {
  const text = await promisify(readFile)(__filename, 'utf8');
  await wait(3);
  await Promise.all([wait(2), wait(1)]);
  return { apps: [{ name: 'late', script: 'a.js', lines: text.split('\n').length }] };
})();
