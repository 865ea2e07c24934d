"""What clients of HTTP/2 do to harm: each ends a stream or a connection, and costs others nothing."""

import random
import ssl
import subprocess
import time

import pytest

from harness.origin import Connection
from harness.raw import Client
from harness.streams import (
    ACK,
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    Session,
    frame,
    literal,
    request,
)
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
http2 on;
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    send_timeout 1s;
    auth off;
    location / { proxy_pass http://@origin@; }
    location /text { return 200 "text\\n"; }
}
"""


@pytest.fixture(scope="module")
def values(localhost):
    return localhost


@pytest.fixture
def session(gateway):
    with Session(gateway.port) as session:
        assert session.request(request("/text")).status == 200
        yield session


def send_all(session: Session, data: bytes) -> None:
    """The gateway may end the connection in the middle."""
    try:
        session.send(data)
    except OSError:
        pass


def expect_end(gateway, session: Session, *codes: int) -> None:
    """The connection ends with one of the codes, and the gateway serves the next as if nothing had been."""
    session.read_to_end()
    assert session.goaway and session.goaway[0] in codes, session.goaway
    with Session(gateway.port) as other:
        assert other.request(request("/text")).body == b"text\n"


def expect_reset(gateway, origin, session: Session, stream: int, code: int = PROTOCOL_ERROR) -> None:
    """The stream is reset, nothing of it reached the origin, and the others go on."""
    got = session.wait_for(stream)
    assert (got.status, got.code) == (0, code)
    assert session.request(request("/text")).status == 200
    assert origin.requests == []


class Cost:
    """Processor time and memory of the gateway since it was made."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.began, self.memory = self._seconds(), gateway.resident_bytes()

    def _seconds(self) -> float:
        words = open(f"/proc/{self.gateway.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / 100

    def expect(self, seconds: float, megabytes: float) -> None:
        assert self._seconds() - self.began < seconds
        assert self.gateway.resident_bytes() - self.memory < megabytes * 1_000_000


# -- floods


def test_T01_rapid_reset(gateway, origin, session):
    origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
    cost = Cost(gateway)
    block = literal(request("/x"))
    pairs = [frame(HEADERS, 5, n, block) + frame(RST_STREAM, 0, n, b"\0\0\0\x08") for n in range(3, 40_003, 2)]
    send_all(session, b"".join(pairs))
    expect_end(gateway, session, ENHANCE_YOUR_CALM)
    # What was gone before its turn came was never begun.
    assert len(origin.requests) <= 1_000
    wait_until(lambda: origin.open_connections == 0, 3, what="the origin's connections end")
    cost.expect(2.0, 20)


def test_T01_requests_that_were_begun_are_cancelled(gateway, origin, session):
    origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
    for _ in range(5):
        streams = [session.begin(request("/x")) for _ in range(10)]
        origin.wait_for(10)
        for stream in streams:
            session.reset(stream)
        wait_until(lambda: origin.open_connections == 0, 3, what="the origin's connections end")
        origin.forget()
    assert session.request(request("/text")).status == 200


def test_T02_making_us_reset(gateway, origin, session):
    cost = Cost(gateway)
    too_much = (0x7FFF_FFFF).to_bytes(4, "big")
    block = literal(request("/text", method="POST"))
    pairs = [frame(HEADERS, END_HEADERS, n, block) + frame(WINDOW_UPDATE, 0, n, too_much) for n in range(3, 6_003, 2)]
    # No more at once than may be.
    for start in range(0, len(pairs), 100):
        send_all(session, b"".join(pairs[start : start + 100]))
        last = start * 2 + 201
        while not session.closed and not (session.answers.get(last) and session.answers[last].is_over):
            session.step(time.monotonic() + 5)
    assert sum(kind == RST_STREAM for kind, *_ in session.frames) < 1_300
    expect_end(gateway, session, ENHANCE_YOUR_CALM)
    assert origin.requests == []
    cost.expect(2.0, 20)


def test_T03_continuation_flood(gateway, session):
    cost = Cost(gateway)
    flood = frame(CONTINUATION, 0, 3, b"\0\1x\1y") * 100_000
    send_all(session, frame(HEADERS, 1, 3, literal(request("/text"))) + flood)
    expect_end(gateway, session, ENHANCE_YOUR_CALM)
    cost.expect(1.0, 10)


def test_T03_a_head_in_many_pieces_is_a_request(gateway, session):
    block = literal(request("/text", ("x", "y" * 60)))
    session.begin(request("/text"))
    first = len(block) - 56
    data = frame(HEADERS, 1, 5, block[:first])
    data += b"".join(frame(CONTINUATION, 4 if i == 55 else 0, 5, block[first + i : first + i + 1]) for i in range(56))
    session.answers[5] = session.answers[3].__class__()
    session.send(data)
    assert session.wait_for(5).status == 200


def test_T04_a_bomb_of_indexed_fields(gateway, origin, session):
    cost = Cost(gateway)
    # One field of 3 KB goes into the table, and comes back for one byte each time.
    block = literal(request("/x")) + b"\x40" + literal([("x", "v" * 3_000)])[1:] + b"\xbe" * 4_000
    session.answers[3] = session.answers[1].__class__()
    session.send(frame(HEADERS, 5, 3, block))
    got = session.wait_for(3)
    assert (got.status, got.get("gateway-error")) == (431, "header_too_large")
    assert origin.requests == []
    cost.expect(0.5, 5)


def test_T05_cookie_crumbs_are_counted_before_they_are_joined(gateway, origin, session):
    crumb = ("cookie", "a=1")
    assert session.request(request("/x", *[crumb] * 256)).status == 200
    assert origin.last.all("cookie") == ["; ".join(["a=1"] * 256)]
    origin.forget()
    got = session.request(request("/x", *[crumb] * 257))
    assert (got.status, got.get("gateway-error")) == (431, "header_too_large")
    # Empty ones cost, too.
    assert session.request(request("/x", *[("cookie", "")] * 4_000)).status == 431
    assert origin.requests == []


def test_T05_a_stream_that_takes_nothing_is_reset(gateway, origin):
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000)

    origin.serve(script)
    with Session(gateway.port, window=0) as session:
        assert session.wait_for(session.begin(request("/x"))).code == CANCEL
        # The others go on.
        session.send_frame(SETTINGS, 0, 0, b"\0\4" + (65_535).to_bytes(4, "big"))
        assert session.request(request("/text")).body == b"text\n"


