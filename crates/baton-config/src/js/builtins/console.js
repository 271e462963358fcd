// What a process file prints is kept, and shown on the caller's stderr. Plain strings need no formatter.
const plain = (args) => args.every((arg) => typeof arg === 'string') && !(args.length > 1 && args[0].includes('%'));
const format = (args) => (plain(args) ? args.join(' ') : require('util').format(...args));

function make(write) {
  let indent = '';
  const counts = new Map();
  const times = new Map();
  const print = (...args) => write(`${indent}${indent ? format(args).replaceAll('\n', `\n${indent}`) : format(args)}\n`);
  const since = (label) => `${label}: ${(performance.now() - (times.get(label) ?? performance.now())).toFixed(3)}ms`;
  const console = {
    log: print, info: print, debug: print, warn: print, error: print,
    trace: (...args) => print(`Trace: ${format(args)}`),
    dir: (value, options) => print(require('util').inspect(value, options)),
    dirxml: print,
    assert: (holds, ...args) => { if (!holds) print(`Assertion failed${args.length ? ': ' : ''}${format(args)}`); },
    table: (rows) => print(require('util').inspect(rows)),
    group: (...args) => { if (args.length) print(...args); indent += '  '; },
    groupEnd: () => { indent = indent.slice(2); },
    count: (label = 'default') => { counts.set(label, (counts.get(label) ?? 0) + 1); print(`${label}: ${counts.get(label)}`); },
    countReset: (label = 'default') => { counts.delete(label); },
    time: (label = 'default') => { times.set(label, performance.now()); },
    timeEnd: (label = 'default') => { print(since(label)); times.delete(label); },
    timeLog: (label = 'default', ...args) => print(since(label), ...args),
    timeStamp() {}, profile() {}, profileEnd() {}, clear() {},
  };
  console.groupCollapsed = console.group;
  return console;
}

class Console {
  constructor(stdout) {
    const out = stdout?.stdout ?? stdout;
    Object.assign(this, make((text) => out.write(text)));
  }
}
module.exports = make((text) => native.print(text));
module.exports.Console = Console;
