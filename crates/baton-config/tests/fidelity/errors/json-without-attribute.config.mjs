import data from './lib/data.json';
export default { apps: [data] };