def test_T07_settings_flood(gateway, session):
    cost = Cost(gateway)
    send_all(session, frame(SETTINGS, 0, 0) * 50_000)
    expect_end(gateway, session, ENHANCE_YOUR_CALM)
    cost.expect(1.0, 10)


def test_T07_ping_flood_that_reads_no_answer(gateway):
    cost = Cost(gateway)
    with Session(gateway.port) as session:
        send_all(session, frame(PING, 0, 0, b"12345678") * 200_000)
        expect_end(gateway, session, ENHANCE_YOUR_CALM)
    cost.expect(2.0, 10)


def test_T07_pings_may_come_as_often_as_they_are_answered(gateway, session):
    for _ in range(30):
        session.send(frame(PING, 0, 0, b"12345678") * 100)
        seen = len(session.frames)
        session.read_until(lambda: len(session.frames) >= seen + 100)
    assert sum(kind == PING and flags == ACK for kind, flags, *_ in session.frames) == 3_000
    assert session.request(request("/text")).status == 200


def test_T07_priority_flood(gateway, session):
    cost = Cost(gateway)
    send_all(session, frame(PRIORITY, 0, 5, b"\0\0\0\0\1") * 100_000)
    expect_end(gateway, session, ENHANCE_YOUR_CALM)
    cost.expect(1.0, 10)


def test_T07_empty_data_flood(gateway, session):
    cost = Cost(gateway)
    session.begin(request("/text", method="POST"), ends=False)
    head = frame(HEADERS, END_HEADERS, 5, literal(request("/x", method="POST")))
    send_all(session, head + frame(DATA, 0, 5) * 100_000)
    expect_end(gateway, session, ENHANCE_YOUR_CALM)
    cost.expect(1.5, 10)


# -- messages that could be read in two ways


def test_T06_two_names_for_one_request(gateway, origin, session):
    expect_reset(gateway, origin, session, session.begin(request("/x", ("host", "other"))))
    assert session.request(request("/x", ("host", "localhost"))).status == 200
    assert len(origin.last.all("host")) == 1


@pytest.mark.parametrize(
    "field",
    [
        ("x", "a\rb"), ("x", "a\nb"), ("x", "a\r\nHost: b"), ("x", "a\0b"), ("x", " a"), ("x", "a "), ("x", "\ta"),
        ("", "a"), ("X-Upper", "a"), ("a b", "c"), ("a:b", "c"), ("a\r\nb", "c"), ("a\x7f", "c"),
    ],
)  # fmt: skip
def test_T08_bytes_that_begin_a_line_of_their_own(gateway, origin, session, field):
    expect_reset(gateway, origin, session, session.begin(request("/x", field)))


def test_T08_a_colon_in_a_value_is_data(gateway, origin, session):
    assert session.request(request("/x", ("x", "a:b: c"))).status == 200
    assert origin.last.get("x") == "a:b: c"


