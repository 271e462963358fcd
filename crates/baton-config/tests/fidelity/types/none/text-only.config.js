// import and export in a comment
const text = `
import nothing from 'nowhere';
export default nothing;
`;
module.exports = { apps: [], length: text.length };
