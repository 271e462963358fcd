export const apps = [{ name: 'base', script: 'b.js' }];
export let live = 0; export function bump() { live++; }
export default class Named { static x = 1; }
