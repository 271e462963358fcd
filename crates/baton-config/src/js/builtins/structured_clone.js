module.exports = function structuredClone(value) {
  const seen = new Map();
  const clone = (value) => {
    if (typeof value === 'function' || typeof value === 'symbol') throw new DOMException(`${String(value)} could not be cloned.`, 'DataCloneError');
    if (value === null || typeof value !== 'object') return value;
    if (seen.has(value)) return seen.get(value);
    const keep = (copy) => (seen.set(value, copy), copy);
    if (Array.isArray(value)) {
      const copy = keep([]);
      copy.length = value.length;
      for (const at of Object.keys(value)) copy[at] = clone(value[at]);
      return copy;
    }
    if (value instanceof Date) return keep(new Date(value));
    if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
    if (value instanceof Map) {
      const copy = keep(new Map());
      for (const [name, one] of value) copy.set(clone(name), clone(one));
      return copy;
    }
    if (value instanceof Set) {
      const copy = keep(new Set());
      for (const one of value) copy.add(clone(one));
      return copy;
    }
    if (value instanceof ArrayBuffer) return keep(value.slice(0));
    if (ArrayBuffer.isView(value)) return keep(value instanceof DataView ? new DataView(value.buffer.slice(0), value.byteOffset, value.byteLength) : Uint8Array.prototype.slice.call(value));
    if (value instanceof Error) return keep(Object.assign(new value.constructor(value.message), { stack: value.stack }));
    if ([Boolean, Number, String].some((Type) => value instanceof Type)) return keep(Object(value.valueOf()));
    const copy = keep({});
    for (const name of Object.keys(value)) copy[name] = clone(value[name]);
    return copy;
  };
  return clone(value);
};
