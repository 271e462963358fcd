// Stands in for a queue worker.
console.log(`working in ${process.env.NODE_ENV}`);
setInterval(() => {}, 1 << 30);