@pytest.mark.parametrize(
    "field",
    [
        ("transfer-encoding", "chunked"), ("connection", "close"), ("upgrade", "h2c"), ("keep-alive", "1"),
        ("proxy-connection", "close"), ("te", "gzip"), ("te", "trailers, gzip"),
    ],
)  # fmt: skip
def test_T09_fields_of_a_connection(gateway, origin, session, field):
    expect_reset(gateway, origin, session, session.begin(request("/x", field)))
    if field[0] in ("transfer-encoding", "connection"):
        gateway.wait_for_log_line(lambda line: line["auth_reason"] == "http2_message_invalid")


@pytest.mark.parametrize("body", [b"", b"four", b"sixsix"])
def test_T10_a_length_that_is_not_what_comes(gateway, origin, session, body):
    stream = session.begin(request("/x", ("content-length", "5"), method="POST"), ends=False)
    session.send_frame(DATA, END_STREAM, stream, body)
    got = session.wait_for(stream)
    assert (got.status, got.code) == (0, PROTOCOL_ERROR)
    wait_until(lambda: origin.open_connections == 0, 3, what="the origin's connection ends")
    assert origin.requests == [] and session.request(request("/text")).status == 200


@pytest.mark.parametrize("lengths", [("5", "5"), ("5", "6"), ("+5",), ("5, 5",), ("",), ("0x5",), ("-1",)])
def test_T10_lengths_that_are_none(gateway, origin, session, lengths):
    fields = [("content-length", length) for length in lengths]
    stream = session.begin(request("/x", *fields, method="POST"), ends=False)
    expect_reset(gateway, origin, session, stream)


GOOD = {":method": "GET", ":scheme": "http", ":authority": "localhost", ":path": "/x"}


def pseudo(**changed: str | None) -> list[tuple[str, str]]:
    fields = GOOD | {f":{name}": value for name, value in changed.items()}
    return [(name, value) for name, value in fields.items() if value is not None]


@pytest.mark.parametrize(
    "fields",
    [
        pseudo(method="G T"), pseudo(method="GET / HTTP/1.1\r\nx: y"), pseudo(method=""), pseudo(method=None),
        pseudo(path="/a b"), pseudo(path="http://localhost/"), pseudo(path=""), pseudo(path=None), pseudo(path="x"),
        pseudo(path="/ HTTP/1.1\r\nx: y"), pseudo(path="/\0"), pseudo(path="*"), pseudo(scheme="ftp"),
        pseudo(scheme="http:"), pseudo(scheme=None), pseudo(scheme="http://a/?"), pseudo(authority="a@b"),
        pseudo(authority="a\r\nb"), pseudo(authority="a,b"), pseudo(authority=""), pseudo(authority=None),
        [*pseudo(), (":path", "/y")], [*pseudo(), (":method", "GET")], [*pseudo(), ("x", "y"), (":status", "200")],
        [("x", "y"), *pseudo()], [*pseudo(), (":odd", "1")], [*pseudo(), (":authority", "localhost")],
    ],
)  # fmt: skip
def test_T11_heads_that_are_none_in_http1(gateway, origin, session, fields):
    expect_reset(gateway, origin, session, session.begin(fields))


# -- the rules of the protocol


def test_T12_after_the_end(gateway, origin, session):
    origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
    stream = session.begin(request("/x"))
    session.send_frame(DATA, 0, stream, b"x")
    expect_end(gateway, session, STREAM_CLOSED)


def test_T12_a_number_that_was_used(gateway, session):
    session.send_frame(HEADERS, 5, 1, literal(request("/text")))
    expect_end(gateway, session, STREAM_CLOSED)


@pytest.mark.parametrize("stream", [2, 5, 0])
def test_T12_a_number_that_is_not_the_clients(gateway, session, stream):
    session.request(request("/text"))
    session.next_stream = 9
    assert session.request(request("/text")).status == 200
    session.send_frame(HEADERS, 5, stream, literal(request("/text")))
    expect_end(gateway, session, PROTOCOL_ERROR)


def test_T12_what_comes_for_a_stream_that_we_ended_is_ignored(gateway, origin, session):
    stream = session.begin(request("/x", ("connection", "close"), method="POST"), ends=False)
    assert session.wait_for(stream).code == PROTOCOL_ERROR
    # More than the connection's window in all: it is given back.
    for _ in range(10):
        for _ in range(14):
            session.send_frame(DATA, 0, stream, b"x" * 16_000)
        assert session.request(request("/text")).status == 200
    assert origin.requests == []


