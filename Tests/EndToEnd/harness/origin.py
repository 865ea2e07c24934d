"""A scripted origin on raw sockets: keeps every byte that it received and answers what a test tells it to."""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .waiting import wait_until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Ended(Exception):
    """The gateway ended the connection."""


@dataclass
class Request:
    """One request as the origin saw it."""

    line: str
    fields: list[tuple[str, str]]
    head: bytes
    body: bytes = b""
    chunked: bool = False
    connection: int = 0
    trailers: list[bytes] = field(default_factory=list)

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.fields if found.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) <= 1, f"{name} occurs {len(values)} times: {values}"
        return values[0] if values else None

    def names(self) -> list[str]:
        return [name.lower() for name, _ in self.fields]


class Connection:
    """What a script sees: one accepted connection."""

    def __init__(self, origin: "Origin", sock: socket.socket, number: int):
        self.origin, self.socket, self.number = origin, sock, number
        self.kept = b""
        self.served = 0

    def receive(self) -> bytes:
        """Some bytes, recorded; raises `Ended` at the end."""
        try:
            data = self.socket.recv(262_144)
        except (ConnectionResetError, TimeoutError, ssl.SSLError):
            data = b""
        if not data:
            raise Ended
        self.origin._record(self.number, data)
        return data

    def read_head(self) -> Request:
        while (end := self.kept.find(b"\r\n\r\n")) < 0:
            self.kept += self.receive()
        head, self.kept = self.kept[: end + 4], self.kept[end + 4 :]
        lines = head[:-4].decode("latin-1").split("\r\n")
        fields = [tuple(re.split(r":[ \t]*", line, maxsplit=1)) for line in lines[1:]]
        return Request(lines[0], fields, head, connection=self.number)

    def read_exactly(self, count: int) -> bytes:
        while len(self.kept) < count:
            self.kept += self.receive()
        data, self.kept = self.kept[:count], self.kept[count:]
        return data

    def read_line(self) -> bytes:
        while (end := self.kept.find(b"\r\n")) < 0:
            self.kept += self.receive()
        line, self.kept = self.kept[:end], self.kept[end + 2 :]
        return line

    def read_request(self) -> Request:
        """A whole request, body included, recorded in `origin.requests`."""
        request = self.read_head()
        if request.get("transfer-encoding") == "chunked":
            request.chunked = True
            while size := int(self.read_line(), 16):
                request.body += self.read_exactly(size)
                assert self.read_line() == b""
            while line := self.read_line():
                request.trailers.append(line)
        elif length := request.get("content-length"):
            request.body = self.read_exactly(int(length))
        self.origin._completed(request)
        self.served += 1
        return request

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError:
            raise Ended from None

    def send_in_pieces(self, data: bytes, size: int = 1, pause: float = 0.0005) -> None:
        for start in range(0, len(data), size):
            self.send(data[start : start + size])
            time.sleep(pause)

    def wait_for_end(self) -> None:
        """Reads on until the gateway closes."""
        with contextlib.suppress(Ended):
            while True:
                self.receive()

    def reset(self) -> None:
        """Ends with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()


Script = Callable[[Connection], None]


def answering(*answers: bytes) -> Script:
    """Answers each request with the next of `answers`, the last one for ever, and keeps the connection."""

    def script(connection: Connection) -> None:
        connection.read_request()
        position = min(connection.origin.answered(), len(answers) - 1)
        connection.send(answers[position])

    return script


def then_closing(answer: bytes) -> Script:
    """Answers one request and closes."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(answer)
        raise Ended

    return script


class Origin:
    """Listens on 127.0.0.1 until closed. A script serves one request; it runs again while the connection lives."""

    def __init__(
        self, script: Script | None = None, tls: ssl.SSLContext | None = None, receive_buffer: int | None = None
    ):
        self.default = script or answering(OK)
        self._script = self.default
        self._tls = tls
        self._lock = threading.Lock()
        self._open: dict[int, socket.socket] = {}
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(512)
        self.port = self._listener.getsockname()[1]
        self.accepted = 0
        self.forget()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self._open)

    @property
    def received(self) -> bytes:
        """Every byte since `forget`, whatever the connection."""
        with self._lock:
            return b"".join(data for _, data in self._bytes)

    def bytes_of(self, connection: int) -> bytes:
        with self._lock:
            return b"".join(data for number, data in self._bytes if number == connection)

    def forget(self) -> None:
        """Empties the record; open connections stay."""
        with self._lock:
            self._bytes: list[tuple[int, bytes]] = []
            self.requests: list[Request] = []
            self.records = True

    def serve(self, script: Script) -> None:
        """The script from the next request on (connections that wait for a request take it too)."""
        self._script = script

    def reset(self) -> None:
        """Back to the default script, nothing recorded, no connection open."""
        self.serve(self.default)
        self.close_connections()
        wait_until(lambda: not self._open, what="connections of the origin end")
        self.forget()

    def close_connections(self) -> None:
        for sock in list(self._open.values()):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def wait_for(self, count: int = 1, within: float = 5.0) -> list[Request]:
        """The requests, when there are `count` of them."""
        wait_until(lambda: len(self.requests) >= count, within, what=f"{count} requests at the origin")
        return self.requests

    @property
    def last(self) -> Request:
        return self.wait_for()[-1]

    def answered(self) -> int:
        """How many requests came before the one that is being answered."""
        return len(self.requests) - 1

    def stop_listening(self) -> None:
        """Connections are refused from now on; open ones end."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.close_connections()

    close = stop_listening

    def _record(self, connection: int, data: bytes) -> None:
        if self.records:
            with self._lock:
                self._bytes.append((connection, data))

    def _completed(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open[self.accepted] = sock
            threading.Thread(target=self._serve, args=(sock, self.accepted), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self._tls:
                sock = self._open[number] = self._tls.wrap_socket(sock, server_side=True)
            connection = Connection(self, sock, number)
            while True:
                # A request is awaited before the script is looked up, so that `serve` holds for waiting connections.
                if not connection.kept:
                    connection.kept = connection.receive()
                self._script(connection)
        except (Ended, OSError):
            pass
        finally:
            self._open.pop(number, None)
            sock.close()
