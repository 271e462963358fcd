await null; throw new RangeError('out of range');
export default { apps: [] };
