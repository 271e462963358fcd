const { inspect } = require('util');
const ring = { name: 'ring' };
ring.self = ring;
const pair = { left: {} };
pair.left.up = pair;
pair.left.own = pair.left;
const list = [1];
list.push(list);
const long = (count, make) => Array.from({ length: count }, (_, at) => make(at));
module.exports = {
  apps: [],
  circles: [inspect(ring), inspect(pair), inspect(list), inspect({ ring, again: ring })],
  lists: [long(7, (at) => at), long(30, (at) => at * at), long(120, (at) => at), long(10, (at) => `word${at}`), long(26, (at) => 'x'.repeat(at % 9)), long(8, (at) => 'long text that fills '.repeat(2) + at), long(9, (at) => ({ at })), long(12, (at) => (at % 2 ? at : 'a')), long(7, () => null)].map((one) => inspect(one)),
  nested: inspect({ a: { b: long(20, (at) => at * 1000) } }),
  bytes: inspect(Uint8Array.from(long(20, (at) => at))),
  short: [inspect([1, 2, 3]), inspect(long(6, (at) => at)), inspect([])],
};
