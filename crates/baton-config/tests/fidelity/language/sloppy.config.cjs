implicit = 'made global';
function f(a) { arguments[0] = 2; return a; }
with ({ inner: 3 }) { var seen = inner; }
module.exports = { apps: [], implicit: global.implicit, linked: f(1), seen, octal: 010, self: (function () { return this === globalThis; })(), deleted: delete implicit };
