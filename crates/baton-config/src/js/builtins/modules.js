// Which lists of apps the modules behind a process file export, with the name and the external things that stand beside a list. Each module
// comes after those that it loads, so the first with an app in it is the one that the app is from. An app goes by its
// name; one without a name is there as it is. The real Node runs this file too.
const listed = (exported) => {
  try {
    const found = [exported, exported?.default].find((one) => Array.isArray(one?.apps));
    if (!found) return undefined;
    const app = (one) => (typeof one?.name === 'string' ? one.name : one);
    return JSON.parse(JSON.stringify({ name: typeof found.name === 'string' ? found.name : undefined, external: found.external, apps: found.apps.map(app) }));
  } catch {
    // A getter that throws, or apps that JSON can't hold: the process file itself tells of them where it uses them.
    return undefined;
  }
};

// `modules` are those of CommonJS, `others` are exports that no module object stands for. The process file is left out:
// its own export is the result.
module.exports = (file, modules, others = []) => {
  const found = [];
  const seen = new Set();
  const add = (name, exported) => {
    const list = name === file ? undefined : listed(exported);
    if (list) found.push({ file: name, ...list });
  };
  const visit = (module) => {
    if (seen.has(module)) return;
    seen.add(module);
    for (const child of module.children ?? []) visit(child);
    add(module.id, module.exports);
  };
  for (const module of modules) if (module) visit(module);
  for (const [name, exported] of others) if (!found.some((one) => one.file === name)) add(name, exported);
  return found;
};
