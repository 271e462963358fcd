'use strict';
class Base {
  #port = 3000;
  static count = 0;
  constructor(name) { this.name = name; Base.count++; }
  get port() { return this.#port++; }
  toJSON() { return { name: this.name, script: `${this.name}.js`, port: this.port }; }
}
class Api extends Base { constructor() { super('api'); } }
function* ids() { let n = 0; while (n < 3) yield n++; }
const tagged = (parts, ...values) => parts.raw.join('|') + values.join(',');
const { a, ...others } = { a: 1, b: 2, c: 3 };
const grouped = ['x', 'yy', 'zz'].reduce((groups, word) => ({ ...groups, [word.length]: [...(groups[word.length] ?? []), word] }), {});
label: for (const i of ids()) { for (;;) { if (i === 1) break label; break; } }
const app = { name: 'getter', script: 'g.js', get env() { return { WHEN: 'asked' }; } };
Object.defineProperty(app, 'invisible', { value: 1, enumerable: false });
module.exports = {
  apps: [new Api(), app, ...[...ids()].map((id) => ({ name: `gen-${id}`, script: 's.js', instance: id }))],
  count: Base.count, others, grouped, tagged: tagged`a${1}\n${2}`,
  optional: app?.missing?.deep ?? 'default', numbers: [1e21, 0.1 + 0.2, -0, NaN, Infinity, 0xff, 1_000, 2 ** 53],
  text: 'é\u2028😀\ud800"\\', regex: 'v1.22.333'.match(/v(?<major>\d+)\.(\d+)/).groups.major, replaced: 'aXbX'.replaceAll('X', '-').padStart(6, '*'),
  date: new Date(0), sparse: [1, , 3], symbol: Symbol('gone'), fn() {}, nested: { undef: undefined, arr: [undefined, () => 1] },
  sorted: [3, 1, 2].toSorted(), last: [1, 2, 3].at(-1), flat: [[1, [2]], [3]].flat(Infinity), entries: Object.fromEntries(new Map([['k', 'v']])),
  map: new Map([[1, 2]]), set: new Set([1]), intl: (1234.5).toFixed(2), bigText: String(10n ** 20n),
};
