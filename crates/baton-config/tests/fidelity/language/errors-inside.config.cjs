const names = [() => null.x, () => undefinedName, () => { throw { odd: 1 }; }, () => JSON.parse('{'), () => new Array(-1), () => decodeURIComponent('%'), () => 1n + 1, () => (0)()].map((work) => { try { work(); return null; } catch (error) { return error.name ?? error; } });
class Mine extends Error { constructor(m) { super(m, { cause: 'why' }); this.name = 'Mine'; } }
const mine = new Mine('x');
module.exports = { apps: [], names, mine: [mine instanceof Error, mine.message, mine.cause, String(mine)], aggregate: new AggregateError([new Error('a')], 'm').errors.length, final: (() => { try { return 1; } finally { names.push('finally'); } })() };
