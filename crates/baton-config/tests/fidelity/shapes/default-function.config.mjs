export default async function () { return { apps: [{ name: 'a', script: 'a.js' }] }; }
