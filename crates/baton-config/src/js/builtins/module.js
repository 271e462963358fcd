// `native` carries the class and the cache of bootstrap.js for this builtin alone.
const { Module, createRequire } = native;
Module.createRequire = createRequire;
Module.builtinModules = native.builtinNames();
Module.isBuiltin = (name) => Module.builtinModules.includes(String(name).replace(/^node:/, ''));
Module.syncBuiltinESMExports = () => {};
Module.findSourceMap = () => undefined;
Module.wrap = (source) => `(function (exports, require, module, __filename, __dirname) { ${source}\n});`;
Module.register = () => native.unsupported('module.register');
Module.enableCompileCache = () => ({});
module.exports = Module;
