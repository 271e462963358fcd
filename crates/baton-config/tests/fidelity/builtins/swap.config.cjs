const caught = (run) => { try { return run(); } catch (error) { return [error.name, error.code, error.message]; } };
const bytes = () => Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]);
module.exports = { apps: [], swapped: [bytes().swap16(), bytes().swap32(), bytes().swap64()], odd: caught(() => bytes().subarray(1).swap16()) };
