// A small API. PORT says where; PORT=0 takes any free port and prints it.
const http = require('node:http');

const server = http.createServer((request, response) => {
  if (request.url === '/crash') {
    console.error('asked to crash');
    process.exit(1);
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ pid: process.pid, mode: process.env.NODE_ENV ?? null, path: request.url }));
});

server.on('error', (error) => {
  console.error(`cannot listen: ${error.code} ${error.port}`);
  process.exit(1);
});

server.listen(Number(process.env.PORT ?? 7163), '127.0.0.1', () => {
  console.log(JSON.stringify({ level: 30, msg: 'listening', port: server.address().port }));
});

process.on('SIGINT', () => server.close(() => process.exit(0)));
