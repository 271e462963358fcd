// Runs in the real Node, behind settle.js and modules.js: evaluates a process file and prints one line, the marker and JSON.
const fs = require('fs');
const { file, marker, expression, argv } = JSON.parse(fs.readFileSync(0, 'utf8'));

// A pipe takes what it has room for.
const write = (text) => {
  for (let bytes = Buffer.from(`\n${marker}${text}\n`); bytes.length; ) bytes = bytes.subarray(fs.writeSync(1, bytes));
};
const print = (report) => write(JSON.stringify(report));
const exit = process.exit;
let done = false;
const fail = (error) => {
  const isError = error instanceof Error;
  done = true;
  print({ error: isError ? { name: error.name, message: error.message, code: error.code, stack: error.stack } : { message: `threw ${String(error)}` } });
  exit(0);
};

// What the file prints must not stand before the result.
process.stdout.write = (...args) => process.stderr.write(...args);
process.argv = argv.length ? argv : [process.execPath];
process.on('uncaughtException', fail);
process.on('exit', (code) => { if (!done) print(code === 0 && process.exitCode === undefined ? { pending: true } : { exit: process.exitCode ?? code }); });
process.exit = (code = process.exitCode ?? 0) => { if (!done) print({ exit: Number(code) }); done = true; exit(code); };

(async () => {
  if (/\.[cm]?ts$/.test(file) && !process.features.typescript) {
    throw new Error(`Node ${process.version} reads no TypeScript by itself; 22.18 and newer do`);
  }
  let value;
  if (expression !== undefined && expression !== null) {
    value = require('vm').runInThisContext(`(${expression}\n)`, { filename: file, columnOffset: -1 });
  } else {
    try {
      value = require(file);
      // The namespace that `import` gives has no `__esModule` of Node's own in it.
      if (require('util').types.isModuleNamespaceObject(value)) value = await import(require('url').pathToFileURL(file));
    } catch (error) {
      if (!['ERR_REQUIRE_ESM', 'ERR_REQUIRE_ASYNC_MODULE'].includes(error?.code) && !/^(Cannot use import statement|Unexpected token 'export')/.test(error?.message)) throw error;
      value = await import(require('url').pathToFileURL(file));
    }
  }
  const { text, without } = settle.stringify(await settle(value, { ...process.env }));
  const loaded = Object.values(require.cache);
  const exported = loaded.length > 1 ? modules(file, loaded) : [];
  const inputs = Object.keys(require.cache).filter((name) => name.startsWith('/'));
  done = true;
  write(`{"inputs":${JSON.stringify(inputs)},"without":${JSON.stringify(without)},"exported":${JSON.stringify(exported)},"value":${text ?? 'null'},"nothing":${text === undefined}}`);
  exit(0);
})().catch(fail);
