import data from './lib/data.json' with { type: 'json' };
const again = await import('./lib/data.json', { with: { type: 'json' } });
export default { apps: data.apps, n: data.n, same: again.default === data };
