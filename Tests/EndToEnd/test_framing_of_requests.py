"""Content-Length and Transfer-Encoding: what could be read in two ways is refused, and no byte of it goes on."""

import pytest

from harness.raw import get, post
from harness.refusals import DELIVERIES, expect_refusal

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
client_header_timeout 3s;
client_body_timeout 3s;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
}
"""

SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n"
every_delivery = pytest.mark.parametrize("how", DELIVERIES)


def request(*fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST /x HTTP/%s\r\nHost: localhost\r\n%s\r\n%s" % (version, b"".join(f + b"\r\n" for f in fields), body)


@every_delivery
@pytest.mark.parametrize(
    "fields",
    [
        (b"Content-Length: 6", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 6"),
        (b"Content-Length: 0", b"Transfer-Encoding: chunked"),
        (b"transfer-encoding: CHUNKED", b"content-length: 6"),
    ],
)
def test_H01_length_and_coding_together(gateway, origin, fields, how):
    data = request(*fields, body=b"0\r\n\r\nG" + SMUGGLED)
    expect_refusal(gateway, origin, data, 400, "cl_and_te", closed=True, how=how)


@every_delivery
@pytest.mark.parametrize(
    ("coding", "status", "code"),
    [
        (b"gzip, chunked", 501, "transfer_encoding_unsupported"),
        (b"chunked, chunked", 400, "transfer_encoding"),
        (b"chunked, gzip", 400, "transfer_encoding"),
        (b"chunked;q=1", 400, "transfer_encoding"),
        (b"identity", 400, "transfer_encoding"),
        (b"xchunked", 400, "transfer_encoding"),
        (b"gzip", 400, "transfer_encoding"),
        (b"", 400, "transfer_encoding"),
        (b'"chunked"', 400, "transfer_encoding"),
    ],
)
def test_H02_codings(gateway, origin, coding, status, code, how):
    data = request(b"Transfer-Encoding: " + coding, body=b"0\r\n\r\n" + SMUGGLED)
    expect_refusal(gateway, origin, data, status, code, closed=True, how=how)


@every_delivery
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ((b"Transfer-Encoding : chunked",), "header_invalid"),
        ((b"\tTransfer-Encoding: chunked",), "header_invalid"),
        ((b"Transfer-Encoding: chunked\x0b",), "header_invalid"),
        ((b"Transfer-Encoding: \x0bchunked",), "header_invalid"),
        ((b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), "transfer_encoding"),
        ((b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"), "transfer_encoding"),
        ((b"Transfer-Encoding:", b"Transfer-Encoding: chunked"), "transfer_encoding"),
    ],
)
def test_H03_disguised_coding(gateway, origin, fields, code, how):
    data = request(*fields, body=b"0\r\n\r\n" + SMUGGLED)
    expect_refusal(gateway, origin, data, 400, code, closed=True, how=how)


def test_H03_underscore_name_is_dropped(gateway, origin):
    response = gateway.request(post("/x", b"hello", "Transfer_Encoding: chunked"))
    assert response.status == 200
    assert origin.last.body == b"hello"
    assert "transfer_encoding" not in origin.last.names()


@every_delivery
def test_H04_coding_in_http_1_0(gateway, origin, how):
    data = request(b"Transfer-Encoding: chunked", b"Connection: keep-alive", body=b"0\r\n\r\n", version=b"1.0")
    expect_refusal(gateway, origin, data, 400, "transfer_encoding", closed=True, how=how)


@every_delivery
@pytest.mark.parametrize(
    "fields",
    [
        (b"Content-Length: 5", b"Content-Length: 5"),
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: 5, 5",),
        (b"Content-Length: +5",),
        (b"Content-Length: -1",),
        (b"Content-Length: 0x5",),
        (b"Content-Length: 5 5",),
        (b"Content-Length:",),
        (b"Content-Length: \xd9\xa5",),
        (b"Content-Length: 18446744073709551616",),
        (b"Content-Length: 9223372036854775808",),
        (b"Content-Length: 5\t6",),
        (b"Content-Length: 5.0",),
        (b"Content-Length: 5;",),
        (b"Content-Length: " + b"0" * 10_000 + b"5",),
    ],
)
def test_H05_content_length(gateway, origin, fields, how):
    expect_refusal(gateway, origin, request(*fields, body=b"hello"), 400, "content_length", closed=True, how=how)


def test_plain_lengths_and_codings_pass(gateway, origin):
    with gateway.connect() as client:
        assert client.request(post("/a", b"hello")).status == 200
        assert client.request(get("/b")).status == 200
        client.send(request(b"Transfer-Encoding: Chunked", body=b"5\r\nhello\r\n0\r\n\r\n"))
        assert client.read_response().status == 200
    assert [seen.body for seen in origin.wait_for(3)] == [b"hello", b"", b"hello"]
