"""A client that sends exactly the bytes it is given and reads answers strictly: a malformed or cut one is an error."""

import json
import re
import socket
import ssl
import time
from dataclasses import dataclass, field

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9]\d\d) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*")
_BAD_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}")


class MalformedAnswer(AssertionError):
    """The answer breaks the grammar of RFC 9112."""


class TruncatedAnswer(AssertionError):
    """The connection ended before the answer did."""


@dataclass
class Response:
    """One answer as it came."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes = b""
    raw_head: bytes = b""
    chunked: bool = False
    until_close: bool = False
    interim: list["Response"] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.fields if found.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The value of a field that may occur once; a second one fails the test."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} occurs {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def says_close(self) -> bool:
        return any("close" in [t.strip().lower() for t in value.split(",")] for value in self.all("connection"))

    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The machine code of a problem document (RFC 9457)."""
        assert self.get("content-type") == "application/problem+json", f"not a problem: {self}"
        return self.json()["code"]


class Client:
    """A connection to the gateway, clear text or (with a context) TLS."""

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext | None = None,
        server_name: str = "localhost",
        receive_buffer: int | None = None,
        segment: int | None = None,
        address: str = "127.0.0.1",
    ):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if segment:
            # The gateway's socket has room for a few segments at first, and on loopback they are large.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(10)
        self.socket.connect((address, port))
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name, suppress_ragged_eofs=False)
        self.kept = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Ends the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def end(self) -> None:
        """Half-closes: no more bytes will come from here."""
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        self.socket.settimeout(10)
        self.socket.sendall(data)

    def send_in_pieces(self, data: bytes, size: int = 1, pause: float = 0.0005) -> None:
        """Sends `size` bytes at a time, each a segment of its own; stops quietly when the peer has closed."""
        for start in range(0, len(data), size):
            try:
                self.send(data[start : start + size])
            except (BrokenPipeError, ConnectionResetError):
                return
            time.sleep(pause)

    def receive(self, deadline: float) -> bytes:
        """Some bytes, or none at the end; `deadline` is on the monotonic clock."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing more came; kept {self.kept[:200]!r}")
        self.socket.settimeout(left)
        return self.socket.recv(262_144)

    def _more(self, deadline: float) -> None:
        data = self.receive(deadline)
        if not data:
            raise TruncatedAnswer(f"closed after {self.kept[:300]!r}")
        self.kept += data

    def _line(self, deadline: float, limit: int = 100_000) -> bytes:
        while (end := self.kept.find(b"\n")) < 0:
            assert len(self.kept) < limit, "endless line"
            self._more(deadline)
        line, self.kept = self.kept[: end + 1], self.kept[end + 1 :]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise MalformedAnswer(f"line does not end in CRLF: {line!r}")
        return line[:-2]

    def read_exactly(self, count: int, deadline: float) -> bytes:
        """So many bytes; fewer are a cut answer."""
        parts, missing = [self.kept[:count]], count - len(self.kept)
        self.kept = self.kept[count:]
        while missing > 0:
            data = self.receive(deadline)
            if not data:
                raise TruncatedAnswer(f"{missing} of {count} bytes of a body are missing")
            parts.append(data[:missing])
            self.kept = data[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def read_head(self, within: float = 5.0) -> Response:
        """One response head, interim ones too."""
        deadline = time.monotonic() + within
        line = self._line(deadline)
        status = _STATUS_LINE.fullmatch(line)
        if not status:
            raise MalformedAnswer(f"status line: {line!r}")
        raw, fields = line + b"\r\n", []
        while line := self._line(deadline):
            raw += line + b"\r\n"
            match = _FIELD_LINE.fullmatch(line)
            if not match or _BAD_IN_VALUE.search(match[2]):
                raise MalformedAnswer(f"field line: {line!r}")
            fields.append((match[1].decode("ascii"), match[2].decode("latin-1")))
        return Response(int(status[1]), status[2].decode("latin-1"), fields, raw_head=raw + b"\r\n")

    def read_response(self, method: str = "GET", within: float = 5.0) -> Response:
        """One final response with its whole body; interim ones before it are kept in `interim`."""
        deadline = time.monotonic() + within
        interim = []
        while (response := self.read_head(deadline - time.monotonic())).status < 200:
            if response.get("content-length") or response.get("transfer-encoding"):
                raise MalformedAnswer(f"framing in an interim response: {response}")
            interim.append(response)
        response.interim = interim
        self._read_body(response, method, deadline)
        return response

    def _read_body(self, response: Response, method: str, deadline: float) -> None:
        lengths, codings = response.all("content-length"), response.all("transfer-encoding")
        if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
            raise MalformedAnswer(f"ambiguous framing: {response.raw_head!r}")
        if response.status == 204 and (lengths or codings):
            raise MalformedAnswer(f"framing in a 204 (RFC 9110 8.6): {response.raw_head!r}")
        if method == "HEAD" or response.status in (204, 304):
            return
        if codings:
            if codings != ["chunked"]:
                raise MalformedAnswer(f"coding {codings}")
            response.chunked = True
            response.body = self.read_chunks(deadline, response.trailers)
        elif lengths:
            if not re.fullmatch(r"\d+", lengths[0]):
                raise MalformedAnswer(f"length {lengths}")
            response.body = self.read_exactly(int(lengths[0]), deadline)
        else:
            response.until_close = True
            response.body = self.read_to_end(deadline - time.monotonic())

    def read_chunks(self, deadline: float, trailers: list[tuple[str, str]] | None = None) -> bytes:
        """A chunked body (RFC 9112 §7.1), decoded; fields behind it are appended to `trailers`."""
        body = b""
        while True:
            line = self._line(deadline)
            if not _CHUNK_SIZE.fullmatch(line):
                raise MalformedAnswer(f"chunk size {line!r}")
            size = int(line, 16)
            if size == 0:
                break
            body += self.read_exactly(size, deadline)
            if self.read_exactly(2, deadline) != b"\r\n":
                raise MalformedAnswer("chunk without CRLF")
        while trailer := self._line(deadline):
            match = _FIELD_LINE.fullmatch(trailer)
            if not match or _BAD_IN_VALUE.search(match[2]):
                raise MalformedAnswer(f"trailer {trailer!r}")
            if trailers is not None:
                trailers.append((match[1].decode("ascii"), match[2].decode("latin-1")))
        return body

    def read_to_end(self, within: float = 5.0) -> bytes:
        """Everything until the peer closes."""
        deadline = time.monotonic() + within
        while data := self.receive(deadline):
            self.kept += data
        data, self.kept = self.kept, b""
        return data

    def read_some(self, within: float = 5.0) -> bytes:
        if not self.kept:
            self.kept = self.receive(time.monotonic() + within)
        data, self.kept = self.kept, b""
        return data

    def expect_close(self, within: float = 3.0) -> None:
        """The gateway ends the connection, without another byte."""
        try:
            rest = self.read_to_end(within)
        except (ConnectionResetError, BrokenPipeError):
            rest = self.kept
        except ssl.SSLEOFError:
            raise AssertionError("TLS connection ended without close_notify") from None
        except TimeoutError:
            raise AssertionError("the connection stays open") from None
        assert rest == b"", f"bytes after the answer: {rest[:300]!r}"

    def expect_cut(self, within: float = 5.0) -> bytes:
        """The gateway cuts the connection; returns what came before."""
        deadline = time.monotonic() + within
        try:
            while data := self.receive(deadline):
                self.kept += data
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            pass
        data, self.kept = self.kept, b""
        return data

    def expect_quiet(self, during: float = 0.3) -> None:
        """Nothing comes, and the connection stays open."""
        assert not self.kept, f"bytes too many: {self.kept[:200]!r}"
        self.socket.settimeout(during)
        try:
            data = self.socket.recv(1)
        except (TimeoutError, ssl.SSLWantReadError):
            return
        raise AssertionError(f"expected silence, got {'the end' if not data else data!r}")

    def request(self, data: bytes, within: float = 5.0) -> Response:
        """Sends one whole request and reads its answer."""
        self.send(data)
        return self.read_response(data.split(b" ", 1)[0].decode("latin-1"), within)


def get(path: str = "/", *fields: str, method: str = "GET", host: str = "localhost") -> bytes:
    """The bytes of a request without a body: `get("/x", "Accept: */*")`."""
    return "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, "")).encode(
        "latin-1"
    )


def post(path: str, body: bytes, *fields: str, method: str = "POST", host: str = "localhost") -> bytes:
    """The bytes of a request with a body of known length."""
    return get(path, f"Content-Length: {len(body)}", *fields, method=method, host=host) + body


def chunked(path: str, *chunks: bytes, fields: tuple[str, ...] = (), trailers: bytes = b"") -> bytes:
    """The bytes of a request with a chunked body."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"
    return get(path, "Transfer-Encoding: chunked", *fields, method="POST") + body
