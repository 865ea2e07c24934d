"""Time and size of what a client may send."""

import time

import pytest

from harness.raw import chunked, get, post
from harness.refusals import DELIVERIES, check_answer, deliver, expect_refusal
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
client_header_timeout 1s;
client_body_timeout 1s;
send_timeout 1s;
keepalive_timeout 1s;
client_max_body_size 1k;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
    location /large/ { client_max_body_size 0; proxy_pass http://@origin@; }
    location /slow/ { client_max_body_size 0; proxy_pass http://@origin@; proxy_read_timeout 20s; }
}
"""

every_delivery = pytest.mark.parametrize("how", DELIVERIES)


def test_R01_head_that_trickles(gateway, origin):
    """The deadline is absolute: bytes that keep coming do not move it."""
    started = time.monotonic()
    with gateway.connect() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: localhost\r\n")
        client.send_in_pieces(b"X-A: " + b"a" * 60, 1, 0.03)
        check_answer(client.read_response(), 408, "request_timeout", closed=True)
        client.expect_close()
    assert 0.8 < time.monotonic() - started < 3.5
    assert origin.received == b""


def test_R01_counts_and_logs(gateway, origin):
    expect_refusal(gateway, origin, b"GET /x HTTP/1.1\r\nHost: a\r\n", 408, "request_timeout", closed=True)


def test_R01_silence_after_a_good_request_is_not_an_error(gateway, origin):
    with gateway.connect() as client:
        assert client.request(get("/x")).status == 200
        started = time.monotonic()
        client.expect_close()
        assert 0.7 < time.monotonic() - started < 2.5, "keepalive_timeout is 1 s"


def test_R01_silence_from_the_start(gateway, origin):
    with gateway.connect() as client:
        assert b"HTTP/1.1 200" not in client.expect_cut(3)


def test_R02_body_that_stops(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/x", "Content-Length: 100", method="POST") + b"x" * 10)
        check_answer(client.read_response(), 408, "request_timeout", closed=True)
        client.expect_close()
    wait_until(lambda: origin.open_connections == 0, what="the upstream connection ends")
    assert origin.requests == []


@pytest.mark.slow
def test_R02_body_that_trickles(gateway, origin):
    """Bytes keep coming, but fewer than client_body_min_rate (500 a second) once 10 s have passed."""
    started = time.monotonic()
    with gateway.connect() as client:
        client.send(get("/large/x", "Content-Length: 100000", method="POST"))
        client.send_in_pieces(b"x" * 60, 1, 0.25)
        check_answer(client.read_response(), 408, "request_timeout", closed=True)
        client.expect_close()
    assert 9 < time.monotonic() - started < 20
    assert origin.requests == []


def test_R03_client_that_does_not_read(gateway, origin):
    """Without progress for send_timeout the connection is cut, and meanwhile little is buffered."""
    size = 64 << 20

    def flood(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 16):
            connection.send(bytes(1 << 16))

    origin.serve(flood)
    before = gateway.resident_bytes()
    with gateway.connect(receive_buffer=4096) as client:
        client.send(get("/x"))
        assert client.read_head().status == 200
        wait_until(lambda: origin.open_connections == 0, 6, what="the upstream is given up")
        assert gateway.resident_bytes() - before < 16 << 20
        assert len(client.expect_cut()) < size


@every_delivery
def test_R07_too_many_fields(gateway, origin, how):
    data = get("/x", *(f"X-{n}: v" for n in range(200)))
    expect_refusal(gateway, origin, data, 431, "header_too_large", closed=True, how=how)


@every_delivery
@pytest.mark.parametrize(
    "lines",
    [
        ["X-A: " + "a" * 65_536],
        ["Cookie: " + "c=d; " * 8_000],
        [f"X-{n}: {'a' * 1_000}" for n in range(60)],
        ["X" * 20_000 + ": a"],
    ],
    ids=["one field", "cookie", "many fields", "name"],
)
def test_R07_too_large_head(gateway, origin, lines, how):
    expect_refusal(gateway, origin, get("/x", *lines), 431, "header_too_large", closed=True, how=how)


def test_R07_head_within_the_limits_passes(gateway, origin):
    lines = [f"X-{n}: {'a' * 250}" for n in range(95)]
    assert gateway.request(get("/x", *lines)).status == 200
    assert sum(name.startswith("x-") and name[2:].isdigit() for name in origin.last.names()) == 95


def test_R08_known_length(gateway, origin):
    expect_refusal(gateway, origin, post("/x", b"x" * 1025), 413, "body_too_large", closed=True, method="POST")


def test_R08_at_once_before_any_body(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/x", "Content-Length: 1000000000", method="POST"))
        check_answer(client.read_response(), 413, "body_too_large", closed=True)
        client.expect_close()
    assert origin.received == b""


@pytest.mark.parametrize("how", ["whole", "in_pieces"])
def test_R08_chunked_at_the_byte(gateway, origin, how):
    with gateway.connect() as client:
        deliver(client, chunked("/x", *[b"x" * 256] * 5), how)
        check_answer(client.read_response(), 413, "body_too_large", closed=True)
        client.expect_close()
    wait_until(lambda: origin.open_connections == 0, what="the upstream is cancelled")
    assert origin.requests == []


def test_R08_exactly_the_limit_passes(gateway, origin):
    with gateway.connect() as client:
        assert client.request(post("/x", b"x" * 1024)).status == 200
        assert client.request(chunked("/x", *[b"x" * 256] * 4)).status == 200
        assert client.request(post("/large/x", b"x" * 300_000)).status == 200


def test_slow_but_steady_reader_is_served(gateway, origin):
    """send_timeout counts time without progress, not the whole time."""
    body = bytes(24 << 20)
    origin.serve(
        lambda c: (c.read_request(), c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
    )
    with gateway.connect(receive_buffer=65_536) as client:
        client.send(get("/x"))
        assert client.read_head().status == 200
        received, started = len(client.kept), time.monotonic()
        while received < len(body):
            part = client.receive(time.monotonic() + 5)
            assert part, "cut although it was read steadily"
            received += len(part)
            if time.monotonic() - started < 2.5:
                time.sleep(0.01)
        assert received == len(body)
    assert time.monotonic() - started > 1.5, "it took longer than send_timeout"
