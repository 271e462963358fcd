module.exports = { get apps() { return [{ name: 'a', get script() { return `${this.name}.js`; }, set x(v) {}, [Symbol('s')]: 1 }]; } };
Object.defineProperty(module.exports, 'hidden', { value: 1, enumerable: false });
