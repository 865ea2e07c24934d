"""A key server over HTTP or HTTPS that can be told to fail, to stall and to change its keys."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class KeyServer:
    """Serves `document` at every path. `mode`: ok, fail (500), stall, garbage, empty."""

    def __init__(self, document: dict, tls: ssl.SSLContext | None = None):
        self.document = document
        self.mode = "ok"
        self.hits: list[float] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.hits.append(time.monotonic())
                server._answer(self)

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/.well-known/jwks.json"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        status, body = 200, json.dumps(self.document).encode()
        if self.mode == "fail":
            status, body = 500, b"broken"
        elif self.mode == "stall":
            time.sleep(30)
        elif self.mode == "garbage":
            body = b"<html>not a key set</html>"
        elif self.mode == "empty":
            body = b'{"keys":[]}'
        handler.send_response(status)
        handler.send_header("Content-Type", "application/jwk-set+json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
