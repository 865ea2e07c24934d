"""A service that is asked about credentials: by RFC 7662, or as nginx's auth_request asks. It can be told to fail."""

import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


@dataclass
class Question:
    """One request as it came."""

    method: str
    path: str
    fields: list[tuple[str, str]]
    form: dict[str, str] = field(default_factory=dict)
    connection: int = 0

    def get(self, name: str) -> str | None:
        return next((value for found, value in self.fields if found.lower() == name.lower()), None)


class Service:
    """`answers` maps tokens to answers of introspection; `status` and `fields` are the answer to anything else.

    `mode`: ok, fail (500), stall, garbage, huge, gzip, close (without an answer), half (an answer that breaks off)."""

    def __init__(self, tls: ssl.SSLContext | None = None):
        self.answers: dict[str, dict] = {}
        self.status, self.fields = 200, {}
        self.mode, self.delay = "ok", 0.0
        self.questions: list[Question] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                service._answer(self)

            do_POST = do_GET

            def log_message(self, *_) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/check"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        question = Question(
            handler.command, handler.path, list(handler.headers.items()), form, handler.client_address[1]
        )
        self.questions.append(question)
        if self.delay:
            time.sleep(self.delay)
        if self.mode == "stall":
            time.sleep(20)
        if self.mode == "close":
            handler.close_connection = True
            return
        status, fields, answer = self.status, dict(self.fields), b""
        if handler.command == "POST":
            status, answer = 200, json.dumps(self.answers.get(form.get("token", ""), {"active": False})).encode()
        if self.mode == "fail":
            status, answer = 500, b"broken"
        elif self.mode == "garbage":
            answer = b"<html>" + answer
        elif self.mode == "huge":
            answer = b'{"active":true,"x":"' + b"x" * 200_000 + b'"}'
        elif self.mode == "gzip":
            fields["Content-Encoding"] = "gzip"
        handler.send_response(status)
        for name, value in fields.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer) + (10 if self.mode == "half" else 0)))
        handler.end_headers()
        handler.wfile.write(answer)
        if self.mode == "half":
            handler.close_connection = True

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
