// A Node server that is reloaded without a lost request.
//
// It takes the sockets that it is given (LISTEN_FDS), tells when it serves (READY_FD), and on SIGINT accepts no more
// connections and answers those that it has.

import { writeSync } from 'node:fs'
import { createServer } from 'node:http'
import net from 'node:net'

const version = process.env.VERSION ?? '1'
// How long a connection without a request is kept open once no new ones are taken (ms).
const idle = 300

let draining = false
const servers = []

function answer(request, response) {
  if (request.url.startsWith('/stream/')) return stream(response, Number(request.url.split('/').pop()))
  // A client that reads `close` sends its next request over a new connection: to the new version.
  if (draining) response.setHeader('Connection', 'close')
  response.end(`${version} ${process.pid} ${request.url}`)
}

function stream(response, parts) {
  let number = 0
  response.writeHead(200, { Connection: 'close' })
  const timer = setInterval(() => {
    response.write(`part ${number++} of ${version}\n`)
    if (number < parts) return
    clearInterval(timer)
    response.end('end\n')
  }, 50)
}

function drain() {
  if (draining) return
  draining = true
  // Node's own `close` would close idle connections at once, just when a request may be on its way.
  for (const server of servers) net.Server.prototype.close.call(server)
  setTimeout(() => servers.forEach((server) => server.closeIdleConnections()), idle)
}

const count = Number(process.env.LISTEN_FDS ?? 0)
const listening = Array.from({ length: count }, (_, number) => {
  const server = createServer(answer)
  servers.push(server)
  return new Promise((resolve) => server.listen({ fd: 3 + number }, resolve))
})
await Promise.all(listening)
process.on('SIGINT', drain).on('SIGTERM', drain)
if (process.env.READY_FD) writeSync(Number(process.env.READY_FD), 'ready\n')
console.log(`version ${version} serves`)
