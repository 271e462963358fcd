const EventEmitter = require('events');
class Log extends EventEmitter { constructor() { super(); this.seen = []; } }
const log = new Log();
log.on('a', (...all) => log.seen.push(['on', ...all])).once('a', () => log.seen.push(['once']));
log.prependListener('a', () => log.seen.push(['first']));
const answers = [log.emit('a', 1, 2), log.emit('a', 3), log.emit('b')];
let thrown; try { log.emit('error', new Error('boom')); } catch (error) { thrown = error.message; }
module.exports = { apps: [], seen: log.seen, answers, thrown, count: log.listenerCount('a'), names: log.eventNames() };
