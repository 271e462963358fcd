const services = ['tts', 'stt'].map((name) => ({ apps: [{ name, script: `${name}.js` }, { name: `${name}-worker`, script: 'w.js' }] }));
module.exports = { apps: [...services.flatMap((service) => service.apps), ...[[{ name: 'deep', script: 'd' }]].flat()] };
