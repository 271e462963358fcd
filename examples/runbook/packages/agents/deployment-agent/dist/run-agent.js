console.log('deployment agent is up, instance', process.env.NODE_APP_INSTANCE);
console.error('deployment agent writes warnings here');
setInterval(() => {}, 1 << 30);
