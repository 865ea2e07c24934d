"""The chunked coding of request bodies (RFC 9112 §7): strict, decoded, and never left half-forwarded as whole."""

import pytest

from harness.origin import OK, Ended
from harness.raw import chunked, get
from harness.refusals import DELIVERIES, check_answer, deliver
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
client_header_timeout 3s;
client_body_timeout 1s;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
}
"""

HEAD = b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
every_delivery = pytest.mark.parametrize("how", DELIVERIES)


def id_of(data) -> str:
    return repr(data)[:40]


def expect_body_refusal(gateway, origin, body: bytes, how: str = "whole") -> None:
    """400 and close; the origin never gets a complete message, and its connection ends."""
    before = gateway.rejected("chunk_invalid")
    with gateway.connect() as client:
        deliver(client, HEAD + body, how)
        check_answer(client.read_response(), 400, "chunk_invalid", closed=True)
        client.expect_close()
    assert all(seen.target == "/good" for seen in origin.requests), "a complete request has come to the origin"
    assert b"/admin" not in origin.received
    wait_until(lambda: gateway.rejected("chunk_invalid") == before + 1, 2)
    gateway.wait_for_log_line(lambda line: "chunk_invalid" in (line.get("auth_reason"), line.get("parse_reason")))


@every_delivery
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"0x10",
        b"+5",
        b" 5",
        b"5 ",
        b"\t5",
        b"1" * 17,
        b"fffffffffffffffff",
        b"8000000000000000",
        b"ffffffffffffffff",
        b"-1",
        b"5_0",
        b"g",
        b"5,",
        b"0000000000000000000005",
    ],
    ids=id_of,
)
def test_H10_chunk_size(gateway, origin, line, how):
    expect_body_refusal(gateway, origin, line + b"\r\nhello\r\n0\r\n\r\n", how)


@every_delivery
@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r\n0\n\r\n",
        b"5\rhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX-A: b\n\r\n",
        b"5;a=b\nhello\r\n0\r\n\r\n",
    ],
    ids=id_of,
)
def test_H07_bare_line_ends_in_chunks(gateway, origin, body, how):
    expect_body_refusal(gateway, origin, body, how)


@pytest.mark.parametrize("extension", [b";a", b";a=b", b';a="b c"', b";a=b;c=d", b';a="\\""', b";" + b"a" * 200])
def test_H11_extensions_are_parsed_and_dropped(gateway, origin, extension):
    with gateway.connect() as client:
        client.send(HEAD + b"5" + extension + b"\r\nhello\r\n0" + extension + b"\r\n\r\n")
        assert client.read_response().status == 200
        assert client.request(get("/after")).status == 200
    assert origin.requests[0].body == b"hello"
    assert b";" not in origin.bytes_of(origin.requests[0].connection).split(b"\r\n\r\n", 1)[1].split(b"GET")[0]


@every_delivery
@pytest.mark.parametrize(
    "line",
    [
        b';a="b',
        b';a="\x00"',
        b';a="b\nc"',
        b";a=\x01",
        b";=b",
        b";" + b"a" * 300,
        b';a=b"c"',
        b";a==b",
        b";a=b\x7f",
    ],
    ids=id_of,
)
def test_H11_bad_extensions(gateway, origin, line, how):
    expect_body_refusal(gateway, origin, b"5" + line + b"\r\nhello\r\n0\r\n\r\n", how)


def test_H11_budget_of_extensions_in_one_body(gateway, origin):
    chunk = b"1;" + b"a" * 200 + b"\r\nx\r\n"
    expect_body_refusal(gateway, origin, chunk * 40 + b"0\r\n\r\n")


@every_delivery
@pytest.mark.parametrize(
    "body", [b"5\r\nhelloX\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhello\rX0\r\n\r\n"], ids=id_of
)
def test_H12_data_without_line_end(gateway, origin, body, how):
    expect_body_refusal(gateway, origin, body, how)


@pytest.mark.parametrize("body", [b"5\r\nhello\r\n", b"5\r\nhel", b"5\r\nhello\r\n0\r\n", b"5"], ids=id_of)
def test_H12_client_closes_early(gateway, origin, body):
    with gateway.connect() as client:
        client.send(HEAD + body)
        wait_until(lambda: b"POST /x" in origin.received, what="the head comes to the origin")
        client.close()
    wait_until(lambda: origin.open_connections == 0, what="the upstream connection ends")
    assert origin.requests == []
    assert not origin.received.endswith(b"0\r\n\r\n")


def test_H12_last_chunk_never_comes(gateway, origin):
    with gateway.connect() as client:
        client.send(HEAD + b"5\r\nhello\r\n")
        check_answer(client.read_response(), 408, "request_timeout", closed=True)
        client.expect_close()
    wait_until(lambda: origin.open_connections == 0, what="the upstream connection ends")
    assert origin.requests == []


def test_H12_bad_chunk_after_the_answer_began(gateway, origin):
    """The head of the answer is out, so only cutting the connection tells the client."""

    def answer_at_once(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        connection.wait_for_end()
        raise Ended

    origin.serve(answer_at_once)
    with gateway.connect() as client:
        client.send(HEAD + b"5\r\nhello\r\n")
        assert client.read_head().status == 200
        client.send(b"zz\r\n")
        assert len(client.expect_cut()) <= 4


@pytest.mark.parametrize("name", ["Content-Length", "Authorization", "X-Auth-Subject", "Host", "X-Plain"])
def test_H13_trailers_are_dropped(gateway, origin, name):
    with gateway.connect() as client:
        assert client.request(chunked("/x", b"hello", trailers=f"{name}: 77abc\r\n".encode())).status == 200
        assert client.request(get("/after")).status == 200
    assert origin.wait_for(2)[0].body == b"hello"
    assert b"77abc" not in origin.received


def test_H13_malformed_trailers(gateway, origin):
    for trailer in (b"no colon\r\n", b": x\r\n", b"X A: b\r\n", b"X-A: b\r\n c\r\n", b"X-A: \x00\r\n"):
        origin.reset()
        expect_body_refusal(gateway, origin, b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n")


def test_chunks_of_every_size_arrive_as_one_body(gateway, origin):
    body = bytes(range(256)) * 40
    sizes = [1, 2, 3, 255, 256, 4095, 4096]
    pieces, start = [], 0
    while start < len(body):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[start : start + size])
        start += size
    origin.serve(lambda connection: (connection.read_request(), connection.send(OK)))
    with gateway.connect() as client:
        client.send_in_pieces(chunked("/x", *pieces), 777)
        assert client.read_response().status == 200
    assert origin.last.body == body
