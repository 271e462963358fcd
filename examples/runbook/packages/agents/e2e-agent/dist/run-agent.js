console.log('e2e agent is up, instance', process.env.NODE_APP_INSTANCE);
console.error('e2e agent writes warnings here');
setInterval(() => {}, 1 << 30);
