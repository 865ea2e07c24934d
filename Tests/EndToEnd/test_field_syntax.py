"""Names, values and line ends of header fields (RFC 9112 §2.2, §5; RFC 9110 §5)."""

import pytest

from harness.raw import get
from harness.refusals import DELIVERIES, expect_refusal

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
client_header_timeout 3s;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
}
"""

every_delivery = pytest.mark.parametrize("how", DELIVERIES)


def with_lines(lines: bytes) -> bytes:
    """A request whose field lines after Host are exactly these bytes."""
    return b"GET /x HTTP/1.1\r\nHost: localhost\r\n" + lines + b"\r\n"


def id_of(data) -> str:
    return repr(data)[:40]


@every_delivery
@pytest.mark.parametrize("lines", [b"X-A: b\r\n c\r\n", b"X-A: b\r\n\tc\r\n", b"X-A: b\r\n \r\n"], ids=id_of)
def test_H06_folded_line(gateway, origin, lines, how):
    expect_refusal(gateway, origin, with_lines(lines), 400, "header_invalid", closed=True, how=how)


@every_delivery
def test_H06_fold_before_the_first_field(gateway, origin, how):
    data = b"GET /x HTTP/1.1\r\n Host: localhost\r\n\r\n"
    expect_refusal(gateway, origin, data, 400, "header_invalid", closed=True, how=how)


@every_delivery
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET /x HTTP/1.1\nHost: localhost\r\n\r\n", "header_invalid"),
        (b"GET /x HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n", "header_invalid"),
        (b"GET /x HTTP/1.1\r\nHost: localhost\r\nX-A: b\n\r\n", "header_invalid"),
        (b"GET /x HTTP/1.1\r\nHost: localhost\r\n\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n", "header_invalid"),
        (b"GET /x HTTP/1.1\r\nHost: localhost\r\nX-A: b\rX-B: c\r\n\r\n", "header_invalid"),
        (b"GET /x HTTP/1.1\rHost: localhost\r\n\r\n", "header_invalid"),
        (b"GET /x HTTP/1.1\r\r\nHost: localhost\r\n\r\n", "header_invalid"),
        (b"GET /x HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\r\n\r\n", "header_invalid"),
    ],
    ids=id_of,
)
def test_H07_bare_line_ends_in_head(gateway, origin, data, code, how):
    expect_refusal(gateway, origin, data, 400, code, closed=True, how=how)


@every_delivery
@pytest.mark.parametrize("byte", [0, 1, 7, 8, 0x0B, 0x0C, 0x0E, 0x1B, 0x1F, 0x7F])
def test_H08_control_bytes_in_value(gateway, origin, byte, how):
    expect_refusal(gateway, origin, with_lines(b"X-A: a%cb\r\n" % byte), 400, "header_invalid", closed=True, how=how)


@pytest.mark.parametrize("byte", [*range(0x00, 0x21), *b'"(),/;<=>?@[\\]{}', 0x7F, 0x80, 0xFF])
def test_H08_bytes_in_name(gateway, origin, byte):
    data = with_lines(b"X%cA: b\r\n" % byte)
    expect_refusal(gateway, origin, data, 400, "header_invalid", closed=True)


def test_H08_tab_and_high_bytes_pass_unchanged(gateway, origin):
    value = b"a\tb \x80\xc3\xa9\xff c"
    with gateway.connect() as client:
        assert client.request(with_lines(b"X-A: " + value + b"\r\n")).status == 200
    assert b"X-A: " + value + b"\r\n" in origin.last.head


@every_delivery
@pytest.mark.parametrize(
    "lines",
    [
        b": x\r\n",
        b" : x\r\n",
        b"X A: b\r\n",
        b"X-A : b\r\n",
        b"X(: b\r\n",
        b"no colon\r\n",
        b"nocolon\r\n",
        b"X-\xc3\xa9: b\r\n",
        b"X-A\x00: b\r\n",
    ],
    ids=id_of,
)
def test_H09_malformed_names(gateway, origin, lines, how):
    expect_refusal(gateway, origin, with_lines(lines), 400, "header_invalid", closed=True, how=how)


def test_H22_framing_fields_and_host_survive_connection(gateway, origin):
    with gateway.connect() as client:
        client.send(
            b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nX-Hop: 1\r\nX-Stay: 2\r\n"
            b"Connection: keep-alive, Content-Length, Transfer-Encoding, Host, X-Hop\r\n\r\nhello"
        )
        assert client.read_response().status == 200
        assert client.request(get("/after")).status == 200
    first, second = origin.wait_for(2)
    assert first.body == b"hello" and first.get("host") and first.get("content-length") == "5"
    assert "x-hop" not in first.names() and first.get("x-stay") == "2"
    assert second.target == "/after"


def test_H22_close_wins_over_keep_alive(gateway, origin):
    with gateway.connect() as client:
        response = client.request(get("/x", "Connection: close, keep-alive, Content-Length, Transfer-Encoding"))
        assert response.status == 200 and response.says_close
        client.expect_close()


def test_H22_chunked_body_named_in_connection(gateway, origin):
    with gateway.connect() as client:
        client.send(
            b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: Transfer-Encoding\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        assert client.read_response().status == 200
        assert client.request(get("/after")).status == 200
    assert [seen.body for seen in origin.wait_for(2)] == [b"hello", b""]
