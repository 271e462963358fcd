globalThis.lazyLoads = (globalThis.lazyLoads ?? 0) + 1;
export const value = 'lazy';
export const loads = () => globalThis.lazyLoads;
