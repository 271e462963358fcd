exports.one = 1; exports.two = 2; exports.fn = function () { return 1; };
module.exports.nested = { deep: [__filename.endsWith('cjs.cjs')] };
