"""A client of HTTP/2 that writes the frames it is told to, rules or not, and keeps what comes back."""

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass, field

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 5, 7, 8, 11


@dataclass
class Answer:
    """What came on one stream."""

    status: int = 0
    fields: list[tuple[str, str]] = field(default_factory=list)
    interim: list[int] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    code: int | None = None

    def get(self, name: str) -> str | None:
        values = [value for found, value in self.fields if found == name]
        assert len(values) <= 1, f"{name} occurs {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def is_over(self) -> bool:
        return self.ended or self.code is not None


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(fields: list[tuple[str, str]]) -> bytes:
    """A block of fields without Huffman codes and tables, whatever the names and values are."""

    def text(value: str | bytes) -> bytes:
        data = value if isinstance(value, bytes) else value.encode("latin-1")
        if len(data) < 127:
            return bytes([len(data)]) + data
        rest, prefix = len(data) - 127, b"\x7f"
        while rest >= 128:
            prefix += bytes([rest & 127 | 128])
            rest >>= 7
        return prefix + bytes([rest]) + data

    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


def request(
    path: str = "/", *more: tuple[str, str], method: str = "GET", host: str = "localhost", scheme: str = "http"
) -> list[tuple[str, str]]:
    return [(":method", method), (":scheme", scheme), (":authority", host), (":path", path), *more]


