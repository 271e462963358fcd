export const apps = [{ name: 'a', script: 'a.js' }];
export default { apps };
