exports.apps = [{ name: 'a', script: 'a.js' }];
exports.deploy = { prod: { host: ['a', 'b'], env: { A: 1 } } };
