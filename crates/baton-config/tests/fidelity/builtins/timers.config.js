const { setTimeout: later } = require('timers/promises');
module.exports = (async () => {
  const order = [];
  // Which of the two comes first is the machine's affair, unless one makes the other.
  setImmediate(() => { order.push('immediate'); setTimeout(() => order.push('timeout'), 2); });
  process.nextTick(() => order.push('tick'));
  Promise.resolve().then(() => order.push('micro'));
  queueMicrotask(() => order.push('queued'));
  const cleared = setTimeout(() => order.push('never'), 1); clearTimeout(cleared);
  let count = 0; await new Promise((done) => { const every = setInterval(() => { if (++count === 2) { clearInterval(every); done(); } }, 1); });
  return { apps: [], value: await later(8, 'given'), order, count };
})();
