const value = await new Promise((done) => setTimeout(() => done(7), 1));
const { apps: base } = await import('./lib/base.mjs');
const lazy = (await import('./lib/tla.mjs')).default;
export const apps = base.map((app) => ({ ...app, env: { PORT: value } }));
export { lazy };
