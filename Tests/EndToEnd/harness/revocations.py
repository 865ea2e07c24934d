"""Sources of revocations: a feed that can be told to misbehave, a real Redis server, and the admin endpoint."""

import base64
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .ports import take_port
from .raw import Client, post
from .tokens import ISSUER
from .waiting import wait_until


def entry(kind: str, value: str, *, issuer: str = ISSUER, seconds: int = 600, before: int | None = None) -> dict:
    """One revocation as the sources spell it."""
    made = {"issuer": issuer, "kind": kind, "value": value, "until": int(time.time()) + seconds}
    return made if before is None else made | {"before": before}


class FeedServer:
    """A long-poll feed. `mode`: ok, fail (500), garbage, huge, endless, slow, stall, gone (404 to every cursor), closing."""

    def __init__(self, credentials: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None):
        self.entries: list[dict] = []
        self.mode = "ok"
        self.epoch = 1
        self.page_size = 10_000
        self.requests: list[dict[str, str]] = []
        self.refused = 0
        self._changed = threading.Condition()
        self._authorization = None
        if credentials:
            pair = ":".join(urllib.parse.quote(part, safe="-._~") for part in credentials)
            self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, *_) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_) -> None:
                pass  # a gateway that hangs up is no news

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/revocations"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def add(self, *entries: dict) -> None:
        with self._changed:
            self.entries += entries
            self._changed.notify_all()

    def set_mode(self, mode: str) -> None:
        """Polls that wait are answered in the new mode."""
        with self._changed:
            self.mode = mode
            self._changed.notify_all()

    def forget(self) -> None:
        """Loses its memory: older cursors mean nothing any more."""
        with self._changed:
            self.epoch += 1
            self._changed.notify_all()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(handler.path).query))
        self.requests.append(query)
        if self._authorization and handler.headers["Authorization"] != self._authorization:
            self.refused += 1
            return self._send(handler, 401, b"{}")
        try:
            epoch, _, number = query.get("since", f"{self.epoch}-0").partition("-")
            start = int(number)
        except ValueError:
            return self._send(handler, 400, b"{}")
        with self._changed:
            mode = self.mode
            if mode == "ok" and int(epoch) == self.epoch and start >= len(self.entries):
                self._changed.wait_for(
                    lambda: len(self.entries) > start or self.mode != mode or int(epoch) != self.epoch,
                    float(query.get("wait", 1)),
                )
            mode, entries = self.mode, self.entries[start : start + self.page_size]
            cursor = f"{self.epoch}-{start + len(entries)}"
            known = int(epoch) == self.epoch
        if mode == "gone" or not known:
            return self._send(handler, 410, b"{}")
        self._misbehave(handler, mode, json.dumps({"cursor": cursor, "revocations": entries}).encode())

    def _misbehave(self, handler: BaseHTTPRequestHandler, mode: str, body: bytes) -> None:
        if mode == "fail":
            self._send(handler, 500, b"broken")
        elif mode == "garbage":
            self._send(handler, 200, b"<html>nothing of the kind</html>")
        elif mode == "huge":
            self._send(handler, 200, b"[" * (20 << 20))
        elif mode == "endless":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while self.mode == "endless":
                handler.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        elif mode == "slow":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            for byte in body:
                handler.wfile.write(bytes([byte]))
                time.sleep(0.01)
        elif mode == "stall":
            wait_until(lambda: self.mode != "stall", 60)
            self._send(handler, 200, body)
        elif mode == "closing":
            handler.close_connection = True
            self._send(handler, 200, body, "Connection: close\r\n")
        else:
            self._send(handler, 200, body)

    def _send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes, fields: str = "") -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        handler.wfile.write(head.encode() + body)

    def close(self) -> None:
        self.set_mode("fail")
        self._server.shutdown()
        self._server.server_close()


class RedisServer:
    """A Redis server of the system's on a port of its own; with a second port for TLS. `durable`: every answer is on the
    disk first. Else it keeps nothing there."""

    def __init__(self, folder: Path, password: str = "", certificate: tuple[Path, Path] | None = None,
                 durable: bool = False):
        assert shutil.which("redis-server"), "redis-server is missing: scripts/setup"
        self.port, self.password, self.folder = take_port(), password, folder
        self.url = f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}"
        self.certificate, self.tls_port = certificate, take_port() if certificate else 0
        self.durable = durable
        self.process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always"] if self.durable else ["--appendonly", "no"]
        if self.password:
            options += ["--requirepass", self.password]
        if self.certificate:
            file, key = map(str, self.certificate)
            options += ["--tls-port", str(self.tls_port), "--tls-cert-file", file, "--tls-key-file", key]
            options += ["--tls-auth-clients", "no"]
        self.process = subprocess.Popen(
            ["redis-server", *options, "--dir", str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._accepts, 10, what="redis-server accepts")

    def _accepts(self) -> bool:
        try:
            return self.command("PING") == b"+PONG"
        except OSError:
            return False

    def command(self, *words: str) -> bytes:
        """The first line of the answer."""
        with self._connect() as link:
            link.sendall(self._encoded(*words))
            return link.recv(65536).split(b"\r\n")[0]

    def ask(self, *words: str):
        """The answer: text, a number, None, or a list of them."""
        with self._connect() as link:
            link.sendall(self._encoded(*words))
            with link.makefile("rb") as file:
                return self._read(file)

    def subscribe(self, channel: str) -> Iterator[str]:
        """What is published from now on; the subscription stands when this returns."""
        link = self._connect()
        link.sendall(self._encoded("SUBSCRIBE", channel))
        file = link.makefile("rb")
        self._read(file)

        def messages() -> Iterator[str]:
            with link, file:
                while True:
                    yield self._read(file)[2]

        return messages()

    def _connect(self) -> socket.socket:
        link = socket.create_connection(("127.0.0.1", self.port), 5)
        if self.password:
            link.sendall(self._encoded("AUTH", self.password))
            assert link.recv(100).startswith(b"+OK")
        return link

    @classmethod
    def _read(cls, file):
        line = file.readline()
        kind, rest = line[:1], line[1:].strip().decode()
        assert kind in b"+:$*" and line, line
        if kind == b"*":
            return [cls._read(file) for _ in range(int(rest))]
        if kind == b"$":
            return None if rest == "-1" else file.read(int(rest) + 2)[:-2].decode(errors="replace")
        return int(rest) if kind == b":" else rest

    @staticmethod
    def _encoded(*words: str) -> bytes:
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        return b"".join(parts)

    def publish(self, channel: str, document: object) -> int:
        """How many heard it."""
        text = document if isinstance(document, str) else json.dumps(document)
        return int(self.command("PUBLISH", channel, text)[1:])

    def wait_for_subscribers(self, channel: str, count: int, within: float = 10.0) -> None:
        wait_until(lambda: self.publish(channel, "[]") >= count, within, 0.05, f"{count} subscribers of {channel}")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


def revoke(gateway, document: object, path: str = "/revoke", *fields: str):
    """Asks the admin endpoint."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with Client(gateway.admin_port) as client:
        client.send(post(path, body, *(fields or ("Gateway-Admin: 1",))))
        return client.read_response("POST", 10)
