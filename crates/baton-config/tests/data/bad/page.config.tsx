export default { apps: [] };
