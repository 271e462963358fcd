export const apps = [{ name: 'a', script: 'a.js' }];
export const deploy = {};
const hidden = 1; export { hidden as 'a b' };
