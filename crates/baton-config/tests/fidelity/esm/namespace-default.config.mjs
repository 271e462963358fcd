const modules = await Promise.all(['base', 'star'].map((name) => import(`./lib/${name}.mjs`)));
export default { apps: modules.flatMap((m) => m.default?.apps ?? m.apps ?? []), names: modules.map((m) => Object.keys(m)) };
