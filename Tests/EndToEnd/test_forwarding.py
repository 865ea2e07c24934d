"""What goes on to the upstream and what comes back: framing, hop-by-hop fields, forwarded fields (rows A10, A18), Host."""

import re

import pytest

from harness.origin import OK, answering, then_closing
from harness.raw import chunked, get, post

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
    location /with-uri/ { proxy_pass http://@origin@/base/; }
    location /no-slash { proxy_pass http://@origin@/other; }
    location = /exact { proxy_pass http://@origin@/replaced; }
    location /root/ { proxy_pass http://@origin@/; }
    location /fields/ {
        proxy_pass http://@origin@;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Method "$request_method $uri?$args";
        proxy_set_header X-Id $request_id;
        proxy_set_header X-Agent $http_user_agent;
        proxy_set_header Accept-Encoding "";
        proxy_set_header X-Fixed "a b";
    }
    location /named/ { proxy_pass http://group; }
}
upstream group { server @origin@; }
"""


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "M-SEARCH"])
def test_method_and_target_as_they_came(gateway, origin, method):
    target = "/a/b%20c?d=e&f=%2f/../g"
    assert gateway.request(get(target, method=method)).status == 200
    assert origin.last.line == f"{method} {target} HTTP/1.1"


def test_fields_keep_order_case_and_value(gateway, origin):
    lines = ["X-First: 1", "aCCept: */*", "X-Empty:", "Cookie: a=b; c=d", "X-Twice: 1", "X-Twice: 2", "X-Last: a  b"]
    assert gateway.request(get("/x", *lines)).status == 200
    seen = [f"{name}: {value}".rstrip() for name, value in origin.last.fields]
    assert [line for line in seen if line in lines or line == "X-Empty:"] == lines


@pytest.mark.parametrize("size", [0, 1, 4096, 16_384, 70_000, 1_000_000])
def test_body_of_known_length(gateway, origin, size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert gateway.request(post("/x", body)).status == 200
    assert origin.last.body == body
    assert origin.last.get("content-length") == str(size) and origin.last.get("transfer-encoding") is None


def test_chunked_body_stays_chunked(gateway, origin):
    assert gateway.request(chunked("/x", b"hello, ", b"world")).status == 200
    assert origin.last.body == b"hello, world"
    assert origin.last.get("transfer-encoding") == "chunked" and origin.last.get("content-length") is None


def test_request_without_body_has_no_framing(gateway, origin):
    assert gateway.request(get("/x")).status == 200
    assert not {"content-length", "transfer-encoding"} & set(origin.last.names())


@pytest.mark.parametrize("size", [0, 1, 4096, 16_384, 70_000, 1_000_000])
@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
def test_answer_bodies(gateway, origin, framing, size):
    body = bytes(range(256)) * (size // 256) + b"y" * (size % 256)
    if framing == "length":
        origin.serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body))
    elif framing == "chunked":
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[i : i + 999] for i in range(0, size, 999)))
        origin.serve(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"))
    else:
        origin.serve(then_closing(b"HTTP/1.1 200 OK\r\n\r\n" + body))
    with gateway.connect() as client:
        for _ in range(2):
            response = client.request(get("/x"))
            assert response.status == 200 and response.body == body
            assert response.get("content-length") == (str(size) if framing == "length" else None)


def test_answer_fields_pass(gateway, origin):
    origin.serve(
        answering(
            b"HTTP/1.1 418 I'm a teapot\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nX-UPPER: 1\r\nServer: origin\r\n"
            b'Date: Sat, 21 Nov 2026 09:00:00 GMT\r\nETag: "x"\r\nContent-Length: 2\r\n\r\nok'
        )
    )
    response = gateway.request(get("/x"))
    assert (response.status, response.reason) == (418, "I'm a teapot")
    assert response.all("set-cookie") == ["a=b", "c=d"]
    assert response.get("x-upper") == "1" and response.get("etag") == '"x"'
    assert response.get("date") == "Sat, 21 Nov 2026 09:00:00 GMT"


def test_empty_reason_phrase(gateway, origin):
    origin.serve(answering(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"))
    response = gateway.request(get("/x"))
    assert response.status == 200 and response.body == b"ok"


def test_answer_of_http_1_0(gateway, origin):
    origin.serve(then_closing(b"HTTP/1.0 200 OK\r\n\r\nhello"))
    with gateway.connect() as client:
        for _ in range(2):
            response = client.request(get("/x"))
            assert response.status == 200 and response.body == b"hello" and not response.says_close


def test_client_of_http_1_0_gets_no_chunks(gateway, origin):
    origin.serve(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
    with gateway.connect() as client:
        client.send(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response()
        assert response.get("transfer-encoding") is None and response.body == b"hello"


def test_keep_alive_of_http_1_0(gateway, origin):
    with gateway.connect() as client:
        for _ in range(2):
            client.send(b"GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            response = client.read_response()
            assert response.status == 200 and response.get("connection").lower() == "keep-alive"
    with gateway.connect() as client:
        client.send(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
        assert client.read_response().status == 200
        client.expect_close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n",
    ],
)
def test_HEAD(gateway, origin, answer):
    origin.serve(answering(answer))
    with gateway.connect() as client:
        for _ in range(3):
            client.send(get("/x", method="HEAD"))
            response = client.read_response("HEAD")
            assert response.status == int(answer.split(b" ")[1])
            if b"1234" in answer:
                assert response.get("content-length") == "1234"
            client.expect_quiet(0.05)
    assert all(seen.method == "HEAD" for seen in origin.requests)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n",
    ],
)
def test_answers_without_body(gateway, origin, answer):
    origin.serve(answering(answer, OK))
    with gateway.connect() as client:
        response = client.request(get("/x"))
        assert response.status == int(answer.split(b" ")[1]) and response.body == b""
        client.expect_quiet(0.05)
        assert client.request(get("/x")).body == b"ok"
    assert origin.requests[0].connection == origin.requests[1].connection, "the connection is used again"


def test_205_and_empty_200(gateway, origin):
    origin.serve(
        answering(
            b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        )
    )
    with gateway.connect() as client:
        assert [client.request(get("/x")).status for _ in range(2)] == [205, 200]


def test_early_hints_go_to_the_client(gateway, origin):
    origin.serve(answering(b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n" + OK))
    response = gateway.request(get("/x"))
    assert [one.status for one in response.interim] == [103]
    assert response.interim[0].get("link") == "</s.css>; rel=preload" and response.body == b"ok"


def test_interim_responses_never_go_to_http_1_0(gateway, origin):
    origin.serve(answering(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK))
    with gateway.connect() as client:
        client.send(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response()
        assert response.status == 200 and response.interim == []


def test_unasked_continue_of_the_origin_is_no_answer(gateway, origin):
    """It may go on to the client (RFC 9110 §15.2), which knows that the answer is still to come."""
    origin.serve(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK))
    with gateway.connect() as client:
        for _ in range(2):
            response = client.request(post("/x", b"hello"))
            assert response.body == b"ok" and [one.status for one in response.interim] in ([], [100])


def test_hop_by_hop_fields_of_the_request(gateway, origin):
    gateway.request(
        get(
            "/x",
            "Connection: keep-alive, X-Custom-Hop",
            "X-Custom-Hop: 1",
            "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive",
            "TE: trailers",
            "Upgrade: foo",
            "Proxy-Authorization: Basic eA==",
            "Proxy: http://evil",
            "X-End: 1",
        )
    )
    names = set(origin.last.names())
    assert not names & {"x-custom-hop", "keep-alive", "proxy-connection", "upgrade", "proxy"}
    assert "x-end" in names
    # What the client takes behind a body is the gateway's to say again, to the next one alone.
    assert (origin.last.get("te"), origin.last.get("connection")) == ("trailers", "TE")


def test_hop_by_hop_fields_of_the_answer(gateway, origin):
    origin.serve(
        answering(
            b"HTTP/1.1 200 OK\r\nConnection: X-Custom-Hop\r\nX-Custom-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
            b"Proxy-Connection: close\r\nUpgrade: h2c\r\nX-End: 1\r\nContent-Length: 2\r\n\r\nok"
        )
    )
    with gateway.connect() as client:
        response = client.request(get("/x"))
        for name in ("x-custom-hop", "keep-alive", "proxy-connection", "upgrade"):
            assert response.all(name) == []
        assert response.get("x-end") == "1"
        assert client.request(get("/x")).status == 200


def test_close_of_the_origin_is_not_passed_on(gateway, origin):
    origin.serve(then_closing(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
    with gateway.connect() as client:
        for _ in range(3):
            response = client.request(get("/x"))
            assert response.body == b"ok" and not response.says_close
    assert len({seen.connection for seen in origin.requests}) == 3


def test_upstream_connections_are_used_again(gateway, origin):
    for _ in range(5):
        assert gateway.request(get("/x")).status == 200
    assert len({seen.connection for seen in origin.requests}) == 1


def test_forwarded_fields(gateway, origin):
    gateway.request(get("/x", host="shop.example:8080"))
    seen = origin.last
    assert seen.get("x-forwarded-for") == "127.0.0.1"
    assert seen.get("x-forwarded-proto") == "http"
    assert seen.get("x-forwarded-host") == "shop.example:8080"


def test_A10_forwarded_fields_of_a_client_are_not_believed(gateway, origin):
    gateway.request(
        get(
            "/x",
            "X-Forwarded-For: 10.0.0.1",
            "x-forwarded-proto: https",
            "X-Forwarded-Host: evil",
            "X_Forwarded_For: 10.0.0.2",
            "Forwarded: for=10.0.0.3",
            "X-Real-IP: 10.0.0.4",
            "X-Original-URL: /admin",
            "X-Rewrite-URL: /admin",
            "X-Forwarded-Uri: /admin",
        )
    )
    seen = origin.last
    assert seen.get("x-forwarded-for") == "127.0.0.1"
    assert seen.get("x-forwarded-proto") == "http"
    assert seen.get("x-forwarded-host") == "localhost"
    assert b"10.0.0." not in seen.head and b"/admin" not in seen.head and b"evil" not in seen.head


@pytest.mark.parametrize("name", ["Proxy", "proxy", "PROXY"])
def test_A18_proxy_is_dropped(gateway, origin, name):
    assert gateway.request(get("/x", f"{name}: http://evil:8080", "X-End: 1")).status == 200
    assert "proxy" not in origin.last.names() and b"evil" not in origin.last.head
    assert origin.last.get("x-end") == "1"


def test_request_id(gateway, origin):
    ids = []
    with gateway.connect() as client:
        for _ in range(3):
            client.request(get("/x"))
            ids.append(origin.last.get("x-request-id"))
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids) and len(set(ids)) == 3
    gateway.wait_for_log_line(lambda line: line["request_id"] == ids[-1])


def test_host_of_the_upstream_by_default(gateway, origin):
    gateway.request(get("/x", host="shop.example"))
    assert origin.last.get("host") == origin.address
    gateway.request(get("/named/x", host="shop.example"))
    assert origin.last.get("host") == "group"


def test_set_fields(gateway, origin):
    gateway.request(
        get(
            "/fields/x?y=1",
            "User-Agent: test",
            "Accept-Encoding: gzip",
            "X-Fixed: client's",
            "x-real-ip: 10.0.0.1",
            host="shop.example",
        )
    )
    seen = origin.last
    assert seen.get("host") == "shop.example"
    assert seen.get("x-real-ip") == "127.0.0.1"
    assert seen.get("x-method") == "GET /fields/x?y=1"
    assert seen.get("x-id") == seen.get("x-request-id")
    assert seen.get("x-agent") == "test"
    assert seen.get("accept-encoding") is None
    assert seen.get("x-fixed") == "a b"


@pytest.mark.parametrize(
    ("path", "forwarded"),
    [
        ("/with-uri/a?b", "/base/a?b"),
        ("/with-uri/", "/base/"),
        ("/no-slash", "/other"),
        ("/no-slash/a", "/other/a"),
        ("/exact?x=1", "/replaced?x=1"),
        ("/root/a/b", "/a/b"),
        ("/root/", "/"),
        ("/plain/a", "/plain/a"),
        ("/with-uri/a%2fb", "/base/a%2fb"),
        ("/with-uri/a/../b", "/base/b"),
        ("/named/a?b", "/named/a?b"),
    ],
)
def test_proxy_pass_with_and_without_uri(gateway, origin, path, forwarded):
    assert gateway.request(get(path)).status == 200
    assert origin.last.target == forwarded
