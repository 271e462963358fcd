module.exports = Promise.reject(new Error('no settings'));
