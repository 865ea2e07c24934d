"""HTTP/2 from clients to origins of HTTP/1: over TLS and in clear text, with curl, httpx and frames of our own."""

import random
import re
import socket
import subprocess
import threading
import time

import httpx
import pytest

from harness.origin import Connection, answering, then_closing
from harness.raw import Client, get
from harness.streams import (
    CANCEL,
    DATA,
    END_STREAM,
    HEADERS,
    INTERNAL_ERROR,
    NO_ERROR,
    PING,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    Session,
    request,
)
from harness.tokens import AUDIENCE, ISSUER
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
http2 on;
upstream dead {{ server 127.0.0.1:1; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
server {{
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    client_header_timeout 2s;
    client_body_timeout 1s;
    keepalive_timeout 2s;
    send_timeout 2s;
    auth off;
    location / {{ proxy_pass http://@origin@; proxy_read_timeout 2s; client_max_body_size 3m; }}
    location /impatient {{ proxy_pass http://@origin@; proxy_read_timeout 1s; }}
    location /dead {{ proxy_pass http://dead; }}
    location /small {{ proxy_pass http://@origin@; client_max_body_size 1k; }}
    location /text {{ return 200 "text\\n"; }}
    location /closed {{ auth main; proxy_pass http://@origin@; }}
}}
server {{
    listen 127.0.0.1:@old_port@;
    listen 127.0.0.1:@old_tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    http2 off;
    auth off;
    location / {{ return 200 "old\\n"; }}
}}
"""


@pytest.fixture(scope="module")
def values(localhost, key_file):
    return localhost | {"keys": key_file}


def echo(connection: Connection) -> None:
    """Answers with the body that came, in the framing in which it came."""
    got = connection.read_request()
    if got.chunked:
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        if got.body:
            connection.send(b"%x\r\n%s\r\n" % (len(got.body), got.body))
        connection.send(b"0\r\n\r\n")
    else:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(got.body), got.body))


def answer(body: bytes, *fields: str) -> bytes:
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


# -- who speaks it, and to whom


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(gateway, origin, authority, version):
    url = f"https://localhost:{gateway.tls_port}/x"
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", authority.file, "--tls-max", version, "--resolve"]
        + [f"localhost:{gateway.tls_port}:127.0.0.1", "-w", "%{http_version} %{http_code}\\n", url, url],
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.stdout == "ok2 200\nok2 200\n", done
    assert origin.last.get("x-forwarded-proto") == "https"
    gateway.wait_for_log_line(lambda line: line["protocol"] == "HTTP/2.0" and line["connection_requests"] == 2)


def test_httpx(gateway, origin, authority):
    origin.serve(echo)
    with httpx.Client(http2=True, verify=authority.client_context()) as client:
        for size in (0, 10, 1_000_000):
            got = client.post(f"https://localhost:{gateway.tls_port}/x", content=b"x" * size)
            assert (got.http_version, got.status_code, len(got.content)) == ("HTTP/2", 200, size)


def test_clear_text_with_prior_knowledge(gateway, origin):
    with Session(gateway.port) as session:
        for _ in range(3):
            got = session.request(request("/x"))
            assert (got.status, got.body) == (200, b"ok")
    assert origin.last.line == "GET /x HTTP/1.1"
    assert origin.last.get("x-forwarded-proto") == "http"


def test_the_preface_may_come_in_pieces(gateway):
    with Session(gateway.port, begin=False) as session:
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0":
            session.send(bytes([byte]))
            time.sleep(0.002)
        assert session.request(request("/text")).body == b"text\n"
    for start in (b"P", b"PR", b"PRI"):
        with Client(gateway.port) as client:
            client.send(start)
            time.sleep(0.05)
            client.send(b"X / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.read_response().status == 200


def test_http1_goes_on_beside_it(gateway, origin, authority):
    with Client(gateway.tls_port, tls=authority.client_context()) as client:
        assert client.request(get("/x")).status == 200
    with gateway.connect() as client:
        assert client.request(get("/x")).status == client.request(get("/x")).status == 200


def test_T16_where_it_is_off_nobody_speaks_it(gateway, authority):
    context = authority.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", gateway.values["old_tls_port"]), 5) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as client:
            assert client.selected_alpn_protocol() == "http/1.1"
    for port, tls in ((gateway.values["old_port"], None), (gateway.values["old_tls_port"], authority.client_context())):
        with Client(port, tls=tls) as client:
            client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            assert client.read_response().status == 505
            client.expect_close()


# -- messages


def test_many_streams_share_a_connection(gateway, origin):
    def script(connection: Connection) -> None:
        got = connection.read_request()
        time.sleep(random.random() / 50)
        connection.send(answer(got.target.encode() * 100))

    origin.serve(script)
    with Session(gateway.port) as session:
        for _ in range(3):
            streams = {session.begin(request(f"/{n}")): n for n in range(100)}
            for stream, n in streams.items():
                got = session.wait_for(stream)
                assert (got.status, got.body) == (200, f"/{n}".encode() * 100)
    assert origin.accepted < 330


@pytest.mark.parametrize("size", [0, 1, 16_384, 70_000, 2_000_000])
@pytest.mark.parametrize("says_length", [True, False])
def test_bodies_go_both_ways(gateway, origin, size, says_length):
    origin.serve(echo)
    body = random.Random(size).randbytes(size)
    with Session(gateway.port) as session:
        fields = request("/x", *([("content-length", str(size))] if says_length else []), method="POST")
        got = session.request(fields, body)
        assert got.status == 200 and got.body == body
    assert origin.last.chunked == (not says_length)


def test_bodies_of_many_streams_at_once(gateway, origin):
    origin.serve(echo)
    body = random.Random(7).randbytes(300_000)
    with Session(gateway.port) as session:
        streams = [session.begin(request("/x", method="POST"), ends=False) for _ in range(8)]
        for stream in streams:
            session.send_body(stream, body)
        for stream in streams:
            assert session.wait_for(stream).body == body


def test_heads_without_bodies(gateway, origin):
    with Session(gateway.port) as session:
        origin.serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
        got = session.request(request("/x", method="HEAD"))
        assert (got.status, got.get("content-length"), got.body) == (200, "5", b"")
        for status in (b"204 No Content", b"304 Not Modified"):
            origin.serve(answering(b"HTTP/1.1 %s\r\n\r\n" % status))
            assert session.request(request("/x")).status == int(status[:3])
        origin.serve(then_closing(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"))
        assert session.request(request("/x")).body == b"until the end"


def test_fields_of_a_connection_stay_behind(gateway, origin):
    origin.serve(answering(answer(b"ok", "Connection: x-one, keep-alive", "X-One: 1", "Keep-Alive: 5", "X-Two: 2 ")))
    with Session(gateway.port) as session:
        got = session.request(request("/x"))
    names = {name for name, _ in got.fields}
    assert got.get("x-two") == "2" and not names & {"connection", "x-one", "keep-alive"}
    assert all(name == name.lower() for name in names)


def test_a_large_head_goes_through(gateway, origin):
    lines = [f"X-{n}: {'v' * 900}" for n in range(66)]
    origin.serve(answering(answer(b"ok", *lines)))
    with Session(gateway.port) as session:
        got = session.request(request("/x"))
        assert (got.status, got.body, len(got.get("x-65"))) == (200, b"ok", 900)


def test_interim_answers_come_first(gateway, origin):
    origin.serve(answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"ok")))
    with Session(gateway.port) as session:
        got = session.request(request("/x"))
        assert (got.interim, got.status, got.body) == ([103], 200, b"ok")


def test_continue_is_said_to_who_waits_for_it(gateway, origin):
    origin.serve(echo)
    with Session(gateway.port) as session:
        stream = session.begin(request("/x", ("expect", "100-continue"), method="POST"), ends=False)
        session.read_until(lambda: session.answers[stream].interim == [100])
        session.send_body(stream, b"hello")
        assert session.wait_for(stream).body == b"hello"


def test_cookies_are_one_field_for_the_origin(gateway, origin):
    with Session(gateway.port) as session:
        session.request(request("/x", ("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2")))
    assert origin.last.all("cookie") == ["a=1; b=2"]


def test_trailers_of_a_request_end_it(gateway, origin):
    origin.serve(echo)
    with Session(gateway.port) as session:
        stream = session.begin(request("/x", method="POST"), ends=False)
        session.send_body(stream, b"hello", ends=False)
        session.begin([("x-sum", "1")], stream=stream)
        assert session.wait_for(stream).body == b"hello"


# -- answers of the gateway's own


def test_refusals_are_those_of_http1(gateway, origin):
    def told(fields) -> dict:
        return {name.lower(): value for name, value in fields if name.lower() not in ("date", "connection")}

    with Session(gateway.port) as session:
        asked = [("/closed", "GET"), ("/text", "TRACE"), ("/text", "GET"), ("/dead", "GET"), ("/a/%00", "GET")]
        for path, method in asked:
            with gateway.connect() as client:
                first = client.request(get(path, method=method))
            second = session.request(request(path, method=method))
            assert (second.status, told(second.fields)) == (first.status, told(first.fields))
            unlike = re.compile(rb'"request_id":"\w+"')
            assert unlike.sub(b"", second.body) == unlike.sub(b"", first.body)
    assert origin.requests == []


def test_tokens_are_checked_as_ever(gateway, origin, rsa_key):
    token = rsa_key.token()
    with Session(gateway.port) as session:
        for _ in range(3):
            assert session.request(request("/closed", ("authorization", f"Bearer {token}"))).status == 200
        tokens = [rsa_key.token(jti=str(n)) for n in range(20)]
        streams = [session.begin(request("/closed", ("authorization", f"Bearer {token}"))) for token in tokens]
        assert {session.wait_for(stream).status for stream in streams} == {200}
        got = session.request(request("/closed", ("authorization", f"Bearer {token[:-4]}AAAA")))
        assert (got.status, got.get("gateway-error")) == (401, "signature_invalid")


def test_what_is_too_large_is_told_so(gateway, origin):
    with Session(gateway.port) as session:
        got = session.request(request("/x", ("x-large", "v" * 40_000)))
        assert (got.status, got.get("gateway-error")) == (431, "header_too_large")
        got = session.request(request("/small", ("content-length", "2000"), method="POST"), b"x" * 2000)
        assert (got.status, got.get("gateway-error")) == (413, "body_too_large")
        stream = session.begin(request("/small", method="POST"), ends=False)
        session.send_body(stream, b"x" * 2000, ends=False)
        got = session.wait_for(stream)
        assert got.status == 413 and not session.closed
        assert session.request(request("/text")).status == 200
    assert not any(got.body for got in origin.requests)


def test_an_early_answer_is_whole_and_then_the_rest_is_declined(gateway):
    with Session(gateway.port) as session:
        stream = session.begin(request("/closed", method="POST"), ends=False)
        session.send_frame(DATA, 0, stream, b"x" * 1000)
        got = session.wait_for(stream)
        assert got.status == 401 and got.ended
        session.read_until(lambda: got.code is not None)
        assert got.code == NO_ERROR
        # What was on its way is nobody's fault (RFC 9113 section 5.1).
        session.send_frame(DATA, END_STREAM, stream, b"x" * 1000)
        assert session.request(request("/text")).status == 200


# -- when things go wrong


def test_an_answer_that_is_cut_short_is_not_whole(gateway, origin):
    origin.serve(then_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    with Session(gateway.port) as session:
        got = session.request(request("/x"))
        assert (got.code, got.ended) == (INTERNAL_ERROR, False)
        origin.serve(answering(answer(b"ok")))
        assert session.request(request("/x")).body == b"ok"


def test_an_origin_that_says_nothing(gateway, origin):
    origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
    with Session(gateway.port) as session:
        started = time.monotonic()
        got = session.request(request("/x"))
        assert (got.status, got.get("gateway-error")) == (504, "upstream_timeout")
        assert 1.5 < time.monotonic() - started < 4


def test_who_cancels_costs_the_origin_no_more(gateway, origin):
    ended = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.wait_for_end()
        ended.set()

    origin.serve(script)
    with Session(gateway.port) as session:
        stream = session.begin(request("/x"))
        origin.wait_for(1)
        session.reset(stream)
        assert ended.wait(3)
        gateway.wait_for_log_line(lambda line: line["path"] == "/x" and line["status"] == 0)
        origin.serve(answering(answer(b"ok")))
        assert session.request(request("/x")).body == b"ok"


def test_a_connection_that_breaks_takes_its_requests_along(gateway, origin):
    origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
    session = Session(gateway.port)
    for _ in range(5):
        session.begin(request("/x"))
    origin.wait_for(5)
    session.close()
    wait_until(lambda: origin.open_connections == 0, 3, what="the origin's connections end")


def test_a_body_that_does_not_come(gateway, origin):
    with Session(gateway.port) as session:
        stream = session.begin(request("/x", method="POST"), ends=False)
        got = session.wait_for(stream)
        assert (got.status, got.get("gateway-error")) == (408, "request_timeout")
        assert session.request(request("/text")).status == 200


def test_an_idle_connection_is_ended_in_order(gateway):
    with Session(gateway.port) as session:
        started = time.monotonic()
        assert session.request(request("/text")).status == 200
        session.read_to_end()
        assert session.goaway == (NO_ERROR, 1) and 1.5 < time.monotonic() - started < 4


def test_a_connection_that_never_asks_is_ended(gateway):
    with Session(gateway.port) as session:
        session.read_to_end()
        assert session.goaway == (NO_ERROR, 0)


# -- pressure


def test_a_client_that_takes_nothing_holds_little(gateway, origin):
    """Ten answers of 20 MB for streams without a window: the origin is read no further than the bounds, and whom we do not
    read is not late."""
    sent = []

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n")
        for _ in range(2000):
            connection.send(b"x" * 10_000)
            sent.append(10_000)

    origin.serve(script)
    before = gateway.resident_bytes()
    with Session(gateway.port, window=0) as session:
        for _ in range(10):
            session.begin(request("/impatient"))
        time.sleep(1)
        assert gateway.resident_bytes() - before < 12_000_000
        # Who takes nothing for `send_timeout` is let go.
        for stream in list(session.answers):
            ended = session.wait_for(stream)
            assert (ended.status, ended.code) == (200, CANCEL)
        assert session.request(request("/text")).status == 200
    assert sum(sent) < 100_000_000


def test_a_slow_reader_gets_everything(gateway, origin):
    body = random.Random(3).randbytes(3_000_000)
    origin.serve(answering(answer(body)))
    with Session(gateway.port, gives_back=False) as session:
        stream = session.begin(request("/x"))
        got, taken = session.answers[stream], 0
        while not got.is_over:
            session.step(time.monotonic() + 5)
            if len(got.body) - taken >= 30_000 or len(got.body) == taken + 1:
                count = len(got.body) - taken
                for number in (0, stream):
                    session.update_window(number, count)
                taken = len(got.body)
        assert got.body == body


def test_a_slow_origin_slows_the_client_down(gateway, origin):
    """A body is taken no faster than somebody takes it from us."""
    go = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_head()
        go.wait(10)
        connection.read_exactly(2_500_000)
        connection.send(answer(b"done"))

    origin.serve(script)
    with Session(gateway.port) as session:
        fields = request("/x", ("content-length", "2500000"), method="POST")
        stream = session.begin(fields, ends=False)
        sender = threading.Thread(target=lambda: session.send_body(stream, b"x" * 2_500_000))
        sender.start()
        time.sleep(0.5)
        go.set()
        sender.join(10)
        assert session.wait_for(stream).body == b"done"


def test_more_streams_than_offered_are_refused_and_may_come_again(start, origin):
    gateway = start(LIMITED)
    origin.serve(lambda connection: (connection.read_request(), time.sleep(0.3), connection.send(answer(b"ok"))))
    with Session(gateway.port) as session:
        # Nobody has read our SETTINGS yet.
        streams = [session.begin(request("/x")) for _ in range(6)]
        got = [session.wait_for(stream) for stream in streams]
        assert [one.code for one in got] == [None] * 4 + [REFUSED_STREAM] * 2
        assert session.settings[3] == 4
        assert session.request(request("/x")).body == b"ok"
        # Who has read them must not ask for more (RFC 9113 section 5.1.2).
        for _ in range(6):
            session.begin(request("/x"))
        session.read_to_end()
        assert session.goaway[0] == PROTOCOL_ERROR


LIMITED = """
worker_processes 1;
error_log stderr info;
worker_shutdown_timeout 5s;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    http2 on;
    http2_max_concurrent_streams 4;
    keepalive_requests 10;
    auth off;
    location / { proxy_pass http://@origin@; }
}
"""


# -- ends


def test_keepalive_requests_ends_a_connection_in_order(start, origin):
    gateway = start(LIMITED)
    with Session(gateway.port) as session:
        for _ in range(10):
            assert session.request(request("/x")).status == 200
        session.read_to_end()
        assert session.goaway == (NO_ERROR, 19)


def test_T14_a_drain_finishes_what_came(start, origin):
    gateway = start(LIMITED)
    origin.serve(lambda connection: (connection.read_request(), time.sleep(1.5), connection.send(answer(b"ok"))))
    with Session(gateway.port) as session, Session(gateway.port) as idle:
        session.request(request("/y", method="TRACE"))
        stream = session.begin(request("/x"))
        origin.wait_for(1)
        gateway.send_signal(15)
        # First it is said that the end is near, and nobody loses what is on its way (RFC 9113 section 6.8).
        session.read_until(lambda: session.goaway)
        assert session.goaway == (NO_ERROR, 0x7FFF_FFFF)
        late = session.begin(request("/late"))
        assert session.wait_for(stream).body == b"ok"
        if not session.answers[late].is_over:
            session.read_for(2)
        session.read_to_end()
        assert session.answers[late].body == b"ok" and session.goaway == (NO_ERROR, late)
        idle.read_to_end()
        assert idle.goaway[0] == NO_ERROR
    assert gateway.process.wait(5) == 0


def test_a_reload_cuts_no_stream(start, origin):
    gateway = start(LIMITED)
    origin.serve(lambda connection: (connection.read_request(), time.sleep(0.5), connection.send(answer(b"ok"))))
    with Session(gateway.port) as session:
        stream = session.begin(request("/x"))
        origin.wait_for(1)
        gateway.send_signal(1)
        assert session.wait_for(stream).body == b"ok"
        assert session.request(request("/x")).body == b"ok"


def test_counted(gateway):
    begun = gateway.metrics().sum("gateway_http2_connections_total", result="begun")
    with Session(gateway.port) as session:
        session.request(request("/text"))
        session.send_frame(PING, 0, 0, b"12345678")
        session.read_until(lambda: any(kind == PING for kind, *_ in session.frames))
    assert gateway.metrics().sum("gateway_http2_connections_total", result="begun") == begun + 1
    assert HEADERS in {kind for kind, *_ in session.frames}
