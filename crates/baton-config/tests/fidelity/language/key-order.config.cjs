module.exports = { z: 1, 10: 'ten', b: 2, 2: 'two', a: 3, '-1': 'minus', '01': 'text', apps: [], [Symbol.iterator]: 1, 4294967295: 'big', 1.5: 'half' };
