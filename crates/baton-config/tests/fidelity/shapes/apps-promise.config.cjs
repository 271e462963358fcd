module.exports = { apps: new Promise((done) => setTimeout(() => done([{ name: 'a', script: 'a.js' }]), 1)), other: 1 };
