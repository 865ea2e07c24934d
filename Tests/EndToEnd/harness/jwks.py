"""A key server over HTTP or HTTPS that can be told to fail, to stall, to lie and to change its keys."""

import gzip
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class KeyServer:
    """Serves `document` at every path, metadata at `/.well-known/openid-configuration` and what `scripts` say elsewhere.

    `mode`: ok, fail (500), stall, garbage, empty, html, huge, endless, gzip, bomb, many, slow, cut, redirect.
    """

    def __init__(self, document: dict, tls: ssl.SSLContext | None = None):
        self.document = document
        self.metadata: dict | None = None
        self.mode = "ok"
        self.cache_control: str | None = None
        self.location = ""
        self.delay = 0.0
        # Bodies for the next answers, instead of `document`: for requests that came before it was changed.
        self.replies: list[bytes] = []
        self.hits: list[float] = []
        self.paths: list[str] = []
        # Answers by path, instead of what `mode` says.
        self.scripts: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.hits.append(time.monotonic())
                server.paths.append(self.path)
                try:
                    server._answer(self)
                except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                    self.close_connection = True

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/.well-known/jwks.json"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.closing.wait(self.delay)
        if script := self.scripts.get(handler.path):
            return self._send(handler, *script)
        if self.metadata is not None and handler.path == "/.well-known/openid-configuration":
            return self._send(handler, 200, {}, json.dumps(self.metadata).encode())
        body = self.replies.pop(0) if self.replies else json.dumps(self.document).encode()
        match self.mode:
            case "fail":
                self._send(handler, 500, {}, b"broken")
            case "stall":
                self.closing.wait(30)
            case "garbage" | "html":
                self._send(handler, 200, {"Content-Type": "text/html"}, b"<html>not a key set</html>")
            case "empty":
                self._send(handler, 200, {}, b'{"keys":[]}')
            case "huge":
                # Only announced: nobody shall have to read it.
                self._send(handler, 200, {"Content-Length": str(1 << 30)}, b'{"keys":[')
            case "endless":
                self._stream(handler, b" " * 65536, 0)
            case "slow":
                self._stream(handler, b" ", 0.5)
            case "gzip":
                self._send(handler, 200, {"Content-Encoding": "gzip"}, gzip.compress(body))
            case "bomb":
                self._send(handler, 200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * (100 << 20), 1)[:65536])
            case "many":
                self._send(handler, 200, {}, b'{"keys":[' + b",".join([b"{}"] * 80_000) + b"]}")
            case "cut":
                self._send(handler, 200, {"Content-Length": str(len(body) + 1)}, body)
            case "redirect":
                self._send(handler, 302, {"Location": self.location}, b"")
            case _:
                fields = {"Cache-Control": self.cache_control} if self.cache_control else {}
                self._send(handler, 200, fields, body)

    def _send(self, handler: BaseHTTPRequestHandler, status: int, fields: dict[str, str], body: bytes) -> None:
        handler.send_response(status)
        defaults = {"Content-Type": "application/jwk-set+json", "Content-Length": str(len(body))}
        for name, value in (defaults | fields).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    def _stream(self, handler: BaseHTTPRequestHandler, piece: bytes, pause: float) -> None:
        """A body without an end, until the client has enough of it."""
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        end = time.monotonic() + 30
        while time.monotonic() < end and not self.closing.is_set():
            handler.wfile.write(piece)
            handler.wfile.flush()
            self.closing.wait(pause)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
