export default { apps: [], n: 010 };
