export const apps = [{ name: 'named', script: 'a.js' }];
export const triggers = [], schedules = [];
