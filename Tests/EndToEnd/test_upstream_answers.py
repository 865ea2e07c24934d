"""Answers of an upstream that break HTTP: refused, never passed on, and never mixed up with another answer."""

import time

import pytest

from harness.origin import OK, Ended, answering
from harness.raw import MalformedAnswer, TruncatedAnswer, get
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
    location / { proxy_pass http://@origin@; proxy_read_timeout 2s; }
}
"""


def id_of(data) -> str:
    return repr(data)[:60]


def expect_invalid(gateway, origin, answer: bytes) -> None:
    """502 `upstream_invalid`; the upstream connection is destroyed; the client's lives on."""

    def script(connection):
        connection.read_request()
        connection.send(answer)
        connection.wait_for_end()
        raise Ended

    origin.serve(script)
    before = gateway.rejected("upstream_invalid")
    with gateway.connect() as client:
        check_answer(client.request(get("/x")), 502, "upstream_invalid", closed=False)
        wait_until(lambda: origin.open_connections == 0, what="the upstream connection is destroyed")
        origin.serve(origin.default)
        assert client.request(get("/good")).status == 200
    assert gateway.rejected("upstream_invalid") == before + 1
    gateway.wait_for_log_line(lambda line: line["status"] == 502)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"\x15\x03\x01\x00\x02\x02\x16 not http at all\r\n\r\n",
        b"<html>hello</html>\r\n\r\n",
    ],
    ids=id_of,
)
def test_U01_malformed_head(gateway, origin, answer):
    expect_invalid(gateway, origin, answer)


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nok\r\n0\r\n\r\n",
        b"2\nok\r\n0\r\n\r\n",
        b"2\r\nokX\r\n0\r\n\r\n",
        b"-2\r\nok\r\n0\r\n\r\n",
        b"2 \r\nok\r\n0\r\n\r\n",
        b"11111111111111111\r\nok\r\n0\r\n\r\n",
        b"2\r\nok\r\n0\r\nbad trailer\r\n\r\n",
        b'2;a="b\r\nok\r\n0\r\n\r\n',
    ],
    ids=id_of,
)
@pytest.mark.parametrize("together", [True, False])
def test_U01_malformed_chunks(gateway, origin, body, together):
    """Whether the head had gone out already or not: 502, or an answer that is visibly cut."""

    def script(connection):
        connection.read_request()
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        if together:
            connection.send(head + body)
        else:
            connection.send(head + b"3\r\nabc\r\n")
            wait_until(lambda: read, 2)
            connection.send(body)
        connection.wait_for_end()
        raise Ended

    read: list[bool] = []
    origin.serve(script)
    with gateway.connect() as client:
        client.send(get("/x"))
        try:
            head = client.read_head()
            read.append(True)
            if head.status == 502:
                return
            with pytest.raises((TruncatedAnswer, MalformedAnswer, ConnectionResetError)):
                client.read_chunks(time.monotonic() + 3)
        except (TruncatedAnswer, ConnectionResetError):
            pass
    wait_until(lambda: origin.open_connections == 0, what="the upstream connection is destroyed")


@pytest.mark.parametrize("target", ["/x%0d%0aSet-Cookie:%20a=b", "/x?a=%0d%0aX-A:%20b"])
def test_U02_no_answer_is_split(gateway, origin, target):
    response = gateway.request(get(target))
    assert response.get("set-cookie") is None and response.get("x-a") is None


def test_U03_extra_bytes_after_an_answer(gateway, origin):
    """What follows a complete answer on a pooled connection belongs to nobody."""

    def poison(connection):
        connection.read_request()
        connection.send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        connection.wait_for_end()
        raise Ended

    origin.serve(poison)
    with gateway.connect() as client:
        assert client.request(get("/x")).body == b"ok"
        wait_until(lambda: origin.open_connections == 0, what="the poisoned connection is destroyed")
        origin.serve(origin.default)
        for _ in range(3):
            assert client.request(get("/y")).body == b"ok"


