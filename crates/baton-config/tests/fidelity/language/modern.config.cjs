const a = { b: null, list: [3, 1, 2] };
const { b = 5, list: [first, ...rest], ...others } = { ...a, x: 1, y: 2, b: undefined };
let set = null; set ??= 'set'; let or = 0; or ||= 7; let and = 1; and &&= 8;
label: for (const i of [1, 2, 3]) { for (const j of [1, 2]) { if (j === 2) continue label; if (i === 3) break label; } }
function* gen() { yield* [1, 2]; return 3; }
module.exports = { apps: [], b, first, rest, others, chain: [a?.b?.c, a.b?.(), a.list?.[1]], set, or, and, gen: [...gen()], sorted: a.list.toSorted?.() ?? [...a.list].sort(), entries: Object.entries({ q: 1 }), from: Object.fromEntries([['k', 'v']]), last: a.list.findLast((n) => n > 1), has: Object.hasOwn(a, 'b'), tag: ((s, ...v) => s.raw.join('|') + v)`x${1}y${2}z`, big: (2n ** 70n).toString(), exp: 2 ** -1, comma: (1, 2), spread: Math.max(...[1, 5, 3]), opt: [1, 2, 3].at(-1), flat: [[1, [2]], 3].flat(Infinity) };
