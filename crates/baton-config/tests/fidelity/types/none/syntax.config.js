import path from 'path';
export default { apps: [{ name: path.basename('/x/detected'), script: 'x.js' }] };
