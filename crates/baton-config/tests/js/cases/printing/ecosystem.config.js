console.log('to stdout %s', 'formatted', { a: [1, 2] });
console.error('to stderr');
process.stdout.write('raw\n');
console.table && console.group('group'); console.info('inside'); console.groupEnd();
module.exports = [{ name: 'loud', script: 'a.js' }];
