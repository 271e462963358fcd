Object.assign(exports, { a: 1 }); Object.defineProperty(exports, 'b', { enumerable: true, get: () => ({}) });
