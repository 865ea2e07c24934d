"""WebSocket over HTTP/2 (RFC 8441), to origins of HTTP/1.1: each on a stream beside other requests."""

import contextlib
import random
import socket
import threading
import time

import h2.config
import h2.connection
import h2.events
import pytest

from harness.frames import (
    ACCEPT,
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Server,
    agreement,
    echo,
    frame,
    header,
    library_server,
    read_frame,
    speaking,
)
from harness.origin import Ended
from harness.streams import CANCEL, DATA, NO_ERROR, Session, request
from harness.tokens import AUDIENCE, ISSUER
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
worker_shutdown_timeout 2s;
error_log stderr info;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
http2 on;
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; leeway 0s; }}
server {{
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth off;
    send_timeout 3s;
    client_body_timeout 1s;
    location / {{ proxy_pass http://@origin@; proxy_read_timeout 20s; client_max_body_size 1k; }}
    location /never {{ proxy_set_header Upgrade ""; proxy_pass http://@origin@; }}
    location /secured/ {{ proxy_pass https://@secured@; proxy_ssl_trusted_certificate @authority@; }}
    location /idle {{ proxy_pass http://@origin@; proxy_read_timeout 1s; }}
    location /closed {{ auth main; token_recheck 1s; proxy_pass http://@origin@; }}
    location /text {{ return 200 "text\\n"; }}
    location /framed {{ proxy_pass grpc://127.0.0.1:1; }}
}}
"""


def talk(connection):
    """Sends back what comes."""
    for message in connection:
        connection.send(message)


@pytest.fixture(scope="module")
def values(localhost, key_file, authority):
    with library_server(talk, max_size=1 << 26, ssl=authority.server_context()) as secured:
        yield localhost | {"keys": key_file, "secured": secured, "authority": authority.file}


def opening(path: str = "/live", *more: tuple[str, str], version: str | None = "13") -> list[tuple[str, str]]:
    fields = request(path, method="CONNECT")
    said = [("sec-websocket-version", version)] if version else []
    return [fields[0], (":protocol", "websocket"), *fields[1:], *said, *more]


class Talk:
    """A WebSocket on one stream."""

    def __init__(self, session: Session, path: str = "/live", *more: tuple[str, str]):
        self.session = session
        self.stream = session.begin(opening(path, *more), ends=False)
        self.answer = session.answers[self.stream]
        session.read_until(lambda: self.answer.status, what="the answer")
        assert self.answer.status == 200, self.answer
        self.taken = 0

    def _read(self, count: int) -> bytes:
        self.session.read_until(
            lambda: len(self.answer.body) - self.taken >= count or self.answer.is_over, 10, f"{count} bytes"
        )
        data = self.answer.body[self.taken : self.taken + count]
        assert len(data) == count, self.answer
        self.taken += count
        return data

    def read_frame(self):
        return read_frame(self._read)

    def send(self, opcode: int, payload: bytes = b"", *, ends: bool = False) -> None:
        self.session.send_body(self.stream, frame(opcode, payload, masked=True), ends=ends)


@pytest.fixture(params=["clear", "tls"])
def session(request, gateway, authority):
    tls = authority.client_context() if request.param == "tls" else None
    with Session(gateway.tls_port if tls else gateway.port, tls) as session:
        session.read_until(lambda: session.settings)
        yield session


def test_it_is_offered_and_goes_to_the_origin_as_upgrade(gateway, origin, session):
    assert session.settings[8] == 1, "SETTINGS_ENABLE_CONNECT_PROTOCOL"
    origin.serve(speaking(echo, "Sec-WebSocket-Protocol: b", "X-Origin: 1"))
    talk = Talk(session, "/live?a=b", ("sec-websocket-protocol", "a, b"), ("origin", "https://localhost"))
    names = [name for name, _ in talk.answer.fields]
    assert talk.answer.get("sec-websocket-protocol") == "b" and talk.answer.get("x-origin") == "1"
    assert not {"upgrade", "connection", "sec-websocket-accept"} & set(names)
    got = origin.last
    assert got.line == "GET /live?a=b HTTP/1.1"
    assert (got.get("upgrade"), got.get("connection")) == ("websocket", "Upgrade")
    assert len(got.get("sec-websocket-key")) == 24 and got.get("sec-websocket-version") == "13"
    assert got.get("transfer-encoding") is None and got.get("content-length") is None
    for payload in (b"", b"hello", random.Random(1).randbytes(100_000)):
        talk.send(BINARY, payload)
        assert talk.read_frame().payload == payload
    talk.send(CLOSE, b"\x03\xe8", ends=True)
    assert talk.read_frame().code == 1000
    assert session.wait_for(talk.stream).ended
    line = gateway.wait_for_log_line(lambda line: line["path"] == "/live?a=b" and line["status"] == 200)
    assert (line["protocol"], line["method"], line["upstream_status"]) == ("HTTP/2.0", "GET", 101)


def test_keys_of_our_own_differ(gateway, origin, session):
    origin.serve(speaking(echo))
    for _ in range(3):
        Talk(session)
    assert len({got.get("sec-websocket-key") for got in origin.wait_for(3)}) == 3


def test_the_library_h2_talks_through(gateway, origin):
    """A client whose frames are not ours."""
    origin.serve(speaking(echo))
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as sock:
        sock.sendall(connection.data_to_send())
        got, status, begun = b"", None, False
        deadline = time.monotonic() + 5
        while len(got) < 7 and time.monotonic() < deadline:
            for event in connection.receive_data(sock.recv(65_536)):
                if isinstance(event, h2.events.RemoteSettingsChanged) and not begun:
                    assert event.changed_settings[8].new_value == 1
                    connection.send_headers(1, opening())
                    begun = True
                elif isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[":status"]
                    connection.send_data(1, frame(TEXT, b"hello", masked=True))
                elif isinstance(event, h2.events.DataReceived):
                    got += event.data
            sock.sendall(connection.data_to_send())
    assert status == "200" and got == frame(TEXT, b"hello")


def test_an_upstream_over_tls(session):
    talk = Talk(session, "/secured/x")
    for payload in (b"", b"hello", random.Random(1).randbytes(1 << 20)):
        talk.send(BINARY, payload)
        got = talk.read_frame()
        assert got.payload == payload and got.final
    talk.send(CLOSE, b"\x0f\xa2")
    assert talk.read_frame().code == 4002
    assert session.wait_for(talk.stream).ended


def test_many_beside_other_requests(gateway, origin, session):
    def script(connection):
        got = connection.read_request()
        if not got.get("upgrade"):
            return connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.send(agreement(got))
        echo(Server(connection, got))
        raise Ended

    origin.serve(script)
    talks = [Talk(session) for _ in range(30)]
    for n, talk in enumerate(talks):
        talk.send(TEXT, str(n).encode())
    assert session.request(request("/x")).body == b"ok"
    for n, talk in enumerate(talks):
        assert talk.read_frame().payload == str(n).encode()
    assert gateway.metrics().sum("gateway_upgrades_active") == 30
    for talk in talks:
        session.reset(talk.stream)
    wait_until(lambda: gateway.metrics().sum("gateway_upgrades_active") == 0)
    assert session.request(request("/x")).body == b"ok"


# -- who may ask, and who may agree


@pytest.mark.parametrize(
    "fields, status, code",
    [
        (opening("/closed"), 401, "token_missing"),
        (opening(version=None), 400, "upgrade_invalid"),
        (opening(version="8"), 400, "upgrade_invalid"),
        (opening("/x", ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")), 400, "upgrade_invalid"),
        (opening("/x", ("content-length", "5")), 400, "upgrade_invalid"),
        (opening("/never"), 501, "upgrade_unsupported"),
        (opening("/text"), 501, "upgrade_unsupported"),
        (opening("/framed"), 501, "upgrade_unsupported"),
    ],
)
def test_H21_what_is_refused(gateway, origin, session, fields, status, code):
    stream = session.begin(fields, ends=False)
    answer = session.answers[stream]
    session.read_until(lambda: answer.status)
    assert (answer.status, answer.get("gateway-error")) == (status, code)
    assert not {"upgrade", "connection"} & {name for name, _ in answer.fields}
    assert not origin.requests
    session.read_until(lambda: answer.is_over)


@pytest.mark.parametrize(
    "answer, status",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 502),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403),
        (b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", 302),
        (f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n".encode(), 502),
    ],
)
def test_H21_an_upstream_that_does_not_agree(gateway, origin, session, answer, status):
    """A 2xx would be a yes to the client (RFC 8441 section 5): it is none of the upstream's."""

    def script(connection):
        connection.read_request()
        connection.send(answer)
        connection.wait_for_end()
        raise Ended

    origin.serve(script)
    stream = session.begin(opening("/x"), ends=False)
    session.send_body(stream, frame(TEXT, b"eager", masked=True), ends=False)
    got = session.answers[stream]
    session.read_until(lambda: got.is_over)
    assert got.status == status
    assert b"eager" not in origin.received


def test_frames_before_the_agreement_wait(gateway, origin, session):
    seen = []

    def script(connection):
        got = connection.read_request()
        time.sleep(0.3)
        seen.append(connection.kept)
        connection.send(agreement(got))
        echo(Server(connection, got))
        raise Ended

    origin.serve(script)
    stream = session.begin(opening("/x"), ends=False)
    session.send_body(stream, frame(TEXT, b"eager", masked=True) + frame(CLOSE, b"\x03\xe8", masked=True), ends=True)
    got = session.wait_for(stream)
    assert got.status == 200 and got.body == frame(TEXT, b"eager") + frame(CLOSE, b"\x03\xe8")
    assert seen == [b""]


def test_an_upstream_that_never_answers(gateway, origin, session):
    origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
    got = session.answers[session.begin(opening("/idle"), ends=False)]
    session.read_until(lambda: got.status)
    assert (got.status, got.get("gateway-error")) == (504, "upstream_timeout")


# -- what goes through


def test_a_quiet_client_is_no_slow_body(gateway, origin, session):
    origin.serve(speaking(echo))
    talk = Talk(session)
    talk.send(TEXT, b"x")
    assert talk.read_frame().payload == b"x"
    session.read_for(2)
    assert not talk.answer.is_over
    talk.send(BINARY, bytes(3000))
    assert len(talk.read_frame().payload) == 3000


def test_R12_a_client_that_takes_nothing_is_reset(gateway, origin):
    def serve(server):
        server.send(header(BINARY, 1 << 30))
        while True:
            server.send(bytes(1 << 20))

    origin.serve(speaking(serve))
    origin.records = False
    resident = gateway.resident_bytes()
    with Session(gateway.port, gives_back=False) as session:
        talk = Talk(session, "/stuck")
        session.read_until(lambda: talk.answer.code is not None, 8)
        assert len(talk.answer.body) == 65_535
        assert gateway.resident_bytes() < resident + (16 << 20)
        origin.serve(origin.default)
        session.update_window(0, 65_535)
        assert session.request(request("/x")).status == 200
    wait_until(lambda: origin.open_connections <= 1)


def test_R12_an_upstream_that_takes_nothing_holds_the_client(gateway, origin):
    going = threading.Event()

    def serve(server):
        assert going.wait(10)
        server.send(frame(TEXT, b"%d" % len(server.read().payload)))

    origin.serve(speaking(serve))
    origin.records = False
    with Session(gateway.port) as session:
        talk = Talk(session, "/x")
        size = 16 << 20
        data = header(BINARY, size, masked=True) + bytes(4 + size)
        sent = 0
        deadline = time.monotonic() + 2
        with contextlib.suppress(TimeoutError):
            while sent < len(data):
                room = min(16_384, session.window, session.stream_windows.get(talk.stream, session.initial_window))
                if room <= 0:
                    session.step(deadline)
                    continue
                part = data[sent : sent + room]
                session.send_frame(DATA, 0, talk.stream, part)
                session.window -= len(part)
                session.stream_windows[talk.stream] = (
                    session.stream_windows.get(talk.stream, session.initial_window) - len(part)
                )
                sent += len(part)
        assert sent < len(data)
        going.set()
        session.send_body(talk.stream, data[sent:], ends=False, within=20)
        assert talk.read_frame().payload == b"%d" % size


def test_half_close_of_the_client(gateway, origin, session):
    def serve(server):
        parts = []
        for got in server.frames():
            parts.append(got)
        server.send(frame(TEXT, b"%d" % len(parts)))

    origin.serve(speaking(serve))
    talk = Talk(session)
    talk.send(TEXT, b"a")
    talk.send(TEXT, bytes(50_000), ends=True)
    assert talk.read_frame().payload == b"2"
    assert session.wait_for(talk.stream).ended


def test_half_close_of_the_upstream(gateway, origin, session):
    parts, over = [], threading.Event()

    def serve(server):
        server.send(frame(TEXT, b"bye"))
        server.connection.socket.shutdown(socket.SHUT_WR)
        for got in server.frames():
            parts.append(got.payload)
        over.set()

    origin.serve(speaking(serve))
    talk = Talk(session)
    assert talk.read_frame().payload == b"bye"
    session.wait_for(talk.stream)
    assert talk.answer.ended and talk.answer.code is None
    talk.send(TEXT, b"late", ends=True)
    assert over.wait(5) and parts == [b"late"]


def test_a_reset_of_the_client_ends_it(gateway, origin, session):
    ended = threading.Event()

    def serve(server):
        try:
            server.read()
        except Ended:
            ended.set()

    origin.serve(speaking(serve))
    talk = Talk(session)
    session.reset(talk.stream, CANCEL)
    assert ended.wait(5)


def test_idle_ends_it_with_a_close_frame(gateway, origin, session):
    origin.serve(speaking(lambda server: server.connection.wait_for_end()))
    talk = Talk(session, "/idle")
    got = talk.read_frame()
    assert (got.code, got.reason) == (1001, "idle")
    session.wait_for(talk.stream)
    assert talk.answer.ended


def test_it_ends_when_its_token_expires(gateway, origin, session, rsa_key):
    origin.serve(speaking(echo))
    end = int(time.time()) + 2
    talk = Talk(session, "/closed", ("authorization", f"Bearer {rsa_key.token(exp=end)}"))
    talk.send(PING)
    assert talk.read_frame().opcode == PING
    got = talk.read_frame()
    assert (got.code, got.reason, got.masked) == (4401, "token_expired", False)
    assert end - 0.1 <= time.time() < end + 1.5
    session.wait_for(talk.stream)
    assert talk.answer.ended and talk.answer.code in (None, NO_ERROR)
    origin.serve(origin.default)
    assert session.request(request("/x")).status == 200, "the connection is as good as before"


def test_a_stop_says_goodbye(start, origin, values):
    gateway = start(CONFIGURATION, **values)
    origin.serve(speaking(echo))
    with Session(gateway.port) as session:
        talks = [Talk(session) for _ in range(3)]
        threading.Timer(0.2, gateway.send_signal, [15]).start()
        for talk in talks:
            assert talk.read_frame().reason == "restart"
        session.read_to_end()
