"""uvicorn, reloaded without a lost request.

`uvicorn web:app --fd 3` cuts off connections that it accepted a moment ago when it is to end, and those that rest. This
one accepts no more, answers what still comes with `Connection: close` for a moment, and then ends as uvicorn does.
"""

import asyncio
import os
import socket

import uvicorn

# How long a connection without a request is kept open once no new ones are taken (s).
IDLE = 0.3


class Server(uvicorn.Server):
    draining = False

    async def startup(self, sockets=None):
        await super().startup(sockets)
        if "READY_FD" in os.environ:
            os.write(int(os.environ["READY_FD"]), b"ready\n")

    async def shutdown(self, sockets=None):
        self.draining = True
        for taken in (taken for server in self.servers for taken in server.sockets):
            asyncio.get_running_loop().remove_reader(taken.fileno())
        await asyncio.sleep(IDLE)
        await super().shutdown(sockets)


def serve(app):
    async def drained(scope, receive, send):
        async def tell(message):
            if server.draining and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        await app(scope, receive, tell)

    server = Server(uvicorn.Config(drained, log_level="warning"))
    server.run([socket.socket(fileno=3 + number) for number in range(int(os.environ["LISTEN_FDS"]))])


async def app(scope, receive, send):
    """Yours, of Starlette or FastAPI."""
    if scope["type"] != "http":
        return
    body = f"{os.environ.get('VERSION', '1')} {os.getpid()} {scope['path']}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    serve(app)
