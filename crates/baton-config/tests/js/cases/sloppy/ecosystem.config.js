// Sloppy mode: an implicit global, `with`, an octal, `this` and a top-level return are fine in CommonJS.
implicit = 010;
with ({ inside: 'with' }) { var seen = inside; }
exports.apps = [{ name: seen, script: 'a.js', implicit, self: this === exports, callee: (function () { return arguments.callee.name; }).call() }];
if (exports.apps.length) return;
exports.apps = 'never';
