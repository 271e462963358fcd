"""The server of Python's standard library, reloaded without a lost request.

It takes the socket that it is given, and on SIGINT accepts no more connections and waits for the threads that answer.
"""

import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = os.environ.get("VERSION", "1")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{VERSION} {os.getpid()} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        # A thread that waits for another request would not end.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=3)
# Another life may take the connection that woke us.
server.socket.setblocking(False)
# Threads that answer are waited for.
server.daemon_threads = False
# No handler: it would run in the midst of whatever the main thread does, such as starting a thread. All threads have
# the signal blocked, and the main one waits for it.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
threading.Thread(target=server.serve_forever, args=(0.05,)).start()
if "READY_FD" in os.environ:
    os.write(int(os.environ["READY_FD"]), b"ready\n")
signal.sigwait({signal.SIGINT})
server.shutdown()
server.server_close()
