"""HTTP/2 to upstreams (`grpc://`): messages both ways, trailers, and what happens when a connection or a stream ends."""

import contextlib
import random
import socket
import threading
import time

import pytest

from harness.framed_origin import Call
from harness.raw import chunked, get, post
from harness.streams import CANCEL, INTERNAL_ERROR, Session, request
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
http2 on;
upstream framed { server @framed@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass grpc://framed; proxy_read_timeout 2s; }
    location /strange { proxy_pass grpc://@strange@; proxy_read_timeout 2s; }
}
"""


@pytest.fixture(scope="module")
def strange():
    """An address where something else than HTTP/2 is spoken; a test says what."""
    origin = Strange()
    yield origin
    origin.listener.close()


class Strange:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.said, self.accepted = b"", 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.accepted += 1
                threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            sock.recv(65_536)
            sock.sendall(self.said)
            time.sleep(0.2)


@pytest.fixture(scope="module")
def values(module_framed, strange):
    return {"framed": module_framed.address, "strange": f"127.0.0.1:{strange.listener.getsockname()[1]}"}


@pytest.fixture
def session(gateway):
    with Session(gateway.port) as session:
        yield session


def test_a_request_and_its_answer(gateway, framed, session):
    framed.script = lambda call: call.answer(b"hello", ("x-seen", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2"))
    with gateway.connect() as client:
        first = client.request(get("/x?y", "X-One: 1", "TE: trailers", "Connection: x-drop", "X-Drop: 1"))
    second = session.request(request("/x?y", ("x-one", "1")))
    assert (first.status, first.body, first.get("x-seen")) == (200, b"hello", "1")
    assert (second.status, second.body, second.get("x-seen")) == (200, b"hello", "1")
    assert first.all("set-cookie") == ["a=1", "b=2"]
    # Who takes trailers is told on: the gateway takes them for it.
    assert [call.get("te") for call in framed.calls] == ["trailers", None]
    for call in framed.calls:
        assert [name for name, _ in call.fields[:4]] == [":method", ":scheme", ":authority", ":path"]
        assert (call.get(":method"), call.get(":scheme"), call.get(":path")) == ("GET", "http", "/x?y")
        assert call.get(":authority") == "framed" and call.get("x-one") == "1"
        names = {name for name, _ in call.fields}
        assert not names & {"host", "connection", "x-drop", "transfer-encoding"}
        assert all(name == name.lower() for name in names)


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_000])
def test_bodies_go_both_ways(gateway, framed, session, size):
    framed.script = lambda call: call.answer(call.body)
    body = random.Random(size).randbytes(size)
    with gateway.connect() as client:
        assert client.request(post("/x", body)).body == body
        assert client.request(chunked("/x", *([body] if body else []))).body == body
    assert session.request(request("/x", method="POST"), body, within=10).body == body
    if size:
        assert [call.get("content-length") for call in framed.calls] == [str(size), None, None]


def test_an_answer_without_a_length(gateway, framed, session):
    def script(call: Call) -> None:
        call.send_head(200)
        for n in range(5):
            call.send_body(b"%d" % n, ends=n == 4)

    framed.script = script
    with gateway.connect() as client:
        answer = client.request(get("/x"))
        assert (answer.body, answer.get("transfer-encoding")) == (b"01234", "chunked")
        assert client.request(get("/x")).body == b"01234"
    assert session.request(request("/x")).body == b"01234"


def test_heads_without_bodies(gateway, framed, session):
    framed.script = lambda call: call.send_head(204, ends=True)
    assert session.request(request("/x")).status == 204
    framed.script = lambda call: call.send_head(200, ("content-length", "7"), ends=True)
    got = session.request(request("/x", method="HEAD"))
    assert (got.status, got.get("content-length"), got.body) == (200, "7", b"")
    # Nothing behind the head: one frame from the origin, one to the client.
    framed.script = lambda call: call.send_head(200, ("x-status", "1"), ends=True)
    got = session.request(request("/x"))
    assert got.get("x-status") == "1" and got.ended and got.body == b""
    with gateway.connect() as client:
        assert client.request(get("/x")).status == client.request(get("/x")).status == 200


def test_interim_answers_come_first(framed, session):
    def script(call: Call) -> None:
        call.send_head(103, ("link", "</a>"))
        call.answer()

    framed.script = script
    got = session.request(request("/x"))
    assert (got.interim, got.status, got.body) == ([103], 200, b"ok")


def test_trailers_reach_who_can_read_them(gateway, framed, session):
    def script(call: Call) -> None:
        call.send_head(200)
        call.send_body(b"body", ends=False)
        call.send_trailers(("x-sum", "1"), ("grpc-status", "0"))

    framed.script = script
    got = session.request(request("/x"))
    assert (got.body, got.trailers) == (b"body", [("x-sum", "1"), ("grpc-status", "0")])
    with gateway.connect() as client:
        assert client.request(get("/x")).body == client.request(get("/x")).body == b"body"


def test_connections_are_used_again(framed, session):
    for _ in range(20):
        assert session.request(request("/x")).status == 200
    assert framed.accepted == 1
    # Frames between two requests are answered, and end nothing.
    connection = framed.connections[0]
    connection.state.ping(b"12345678")
    connection.flush()
    wait_until(lambda: connection.pings == 1, 3, what="the answer to a PING")
    assert session.request(request("/x")).status == 200 and framed.accepted == 1


def test_a_request_that_was_refused_is_sent_again(framed, session):
    def script(call: Call) -> None:
        if len(framed.calls) == 1:
            call.refuse(7)
        else:
            call.answer(b"second")

    framed.script = script
    # Nothing was done about it: even what may not be repeated may be.
    got = session.request(request("/x", method="POST"))
    assert (got.status, got.body) == (200, b"second") and len(framed.calls) == 2


def test_a_server_that_goes_away_gets_no_new_request(framed, session):
    assert session.request(request("/x")).status == 200
    connection = framed.connections[0]
    connection.state.close_connection()
    connection.flush()
    time.sleep(0.1)
    assert session.request(request("/x", method="POST")).status == 200
    assert framed.accepted == 2


def test_a_stream_that_fails(gateway, framed, session):
    framed.script = lambda call: call.refuse(2)
    got = session.request(request("/x"))
    assert (got.status, got.get("gateway-error")) == (502, "upstream_invalid")

    def script(call: Call) -> None:
        call.send_head(200, ("content-length", "10"))
        call.send_body(b"half", ends=False)
        time.sleep(0.1)
        call.refuse(2)

    framed.script = script
    got = session.request(request("/x"))
    assert (got.code, got.ended) == (INTERNAL_ERROR, False)
    with gateway.connect() as client:
        client.send(get("/x"))
        client.expect_cut()
    framed.script = framed.default
    assert session.request(request("/x")).status == 200


def test_lengths_that_are_wrong(framed, session):
    def script(call: Call) -> None:
        call.connection.state.config.validate_outbound_headers = False
        call.send_head(200, ("content-length", "3"))
        call.send_body(b"four")

    framed.script = script
    got = session.request(request("/x"))
    assert got.code == INTERNAL_ERROR and not got.ended


def test_a_client_that_leaves_is_told_to_the_server(framed, session):
    began, ended = threading.Event(), threading.Event()

    def script(call: Call) -> None:
        began.set()
        try:
            while call.reset is None:
                call.connection.take()
        finally:
            ended.set()

    framed.script = script
    stream = session.begin(request("/x"))
    assert began.wait(3)
    session.reset(stream, CANCEL)
    assert ended.wait(3)


def test_a_server_that_says_nothing(framed, session):
    framed.script = lambda call: None
    got = session.request(request("/x"))
    assert (got.status, got.get("gateway-error")) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"\0\0\0\4\0\0\0\0\0" + b"\xff" * 40,
        b"\0\0\0\4\0\0\0\0\0" + b"\0\0\x08\7\0\0\0\0\0" + b"\0\0\0\0\0\0\0\2",
        b"",
    ],
)
def test_what_is_no_http2(gateway, session, strange, said):
    strange.said, before = said, strange.accepted
    got = session.request(request("/strange", method="POST"))
    assert got.status == 502 and got.get("gateway-error") in ("upstream_invalid", "upstream_closed")
    # Who goes away before anything was done is asked once more.
    assert strange.accepted - before <= 2


def test_pressure_goes_through(framed, gateway):
    """A client that takes nothing stops the origin; memory stays where it is."""
    sent = []

    def script(call: Call) -> None:
        call.connection.socket.settimeout(3)
        call.send_head(200)
        for _ in range(600):
            call.send_body(b"x" * 50_000, ends=False)
            sent.append(50_000)

    framed.script = script
    before = gateway.resident_bytes()
    with Session(gateway.port, window=0) as session:
        session.begin(request("/x"))
        time.sleep(1)
        assert sum(sent) < 20_000_000 and gateway.resident_bytes() - before < 8_000_000
