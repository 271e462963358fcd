import http from 'node:http';

if (!process.env.DATABASE_URL) {
  console.error('DATABASE_URL is not set');
  process.exit(1);
}
const server = http.createServer((_, response) => response.end(JSON.stringify({ status: 'ok', pid: process.pid })));
server.listen(Number(process.env.ORCHESTRATOR_PORT ?? 0), '127.0.0.1', () => {
  console.log(`orchestrator listens on ${server.address().port}`);
});