@pytest.mark.parametrize(
    "number, count, codes",
    [
        (0, 0, [PROTOCOL_ERROR]),
        (1, 0, [PROTOCOL_ERROR]),
        (0, 0x7FFF_FFFF, [FLOW_CONTROL_ERROR]),
    ],
)
def test_T13_windows_that_are_none(gateway, origin, number, count, codes):
    origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
    with Session(gateway.port) as session:
        session.begin(request("/x"))
        session.update_window(number, count)
        expect_end(gateway, session, *codes)


def test_T13_a_streams_window_that_is_too_large(gateway, origin, session):
    origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
    stream = session.begin(request("/x"))
    session.update_window(stream, 0x7FFF_FFFF)
    assert session.wait_for(stream).code == FLOW_CONTROL_ERROR
    assert session.request(request("/text")).status == 200


def test_T13_more_than_our_window(gateway, origin, session):
    origin.serve(lambda connection: (connection.read_head(), time.sleep(3)))
    stream = session.begin(request("/x", method="POST"), ends=False)
    send_all(session, frame(DATA, 0, stream, b"x" * 16_384) * 200)
    got = session.answers[stream]
    try:
        session.read_until(lambda: got.is_over or session.goaway, 3)
    except AssertionError:
        pass
    assert got.code == FLOW_CONTROL_ERROR or session.goaway and session.goaway[0] == FLOW_CONTROL_ERROR


def test_T15_extended_connect_to_anything_but_a_websocket(gateway, origin, session):
    for protocol in ("connect-udp", "connect-tcp", "WebSocket", "websocket2"):
        fields = [(":method", "CONNECT"), (":protocol", protocol), *pseudo(method=None)]
        got = session.wait_for(session.begin(fields, ends=False))
        assert (got.status, got.get("gateway-error")) == (501, "upgrade_unsupported")
    for more in ([(":protocol", "websocket"), (":protocol", "websocket")], []):
        fields = [(":method", "CONNECT"), *more, *pseudo(method=None)]
        expect_reset(gateway, origin, session, session.begin(fields, ends=False))
    fields = [(":method", "GET"), (":protocol", "websocket"), *pseudo(method=None)]
    expect_reset(gateway, origin, session, session.begin(fields, ends=False))
    got = session.wait_for(session.begin([(":method", "CONNECT"), (":authority", "localhost:1")], ends=False))
    assert (got.status, got.get("gateway-error")) == (405, "method_not_allowed")
    assert origin.requests == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_T16_old_versions_of_tls_and_renegotiation(gateway, authority):
    context = authority.client_context()
    context.set_alpn_protocols(["h2"])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        Session(gateway.tls_port, context)
    # A preface without the choice of HTTP/2.
    with Client(gateway.tls_port, tls=authority.client_context()) as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        assert client.read_response().status == 505
        client.expect_close()
    # What TLS 1.2 has for HTTP/2 has forward secrecy and is authenticated (RFC 9113 section 9.2.2).
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Session(gateway.tls_port, context) as session:
        assert "GCM" in session.socket.cipher()[0] or "CHACHA20" in session.socket.cipher()[0]
        assert session.socket.cipher()[0].startswith("ECDHE")
        assert session.request(request("/text", scheme="https")).status == 200


def test_T17_no_ticket_announces_early_data(gateway, authority):
    with Session(gateway.tls_port, authority.client_context()) as session:
        assert session.request(request("/text", scheme="https")).status == 200
        ticket = session.socket.session
    assert ticket is not None and ticket.has_ticket
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.tls_port}", "-alpn", "h2", "-tls1_3", "-ign_eof"],
        input="",
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert "Max Early Data: 0" in done.stdout or "Max Early Data" not in done.stdout
    assert "Early data was not sent" in done.stdout


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(PING, 0, 0, b"12345678"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) + frame(GOAWAY, 0, 1, b"\0" * 8),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) + b"\xff\xff\xff" + b"\0" * 6,
    ],
)
def test_beginnings_that_are_none(gateway, authority, data):
    with Session(gateway.tls_port, authority.client_context(), begin=False) as session:
        session.send(data)
        session.read_to_end()
        assert session.goaway and session.goaway[0] != 0


def test_random_frames_harm_nobody(gateway, origin):
    seed = 7540
    chance = random.Random(seed)
    for _ in range(60):
        with Session(gateway.port) as session:
            for _ in range(40):
                kind = chance.randrange(11)
                payload = chance.randbytes(chance.choice([0, 4, 5, 8, 20]))
                if kind == HEADERS and chance.random() < 0.7:
                    payload = literal(request("/text"))
                send_all(session, frame(kind, chance.randrange(64), chance.choice([0, 1, 2, 3, 5, 7, 9]), payload))
    with Session(gateway.port) as session:
        assert session.request(request("/text")).status == 200, f"seed {seed}"
