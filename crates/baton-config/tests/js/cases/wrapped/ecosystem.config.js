Object.defineProperty(exports, '__esModule', { value: true });
exports.default = { pm2: { apps: Promise.resolve([{ name: 'deep', script: 'a.js' }]) } };
