import { other } from './circle.mjs';
export const base = { cwd: '/srv', watch: [] };
let calls = 0;
export function count() { return ++calls + other(); }
export default (text) => `helped ${text}`;
