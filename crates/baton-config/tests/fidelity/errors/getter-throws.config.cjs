module.exports = { get apps() { throw new Error('from the getter'); } };
