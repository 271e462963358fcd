export default { name: 'from-imports' };
