const { NODE_ENV = 'development', ...rest } = process.env;
const common = { NODE_ENV, PATH: rest.PATH, WITH_HOME: `${process.env.HOME}/x` };
const services = { api: 3001, web: 3002 };
module.exports = { apps: Object.entries(services).map(([name, port], index) => ({ name, script: `dist/${name}.js`, node_args: ['--max-old-space-size=512'], env: Object.assign({}, common, { PORT: port, INDEX: index }), env_production: { ...common, NODE_ENV: 'production' }, cron_restart: '0 0 * * *', [`x_${name}`]: name.toUpperCase() })) };
