exports.first = 'two';
exports.nested = { deep: [1, { two: 2 }] };
Object.defineProperty(exports, 'hidden', { enumerable: true, value: 3 });
