"""Method, target, version and host of a request (RFC 9112 §3)."""

import pytest

from harness.raw import get
from harness.refusals import DELIVERIES, check_answer, deliver, expect_only_good_at, expect_refusal

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
client_header_timeout 3s;
client_header_line_size 4k;
client_header_size 8k;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
}
"""

every_delivery = pytest.mark.parametrize("how", DELIVERIES)


def id_of(data) -> str:
    return repr(data)[:50]


@every_delivery
@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (b"GET /x HTTP/1.2", 505, "version_unsupported"),
        (b"GET /x HTTP/2.0", 505, "version_unsupported"),
        (b"GET /x HTTP/3.0", 505, "version_unsupported"),
        (b"GET /x http/1.1", 400, "request_line"),
        (b"GET /x HTTP/1.1 x", 400, "request_line"),
        (b"GET /x HTTP/1.1 ", 400, "request_line"),
        (b"GET /x HTTP/11", 400, "request_line"),
        (b"GET /x HTTP/1.10", 400, "request_line"),
        (b"GET /x HTTP/01.1", 400, "request_line"),
        (b"GET /x HTTP/1,1", 400, "request_line"),
        (b"GET /x", 400, "request_line"),
        (b"GET", 400, "request_line"),
        (b"GET /x HTTPS/1.1", 400, "request_line"),
    ],
    ids=id_of,
)
def test_H18_version(gateway, origin, line, status, code, how):
    data = line + b"\r\nHost: localhost\r\n\r\n"
    expect_refusal(gateway, origin, data, status, code, closed=True, how=how)


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/0.0"])
def test_H18_version_zero(gateway, origin, version):
    with gateway.connect() as client:
        client.send(b"GET /x " + version + b"\r\nHost: localhost\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.code) in {(400, "request_line"), (505, "version_unsupported")}
        client.expect_close()
    assert origin.received == b""


def test_H19_one_empty_line_before_a_request(gateway, origin):
    with gateway.connect() as client:
        assert client.request(b"\r\n" + get("/x")).status == 200
        assert client.request(b"\r\n" + get("/x")).status == 200


@every_delivery
@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        (b"\r\n\r\n", "request_line"),
        (b"\r\n\r\n\r\n\r\n", "request_line"),
        (b"\n", "header_invalid"),
        (b"\r\n\n", "request_line"),
        (b" \r\n", "request_line"),
        (b"\r", "header_invalid"),
    ],
    ids=id_of,
)
def test_H19_more_empty_lines(gateway, origin, prefix, code, how):
    expect_refusal(gateway, origin, prefix + get("/x"), 400, code, closed=True, how=how)


def test_H20_upgrade_to_h2c_is_stripped(gateway, origin):
    with gateway.connect() as client:
        response = client.request(
            get("/x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
        )
        assert response.status == 200 and response.get("upgrade") is None
        assert client.request(get("/after")).status == 200
    assert not {"upgrade", "http2-settings"} & set(origin.wait_for(2)[0].names())
    assert b"upgrade" not in origin.requests[0].head.lower()


@every_delivery
@pytest.mark.parametrize(
    ("method", "status", "code"),
    [
        (b"G(T", 400, "request_line"),
        (b"G\x00T", 400, "request_line"),
        (b"G\xc3\x89T", 400, "request_line"),
        (b"", 400, "request_line"),
        (b"GET:", 400, "request_line"),
        (b"\tGET", 400, "request_line"),
        (b'"GET"', 400, "request_line"),
    ],
    ids=id_of,
)
def test_H23_method_not_token(gateway, origin, method, status, code, how):
    data = method + b" /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
    expect_refusal(gateway, origin, data, status, code, closed=True, how=how)


def test_H23_very_long_method(gateway, origin):
    data = b"A" * 3_000 + b" /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with gateway.connect() as client:
        deliver(client, data, "whole")
        response = client.read_response()
        assert (response.status, response.code) in {(400, "request_line"), (501, "method_unsupported")}
        client.expect_close()
    assert origin.received == b""


@every_delivery
def test_H23_preface_of_http_2(gateway, origin, how):
    origin.reset()
    with gateway.connect() as client:
        deliver(client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", how)
        response = client.read_response("PRI")
        assert (response.status, response.code) in {
            (400, "request_line"),
            (501, "method_unsupported"),
            (505, "version_unsupported"),
        }
        client.expect_close()
    expect_only_good_at(origin)


def test_P08_absolute_form_replaces_host(gateway, origin):
    with gateway.connect() as client:
        client.send(b"GET http://api.example.com/a?b HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert client.read_response().status == 200
        client.send(b"GET http://api.example.com HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
        assert client.read_response().status == 200
        client.send(b"GET HTTP://api.example.com?q=1 HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
        assert client.read_response().status == 200
    first, second, third = origin.wait_for(3)
    assert (first.target, second.target, third.target) == ("/a?b", "/", "/?q=1")
    assert first.get("x-forwarded-host") == "api.example.com"
    assert b"other.example" not in first.head


@pytest.mark.parametrize(
    "target",
    [
        b"http://user@api.example.com/",
        b"http:///x",
        b"http://",
        b"http://a b/",
        b"ftp://api.example.com/x",
        b"api.example.com:80",
        b"x",
        b"http:x",
        b"http://api.example.com:99999/",
        b"http://a,b/",
    ],
    ids=id_of,
)
def test_P08_bad_absolute_form(gateway, origin, target):
    with gateway.connect() as client:
        client.send(b"GET " + target + b" HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
        response = client.read_response()
        assert response.status == 400
        assert response.code in {"target_invalid", "host_invalid", "request_line"}
        client.expect_close()
    assert origin.received == b""


@pytest.mark.parametrize("line", [b"TRACE /x HTTP/1.1", b"CONNECT example.com:443 HTTP/1.1"])
def test_P08_trace_and_connect(gateway, origin, line):
    method = line.split(b" ")[0].decode()
    with gateway.connect() as client:
        client.send(line + b"\r\nHost: example.com:443\r\n\r\n")
        response = client.read_response()
        assert response.status == 405 and response.code == "method_not_allowed"
        assert "GET" in response.get("allow") and method not in response.get("allow")
    assert origin.received == b""


def test_P08_options_asterisk(gateway, origin):
    with gateway.connect() as client:
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.read_response("OPTIONS").status == 200
    assert origin.last.line == "OPTIONS * HTTP/1.1"


@every_delivery
def test_P08_asterisk_with_another_method(gateway, origin, how):
    origin.reset()
    with gateway.connect() as client:
        deliver(client, b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", how)
        response = client.read_response()
        assert response.status == 400 and response.code in {"target_invalid", "request_line", "path_invalid"}
    expect_only_good_at(origin)


@every_delivery
@pytest.mark.parametrize(
    "hosts",
    [
        (),
        (b"a", b"b"),
        (b"a", b"a"),
        (b"",),
        (b"user@a",),
        (b"a b",),
        (b"a,b",),
        (b"a:x",),
        (b"a:99999",),
        (b"a:80:80",),
        (b"a/b",),
        (b"[::1",),
        (b"[::g]",),
        (b"a\\b",),
        (b"a?b",),
        (b"a#b",),
        (b":80",),
        (b"a:-1",),
    ],
    ids=id_of,
)
def test_P09_host(gateway, origin, hosts, how):
    data = b"GET /x HTTP/1.1\r\n" + b"".join(b"Host: " + host + b"\r\n" for host in hosts) + b"\r\n"
    expect_refusal(gateway, origin, data, 400, "host_invalid", closed=True, how=how)


@pytest.mark.parametrize("host", ["under_score.example", "[::1]:8080", "[::1]", "example.com:", "127.0.0.1:1", "A.B"])
def test_P09_valid_hosts(gateway, origin, host):
    assert gateway.request(get("/x", host=host)).status == 200


def test_P09_no_host_in_http_1_0(gateway, origin):
    with gateway.connect() as client:
        client.send(b"GET /x HTTP/1.0\r\n\r\n")
        response = client.read_response()
        assert response.status == 200
        client.expect_close()
    assert origin.last.get("host") == origin.address


@every_delivery
@pytest.mark.parametrize(
    "target",
    [
        b"/x#frag",
        b"/x y",
        b"/x\ty",
        b"/x\x01",
        b"/x\x7f",
        b"/x\x80",
        b"/\xc3\xa9",
        b"/x?a\x00",
        b"/x?a#b",
        b"/x\x0b",
    ],
    ids=id_of,
)
def test_P10_bytes_in_target(gateway, origin, target, how):
    origin.reset()
    with gateway.connect() as client:
        deliver(client, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", how)
        response = client.read_response()
        assert response.status == 400 and response.code in {"target_invalid", "request_line"}
        check_answer(response, 400, response.code, closed=True)
        client.expect_close()
    expect_only_good_at(origin)


@every_delivery
def test_P11_long_request_line(gateway, origin, how):
    data = get("/" + "a" * 5_000)
    expect_refusal(gateway, origin, data, 414, "uri_too_long", closed=True, how=how)


def test_P11_line_up_to_the_limit_passes(gateway, origin):
    path = "/" + "a" * 4_000
    assert gateway.request(get(path)).status == 200
    assert origin.last.target == path


def test_request_byte_by_byte(gateway, origin):
    with gateway.connect() as client:
        client.send_in_pieces(get("/x?y=1", "X-A: b"))
        assert client.read_response().status == 200
    assert origin.last.target == "/x?y=1"
