"""An upstream that is down, slow, or closes in the middle; and what is tried again and what is not."""

import socket
import time

import pytest

from harness.origin import OK, Ended, then_closing
from harness.ports import take_port
from harness.raw import TruncatedAnswer, get, post
from harness.refusals import check_answer
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    client_max_body_size 0;
    location / { proxy_pass http://@origin@; proxy_read_timeout 1s; proxy_connect_timeout 1s; proxy_send_timeout 1s; }
    location /down/ { proxy_pass http://127.0.0.1:@nobody@; }
    location /full/ { proxy_pass http://127.0.0.1:@full@; proxy_connect_timeout 1s; }
}
"""


@pytest.fixture(scope="module")
def values():
    """`full`: a listener whose queue is full, so that connecting takes for ever."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    yield {"nobody": take_port(), "full": listener.getsockname()[1]}
    for one in [listener, *fillers]:
        one.close()


def log_line(gateway, status: int) -> dict:
    return gateway.wait_for_log_line(lambda line: line["status"] == status)


def test_connection_refused(gateway, origin):
    with gateway.connect() as client:
        check_answer(client.request(get("/down/x")), 502, "upstream_unavailable", closed=False)
        assert client.request(get("/x")).status == 200
    log_line(gateway, 502)


def test_connection_refused_with_a_body(gateway, origin):
    with gateway.connect() as client:
        response = client.request(post("/down/x", b"x" * 100_000))
        check_answer(response, 502, response.code, closed=response.says_close)


def test_connecting_takes_too_long(gateway, origin):
    started = time.monotonic()
    with gateway.connect() as client:
        response = client.request(get("/full/x"))
        assert response.status in (502, 504)
        check_answer(response, 504, "upstream_timeout", closed=False)
    assert 0.8 < time.monotonic() - started < 3


def test_no_answer_in_time(gateway, origin):
    origin.serve(lambda c: (c.read_request(), c.wait_for_end()))
    started = time.monotonic()
    with gateway.connect() as client:
        check_answer(client.request(get("/x")), 504, "upstream_timeout", closed=False)
        assert 0.8 < time.monotonic() - started < 3
        origin.serve(origin.default)
        assert client.request(get("/x")).status == 200
    log_line(gateway, 504)


def test_head_that_stops_halfway(gateway, origin):
    origin.serve(lambda c: (c.read_request(), c.send(b"HTTP/1.1 200 OK\r\nX-A:"), c.wait_for_end()))
    with gateway.connect() as client:
        check_answer(client.request(get("/x")), 504, "upstream_timeout", closed=False)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\n"])
@pytest.mark.parametrize("reset", [False, True])
def test_closed_before_the_head_is_complete(gateway, origin, answer, reset):
    def script(connection):
        connection.read_request()
        if answer:
            connection.send(answer)
        if reset:
            connection.reset()
        raise Ended

    origin.serve(script)
    with gateway.connect() as client:
        check_answer(client.request(get("/x")), 502, "upstream_closed", closed=False)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("reset", [False, True])
def test_closed_inside_the_body(gateway, origin, framing, reset):
    """The client sees that something is missing: its connection ends before the answer does."""

    def script(connection):
        connection.read_request()
        if framing == "length":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        else:
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        wait_until(lambda: seen, 2)
        if reset:
            connection.reset()
        raise Ended

    seen: list[bool] = []
    origin.serve(script)
    with gateway.connect() as client:
        client.send(get("/x"))
        assert client.read_head().status == 200
        seen.append(True)
        rest = client.expect_cut()
        assert b"0\r\n\r\n" not in rest and len(rest) <= 10
    gateway.wait_for_log_line(lambda line: line["status"] == 200 and line["path"] == "/x")


def test_closed_inside_the_body_before_the_client_reads(gateway, origin):
    origin.serve(then_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"))
    with gateway.connect() as client:
        client.send(get("/x"))
        with pytest.raises((TruncatedAnswer, ConnectionResetError)):
            if client.read_response().status == 502:
                raise TruncatedAnswer("a clean 502 is fine too")


def test_stall_inside_the_body(gateway, origin):
    origin.serve(
        lambda c: (c.read_request(), c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), c.wait_for_end())
    )
    with gateway.connect() as client:
        client.send(get("/x"))
        assert client.read_head().status == 200
        assert client.expect_cut() == b"hello"


def test_until_close_answer_is_complete_at_the_end(gateway, origin):
    origin.serve(then_closing(b"HTTP/1.1 200 OK\r\n\r\nhello"))
    with gateway.connect() as client:
        response = client.request(get("/x"))
        assert response.status == 200 and response.body == b"hello"


def test_until_close_answer_that_is_reset(gateway, origin):
    """RST is no end (RFC 9112 §8): the answer must not look whole."""

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        wait_until(lambda: seen, 2)
        connection.reset()
        raise Ended

    seen: list[bool] = []
    origin.serve(script)
    with gateway.connect() as client:
        client.send(get("/x"))
        head = client.read_head()
        assert head.status == 200
        seen.append(True)
        rest = client.expect_cut()
        assert head.get("transfer-encoding") == "chunked" and not rest.endswith(b"0\r\n\r\n")


def warm(gateway, origin) -> None:
    """Leaves one idle connection in the pool, which the origin ends at the next request without an answer."""
    assert gateway.request(get("/warm")).status == 200
    wait_until(lambda: origin.open_connections == 1)

    def end_reused_answer_new(connection):
        if connection.served:
            connection.kept = b""
            raise Ended
        connection.read_request()
        connection.send(OK)

    origin.serve(end_reused_answer_new)
    origin.forget()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"])
def test_idempotent_request_is_retried_on_a_stale_connection(gateway, origin, method):
    warm(gateway, origin)
    with gateway.connect() as client:
        client.send(get("/again", method=method))
        assert client.read_response(method).status == 200
    assert [seen.target for seen in origin.requests] == ["/again"]
    line = gateway.wait_for_log_line(lambda line: line["path"] == "/again" and line["method"] == method)
    assert line["upstream_tries"] == 2 and line["auth_reason"] == "-" and line["src"] == "upstream"


def test_GET_is_retried_once_only(gateway, origin):
    assert gateway.request(get("/warm")).status == 200
    attempts = []

    def never(connection):
        attempts.append(connection.number)
        connection.kept = b""
        raise Ended

    origin.serve(never)
    with gateway.connect() as client:
        check_answer(client.request(get("/x")), 502, "upstream_closed", closed=False)
    assert len(attempts) <= 2


def test_U08_POST_is_not_retried(gateway, origin):
    warm(gateway, origin)
    with gateway.connect() as client:
        response = client.request(post("/order", b"one pizza"))
        assert response.status == 502 and response.code == "upstream_closed"
    time.sleep(0.1)
    assert origin.requests == [] and origin.received.count(b"POST /order") == 1


def test_U08_POST_without_body_is_not_retried(gateway, origin):
    warm(gateway, origin)
    with gateway.connect() as client:
        assert client.request(get("/order", "Content-Length: 0", method="POST")).status == 502
    assert origin.received.count(b"POST /order") == 1


def test_U08_connection_closed_before_any_byte(gateway, origin):
    """The origin had closed its idle connection before the request came: nothing was sent, so even POST may go again."""
    assert gateway.request(get("/warm")).status == 200
    wait_until(lambda: origin.open_connections == 1)
    origin.close_connections()
    wait_until(lambda: origin.open_connections == 0)
    time.sleep(0.05)
    with gateway.connect() as client:
        assert client.request(post("/order", b"one pizza")).status == 200
    assert origin.last.body == b"one pizza"


def test_client_that_vanishes_ends_the_upstream_request(gateway, origin):
    def slow(connection):
        connection.read_request()
        connection.wait_for_end()
        raise Ended

    origin.serve(slow)
    client = gateway.connect()
    client.send(get("/x"))
    origin.wait_for(1)
    client.reset()
    wait_until(lambda: origin.open_connections == 0, 0.9, what="the upstream request is given up at once")


def test_origin_that_comes_back(start):
    port = take_port()
    gateway = start(CONFIGURATION, origin=f"127.0.0.1:{port}", nobody=port, full=port)
    assert gateway.request(get("/x")).status == 502
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    with gateway.connect() as client:
        client.send(get("/x"))
        accepted, _ = listener.accept()
        accepted.recv(10_000)
        accepted.sendall(OK)
        assert client.read_response().status == 200
        accepted.close()
    listener.close()
