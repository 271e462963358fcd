const counters = []; for (let i = 0; i < 3; i++) counters.push(() => i); var fs = []; for (var j = 0; j < 2; j++) fs.push(() => j);
const memo = ((cache) => (n) => (cache[n] ??= n * 2))({});
module.exports = { apps: [], let: counters.map((f) => f()), var: fs.map((f) => f()), memo: [memo(2), memo(2)], hoisted: hoisted(), curry: ((a) => (b) => (c) => a + b + c)(1)(2)(3), args: (function () { return arguments.length; })(1, 2), name: [(() => {}).name, hoisted.name, hoisted.length] };
function hoisted(a, b = 1) { return typeof later; } var later = 1;
