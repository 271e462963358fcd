module.exports = {
  apps: [],
  types: ['globalThis', 'global', 'Buffer', 'URL', 'URLSearchParams', 'TextEncoder', 'TextDecoder', 'structuredClone', 'queueMicrotask', 'AbortController', 'atob', 'btoa', 'setImmediate', 'console', 'performance', 'crypto'].map((name) => [name, typeof globalThis[name]]),
  text: new TextDecoder().decode(new TextEncoder().encode('é✓')), base: [btoa('hi'), atob('aGk=')], clone: structuredClone({ a: [new Date(0), { b: 1 }] }),
  abort: (() => { const c = new AbortController(); c.abort(); return [c.signal.aborted, c.signal.reason.name]; })(),
};
