"""An asyncio server that is reloaded without a lost request.

It takes the sockets that it is given (LISTEN_FDS), tells when it serves (READY_FD), and on SIGINT accepts no more
connections and answers those that it has.
"""

import asyncio
import os
import signal
import socket

VERSION = os.environ.get("VERSION", "1")
# How long a connection without a request is kept open once no new ones are taken (s).
IDLE = 0.3

draining = False
connections = set()
waiting = set()


def given_sockets():
    if os.environ.get("LISTEN_PID", str(os.getpid())) != str(os.getpid()):
        return []
    return [socket.socket(fileno=3 + number) for number in range(int(os.environ.get("LISTEN_FDS", "0")))]


async def serve(reader, writer):
    me = asyncio.current_task()
    connections.add(me)
    try:
        last = False
        while not last:
            waiting.add(me)
            head = await reader.readuntil(b"\r\n\r\n")
            waiting.discard(me)
            last = await answer(head, writer)
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        pass
    finally:
        waiting.discard(me)
        connections.discard(me)
        writer.close()


async def answer(head, writer):
    path = head.split(b" ", 2)[1].decode()
    if path.startswith("/stream/"):
        await stream(writer, int(path.rsplit("/", 1)[1]))
        return True
    # A client that reads `close` sends its next request over a new connection: to the new version.
    last = draining or b"connection: close" in head.lower()
    body = f"{VERSION} {os.getpid()} {path}".encode()
    state = b"close" if last else b"keep-alive"
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s" % (len(body), state, body))
    await writer.drain()
    return last


async def stream(writer, parts):
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for number in range(parts):
        writer.write(f"part {number} of {VERSION}\n".encode())
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.write(b"end\n")
    await writer.drain()


async def main():
    global draining
    servers = [await asyncio.start_server(serve, sock=given) for given in given_sockets()]
    asked = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, asked.set)
    if "READY_FD" in os.environ:
        os.write(int(os.environ["READY_FD"]), b"ready\n")
    print(f"version {VERSION} serves", flush=True)
    await asked.wait()
    draining = True
    # `close` would cut off connections that were accepted a moment ago and have no handler yet: first accept no more.
    for taken in (taken for server in servers for taken in server.sockets):
        asyncio.get_running_loop().remove_reader(taken.fileno())
    await asyncio.sleep(IDLE)
    for server in servers:
        server.close()
    for idle in list(waiting):
        idle.cancel()
    if connections:
        await asyncio.wait(connections)


asyncio.run(main())
