const env = new Proxy({ A: 1 }, { get: (t, k) => (k in t ? t[k] : k === 'toJSON' ? undefined : 'default'), ownKeys: () => ['A', 'B'], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) });
module.exports = { apps: [{ name: 'a', script: 'a', env }], reflect: Reflect.ownKeys({ b: 1, a: 2, 1: 3 }) };
