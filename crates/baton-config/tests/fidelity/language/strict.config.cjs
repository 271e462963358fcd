'use strict';
let caught; try { undeclared = 1; } catch (error) { caught = error.name; }
module.exports = { apps: [], caught, self: (function () { return this === undefined; })() };
