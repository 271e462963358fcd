console.log('to stdout %s', 1); console.error('to stderr'); console.table?.([{ a: 1 }]); console.group('g'); console.info('in'); console.groupEnd(); console.time('t'); console.assert(true);
module.exports = { apps: [{ name: 'printed', script: 'a.js' }] };