class Session:
    """One connection. It answers SETTINGS and PING, and gives windows back, unless it is told not to."""

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext | None = None,
        *,
        window: int | None = None,
        gives_back: bool = True,
        begin: bool = True,
    ):
        sock = socket.create_connection(("127.0.0.1", port), 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            tls.set_alpn_protocols(["h2", "http/1.1"])
            sock = tls.wrap_socket(sock, server_hostname="localhost")
            assert sock.selected_alpn_protocol() == "h2"
        self.socket, self.gives_back = sock, gives_back
        self.answers: dict[int, Answer] = {}
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.goaway: tuple[int, int] | None = None
        self.goaways: list[tuple[int, int]] = []
        self.closed = False
        self.next_stream = 1
        self.window, self.stream_windows, self.initial_window = 65_535, {}, 65_535
        self.settings: dict[int, int] = {}
        self._kept = b""
        self._decoder = hpack.Decoder()
        self._block: tuple[int, int, bytes] | None = None
        if begin:
            settings = b"" if window is None else b"\0\4" + window.to_bytes(4, "big")
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.settimeout(5)
        self.socket.sendall(data)

    def send_frame(self, kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> None:
        self.send(frame(kind, flags, stream, payload))

    def begin(self, fields: list[tuple[str, str]], *, ends: bool = True, stream: int | None = None) -> int:
        """Sends a head; returns the number of its stream."""
        stream = stream or self.next_stream
        self.next_stream = max(self.next_stream, stream + 2)
        self.answers[stream] = Answer()
        block = literal(fields)
        parts = [block[start : start + 16_384] for start in range(0, len(block), 16_384)] or [b""]
        for i, part in enumerate(parts):
            flags = (END_STREAM if ends and i == 0 else 0) | (END_HEADERS if part is parts[-1] else 0)
            self.send_frame(CONTINUATION if i else HEADERS, flags, stream, part)
        return stream

    def send_body(self, stream: int, data: bytes, *, ends: bool = True, within: float = 10.0) -> None:
        """As much as the windows allow at a time."""
        deadline = time.monotonic() + within
        while data or ends:
            room = min(len(data), 16_384, self.window, self.stream_windows.get(stream, self.initial_window))
            if data and room <= 0:
                assert self.step(deadline), "the connection ended before the body was sent"
                if self.answers[stream].is_over:
                    return
                continue
            part, data = data[:room], data[room:]
            last = ends and not data
            self.send_frame(DATA, END_STREAM if last else 0, stream, part)
            self.window -= room
            self.stream_windows[stream] = self.stream_windows.get(stream, self.initial_window) - room
            if last or not data:
                return

    def update_window(self, stream: int, count: int) -> None:
        self.send_frame(WINDOW_UPDATE, 0, stream, count.to_bytes(4, "big"))

    def reset(self, stream: int, code: int = CANCEL) -> None:
        self.send_frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))

    def request(self, fields: list[tuple[str, str]], body: bytes | None = None, within: float = 5.0) -> Answer:
        stream = self.begin(fields, ends=body is None)
        if body is not None:
            self.send_body(stream, body)
        return self.wait_for(stream, within)

    def wait_for(self, stream: int, within: float = 5.0) -> Answer:
        """The answer, when it is whole or its stream was reset."""
        answer = self.answers[stream]
        self.read_until(lambda: answer.is_over, within, f"the answer on stream {stream}: {answer}")
        return answer

    def read_until(self, question, within: float = 5.0, what: str = "what is waited for") -> None:
        deadline = time.monotonic() + within
        while not question():
            assert self.step(deadline), f"the connection ended without {what}; GOAWAY {self.goaway}"
            assert time.monotonic() < deadline, f"no {what} within {within} s"

    def read_to_end(self, within: float = 5.0) -> None:
        """Reads until the connection is closed."""
        deadline = time.monotonic() + within
        while self.step(deadline):
            assert time.monotonic() < deadline, f"still open after {within} s; GOAWAY {self.goaway}"

    def read_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with contextlib.suppress(TimeoutError):
            while time.monotonic() < deadline and self.step(deadline):
                pass

    def step(self, deadline: float) -> bool:
        """Takes one frame; False when the connection has ended."""
        while True:
            if len(self._kept) >= 9:
                length = int.from_bytes(self._kept[:3], "big")
                if len(self._kept) >= 9 + length:
                    kind, flags = self._kept[3], self._kept[4]
                    stream = int.from_bytes(self._kept[5:9], "big") & 0x7FFF_FFFF
                    payload, self._kept = self._kept[9 : 9 + length], self._kept[9 + length :]
                    self._take(kind, flags, stream, payload)
                    return True
            if self.closed:
                return False
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing came in time; GOAWAY {self.goaway}, {self.answers}")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            self.closed = not data
            self._kept += data

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self.frames.append((kind, flags, stream, payload))
        answer = self.answers.setdefault(stream, Answer())
        if kind in (HEADERS, CONTINUATION):
            self._take_block(kind, flags, stream, payload)
        elif kind == DATA:
            assert answer.status >= 200, "DATA before the head of an answer"
            answer.body += payload
            answer.ended |= bool(flags & END_STREAM)
            if self.gives_back and payload:
                with contextlib.suppress(OSError):
                    self.update_window(0, len(payload))
                    if not answer.ended:
                        self.update_window(stream, len(payload))
        elif kind == RST_STREAM:
            answer.code = int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            for i in range(0, len(payload), 6):
                name, value = payload[i : i + 2], payload[i + 2 : i + 6]
                self.settings[int.from_bytes(name, "big")] = int.from_bytes(value, "big")
            self.initial_window = self.settings.get(4, self.initial_window)
            with contextlib.suppress(OSError):
                self.send_frame(SETTINGS, ACK)
        elif kind == PING and not flags & ACK:
            self.send_frame(PING, ACK, 0, payload)
        elif kind == GOAWAY:
            self.goaway = (int.from_bytes(payload[4:8], "big"), int.from_bytes(payload[:4], "big") & 0x7FFF_FFFF)
            self.goaways.append(self.goaway)
        elif kind == WINDOW_UPDATE:
            count = int.from_bytes(payload, "big")
            if stream == 0:
                self.window += count
            else:
                self.stream_windows[stream] = self.stream_windows.get(stream, self.initial_window) + count

    def _take_block(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == CONTINUATION:
            assert self._block
            stream, first, block = self._block
            payload, flags = block + payload, flags | first
        if not flags & END_HEADERS:
            self._block = (stream, flags & END_STREAM, payload)
            return
        fields = [(str(name), str(value)) for name, value in self._decoder.decode(payload)]
        answer = self.answers[stream]
        if answer.status >= 200:
            answer.trailers = fields
        else:
            assert fields[0][0] == ":status"
            answer.status, answer.fields = int(fields[0][1]), fields[1:]
            if answer.status < 200:
                answer.interim.append(answer.status)
        if flags & END_STREAM:
            answer.ended = True
