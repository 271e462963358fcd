console.log('validation agent is up, instance', process.env.NODE_APP_INSTANCE);
console.error('validation agent writes warnings here');
setInterval(() => {}, 1 << 30);
