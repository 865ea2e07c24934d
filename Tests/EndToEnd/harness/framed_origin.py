"""An origin of HTTP/2 in clear text or over TLS, made of the library h2: a script answers each request."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from .waiting import wait_until


@dataclass
class Call:
    """One request, and how to answer it."""

    origin: "FramedOrigin"
    connection: "Connection"
    stream: int
    fields: list[tuple[str, str]]
    body: bytes = b""
    ended: bool = False
    reset: int | None = None
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        values = [value for found, value in self.fields if found == name]
        assert len(values) <= 1, f"{name} occurs {len(values)} times: {values}"
        return values[0] if values else None

    def send_head(self, status: int, *fields: tuple[str, str], ends: bool = False) -> None:
        self.connection.state.send_headers(self.stream, [(":status", str(status)), *fields], end_stream=ends)
        self.connection.flush()

    def send_body(self, data: bytes, ends: bool = True) -> None:
        """As much as the windows allow at a time; what comes meanwhile is taken."""
        while data:
            room = min(self.connection.state.local_flow_control_window(self.stream), 16_384, len(data))
            if room <= 0:
                self.connection.take()
                continue
            self.connection.state.send_data(self.stream, data[:room])
            data = data[room:]
            self.connection.flush()
        if ends:
            self.connection.state.end_stream(self.stream)
            self.connection.flush()

    def send_trailers(self, *fields: tuple[str, str]) -> None:
        self.connection.state.send_headers(self.stream, list(fields), end_stream=True)
        self.connection.flush()

    def answer(self, body: bytes = b"ok", *fields: tuple[str, str]) -> None:
        self.send_head(200, ("content-length", str(len(body))), *fields)
        self.send_body(body)

    def announce_end(self) -> None:
        """GOAWAY: this request and those before it are answered, later ones were not looked at."""
        frame = (8).to_bytes(3, "big") + b"\7\0" + bytes(4) + self.stream.to_bytes(4, "big") + bytes(4)
        self.connection.socket.sendall(frame)

    def refuse(self, code: int) -> None:
        self.connection.state.reset_stream(self.stream, code)
        self.connection.flush()


@dataclass
class Connection:
    origin: "FramedOrigin"
    socket: socket.socket
    state: h2.connection.H2Connection = field(init=False)
    calls: dict[int, Call] = field(default_factory=dict)
    pings: int = 0
    # Requests that were on their way at once, at most.
    most: int = 0

    def __post_init__(self):
        config = h2.config.H2Configuration(client_side=False, header_encoding="latin-1", validate_outbound_headers=False)
        self.state = h2.connection.H2Connection(config)

    def flush(self) -> None:
        self.socket.sendall(self.state.data_to_send())

    def take(self) -> list[Call]:
        """Takes what came; returns the requests that are whole now."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError
        whole = []
        for event in self.state.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.calls[event.stream_id] = Call(self.origin, self, event.stream_id, list(event.headers))
                self.most = max(self.most, self.state.open_inbound_streams)
            elif isinstance(event, h2.events.DataReceived):
                self.calls[event.stream_id].body += event.data
                # The connection's window is given back in any case, a stream's unless its body is to stay where it is.
                if self.origin.holds(self.calls[event.stream_id]):
                    self.state.increment_flow_control_window(event.flow_controlled_length)
                else:
                    self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                self.calls[event.stream_id].trailers = list(event.headers)
            elif isinstance(event, h2.events.StreamEnded):
                self.calls[event.stream_id].ended = True
                whole.append(self.calls[event.stream_id])
            elif isinstance(event, h2.events.StreamReset):
                self.calls[event.stream_id].reset = event.error_code
            elif isinstance(event, h2.events.PingAckReceived):
                self.pings += 1
        self.flush()
        return whole

    def serve(self) -> None:
        if self.origin.limit:
            limit = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self.origin.limit}
            self.state.local_settings = h2.settings.Settings(client=False, initial_values=limit)
        self.state.initiate_connection()
        self.flush()
        while True:
            for call in self.take():
                self.origin.calls.append(call)
                self.origin.script(call)


class FramedOrigin:
    """Listens on 127.0.0.1 until closed; a thread for each connection."""

    def __init__(self, tls: ssl.SSLContext | None = None, limit: int | None = None):
        self._tls = tls
        self.limit = limit
        self.holds: Callable[[Call], bool] = lambda call: False
        self.default: Callable[[Call], None] = lambda call: call.answer()
        self.script = self.default
        self.calls: list[Call] = []
        self.connections: list[Connection] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def accepted(self) -> int:
        return len(self.connections)

    def reset(self) -> None:
        """Back to the default script, nothing recorded."""
        self.script = self.default
        self.holds = lambda call: False
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        # What was under way may be asked for once more, elsewhere.
        time.sleep(0.1)
        self.calls, self.connections = [], []

    def wait_for(self, count: int, within: float = 5.0) -> list[Call]:
        wait_until(lambda: len(self.calls) >= count, within, what=f"{count} requests at the origin")
        return self.calls

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError, ConnectionError), sock:
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            connection = Connection(self, sock)
            self.connections.append(connection)
            with sock:
                connection.serve()
