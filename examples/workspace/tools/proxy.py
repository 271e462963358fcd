#!/usr/bin/env python3
"""A proxy small enough to read: forwards GET requests to UPSTREAM."""
import http.server
import os
import sys
import urllib.request

UPSTREAM = os.environ.get("UPSTREAM", "http://127.0.0.1:7163")


class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            with urllib.request.urlopen(UPSTREAM + self.path, timeout=5) as answer:
                status, body = answer.status, answer.read()
        except OSError as error:
            status, body = 502, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PROXY_PORT", "8080"))), Proxy)
print(f"proxy on {server.server_port} with {len(sys.argv) - 1} arguments: {sys.argv[1:]}", flush=True)
server.serve_forever()