def test_U03_extra_bytes_on_an_idle_connection(gateway, origin):
    def late_poison(connection):
        connection.read_request()
        connection.send(OK)
        time.sleep(0.1)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        connection.wait_for_end()
        raise Ended

    origin.serve(late_poison)
    with gateway.connect() as client:
        assert client.request(get("/x")).body == b"ok"
        wait_until(lambda: origin.open_connections == 0, what="the poisoned connection is destroyed")
        origin.serve(origin.default)
        assert client.request(get("/y")).body == b"ok"


def test_U04_some_interim_responses_pass(gateway, origin):
    origin.serve(answering(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 8 + OK))
    with gateway.connect() as client:
        response = client.request(get("/x"))
        assert response.status == 200 and response.body == b"ok"
        assert all(one.status == 103 for one in response.interim)


def test_U04_flood_of_interim_responses(gateway, origin):
    origin.serve(lambda c: (c.read_request(), c.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100 + OK), c.wait_for_end()))
    with gateway.connect() as client:
        client.send(get("/x"))
        response = client.read_response()
        assert response.status == 502 and response.code == "upstream_invalid"
        assert len(response.interim) <= 8
    wait_until(lambda: origin.open_connections == 0, what="the upstream connection is destroyed")


def test_U04_unasked_101(gateway, origin):
    expect_invalid(gateway, origin, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\nhello"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"),
    ],
)
def test_U04_body_where_none_may_be(gateway, origin, method, answer):
    def script(connection):
        connection.read_request()
        connection.send(answer)
        connection.wait_for_end()
        raise Ended

    origin.serve(script)
    with gateway.connect() as client:
        client.send(get("/x", method=method))
        assert client.read_response(method).status == int(answer.split(b" ")[1])
        client.expect_quiet(0.1)
        wait_until(lambda: origin.open_connections == 0, what="the upstream connection is destroyed")
        origin.serve(origin.default)
        assert client.request(get("/y")).body == b"ok"


@pytest.mark.parametrize(
    "lines",
    [
        b"X-A: " + b"a" * 70_000 + b"\r\n",
        b"".join(b"X-%d: v\r\n" % n for n in range(250)),
        b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1_000) for n in range(100)),
    ],
    ids=["one field", "many", "large"],
)
def test_U05_header_bomb(gateway, origin, lines):
    expect_invalid(gateway, origin, b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\nok")


def test_U05_endless_head(gateway, origin):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nX-A: ")
        while True:
            connection.send(b"a" * 10_000)

    origin.serve(script)
    with gateway.connect() as client:
        check_answer(client.request(get("/x")), 502, "upstream_invalid", closed=False)


def test_U05_large_but_allowed_head_passes(gateway, origin):
    lines = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 250) for n in range(150))
    origin.serve(answering(b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\nok"))
    response = gateway.request(get("/x"))
    assert response.status == 200 and response.get("x-149") == "a" * 250


def test_U07_gateway_error_of_upstream_is_stripped(gateway, origin):
    origin.serve(
        answering(
            b"HTTP/1.1 401 Unauthorized\r\nGateway-Error: token_missing\r\nGATEWAY-ERROR: x\r\nWWW-Authenticate: Basic\r\n"
            b"X-Auth-Subject: shown\r\nContent-Length: 2\r\n\r\nok"
        )
    )
    response = gateway.request(get("/x"))
    assert response.status == 401 and response.all("gateway-error") == []
    assert response.get("www-authenticate") == "Basic" and response.get("x-auth-subject") == "shown"


def test_answers_byte_by_byte(gateway, origin):
    def script(connection):
        connection.read_request()
        connection.send_in_pieces(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )

    origin.serve(script)
    with gateway.connect() as client:
        for _ in range(2):
            response = client.request(get("/x"))
            assert response.status == 200 and response.body == b"hello"
