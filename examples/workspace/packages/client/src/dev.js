// Stands in for a development server of a front end: it says that it is ready and stays.
console.log('ready');
setInterval(() => {}, 1 << 30);
