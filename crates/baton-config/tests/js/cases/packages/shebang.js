#!/usr/bin/env node
module.exports = "after shebang";
