export const apps = [{ name: 'typed', script: 'x.js' }];
