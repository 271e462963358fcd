console.log('integration agent is up, instance', process.env.NODE_APP_INSTANCE);
console.error('integration agent writes warnings here');
setInterval(() => {}, 1 << 30);
