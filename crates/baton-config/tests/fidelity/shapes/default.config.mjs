export default { apps: [{ name: 'a', script: 'a.js' }] };
