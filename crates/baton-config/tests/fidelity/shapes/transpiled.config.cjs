"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.default = { apps: [{ name: 'a', script: 'a.js' }] };
