console.log('scaffold agent is up, instance', process.env.NODE_APP_INSTANCE);
console.error('scaffold agent writes warnings here');
setInterval(() => {}, 1 << 30);
