"""Frames of WebSocket byte by byte: an origin and a client that send just what they are told to; and the library's server."""

import base64
import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from websockets.sync.server import ServerConnection, serve

from .origin import Connection, Ended, Request
from .raw import Client, get

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@dataclass
class Frame:
    opcode: int
    payload: bytes
    masked: bool = False
    final: bool = True

    @property
    def code(self) -> int:
        """Of a close frame."""
        assert self.opcode == CLOSE and len(self.payload) >= 2, self
        return int.from_bytes(self.payload[:2], "big")

    @property
    def reason(self) -> str:
        return self.payload[2:].decode()


def header(opcode: int, size: int, *, masked: bool = False, final: bool = True) -> bytes:
    """Up to the masking key."""
    bit = 0x80 if masked else 0
    first = bytes([opcode | (0x80 if final else 0)])
    if size < 126:
        return first + bytes([bit | size])
    if size < 1 << 16:
        return first + bytes([bit | 126]) + size.to_bytes(2, "big")
    return first + bytes([bit | 127]) + size.to_bytes(8, "big")


def frame(opcode: int, payload: bytes = b"", *, masked: bool = False, final: bool = True) -> bytes:
    head = header(opcode, len(payload), masked=masked, final=final)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def read_frame(read: Callable[[int], bytes]) -> Frame:
    first, second = read(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(read(2 if size == 126 else 8), "big")
    key = read(4) if second & 0x80 else b""
    payload = read(size)
    if key:
        payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    return Frame(first & 15, payload, bool(key), bool(first & 0x80))


def handshake(path: str = "/live", *fields: str, key: str = KEY, host: str = "localhost") -> bytes:
    return get(
        path,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *fields,
        host=host,
    )


def agreement(request: Request, *fields: str) -> bytes:
    """The answer of a server that speaks it."""
    digest = hashlib.sha1((request.get("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: " + base64.b64encode(digest).decode(),
        *fields,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Server:
    """The origin's end of one WebSocket."""

    def __init__(self, connection: Connection, request: Request):
        self.connection, self.request = connection, request

    def read(self) -> Frame:
        return read_frame(self.connection.read_exactly)

    def frames(self) -> Iterator[Frame]:
        """What comes, to the end of the connection."""
        with contextlib.suppress(Ended):
            while True:
                yield self.read()

    def send(self, data: bytes) -> None:
        self.connection.send(data)


def speaking(serve: Callable[[Server], None], *fields: str) -> Callable[[Connection], None]:
    """A script that agrees, and then does what `serve` does; the connection ends with it."""

    def script(connection: Connection) -> None:
        request = connection.read_request()
        connection.send(agreement(request, *fields))
        serve(Server(connection, request))
        raise Ended

    return script


@contextlib.contextmanager
def library_server(talk: Callable[[ServerConnection], None], **options) -> Iterator[str]:
    """The address of a server of the library, which does with each of its WebSockets what `talk` does."""
    with serve(talk, "127.0.0.1", 0, **options) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield "127.0.0.1:%d" % server.socket.getsockname()[1]


def echo(server: Server) -> None:
    """Sends every frame back, unmasked, until one closes."""
    while True:
        got = server.read()
        server.send(frame(got.opcode, got.payload, final=got.final))
        if got.opcode == CLOSE:
            return


class Socket(Client):
    """A client of WebSocket that sends exact bytes."""

    def open(self, path: str = "/live", *fields: str):
        """The handshake; returns the head of the answer."""
        self.send(handshake(path, *fields))
        head = self.read_head()
        assert head.status == 101 and head.get("sec-websocket-accept") == ACCEPT, head
        return head

    def read_frame(self, within: float = 5.0) -> Frame:
        deadline = time.monotonic() + within
        return read_frame(lambda count: self.read_exactly(count, deadline))

    def send_frame(self, opcode: int, payload: bytes = b"", **options) -> None:
        self.send(frame(opcode, payload, masked=True, **options))

    def end(self) -> None:
        """Our side ends; the other may go on."""
        self.socket.shutdown(socket.SHUT_WR)
