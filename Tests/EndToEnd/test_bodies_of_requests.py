"""Requests with bodies: any method, Expect, early answers, pipelining inside a body."""

import pytest

from harness.origin import OK, Ended
from harness.raw import chunked, get, post
from harness.refusals import check_answer
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.jwks import KeyServer
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
client_header_timeout 3s;
client_body_timeout 2s;
client_max_body_size 100k;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; jwks @jwks@; }}
server {{
    listen 127.0.0.1:@port@;
    auth off;
    location / {{ proxy_pass http://@origin@; }}
    location /protected/ {{ auth main; proxy_pass http://@origin@; }}
    location /admin/ {{ auth main; require permission read:admin_panel; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key):
    server = KeyServer(key_set(rsa_key))
    yield {"jwks": server.url}
    server.close()


@pytest.fixture
def token(gateway, rsa_key):
    token = rsa_key.token()
    wait_until(lambda: gateway.request(get("/protected/", bearer(token))).status == 200, what="keys arrive")
    return token


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH", "PROPFIND"])
def test_H14_any_method_may_have_a_body(gateway, origin, method):
    with gateway.connect() as client:
        client.send(post("/x", b"GET /admin HTTP/1.1\r\n\r\n", method=method))
        assert client.read_response(method).status == 200
        client.send(get("/x", "Transfer-Encoding: chunked", method=method) + b"5\r\nhello\r\n0\r\n\r\n")
        assert client.read_response(method).status == 200
        assert client.request(get("/after")).status == 200
    first, second, third = origin.wait_for(3)
    assert (first.method, first.body, first.chunked) == (method, b"GET /admin HTTP/1.1\r\n\r\n", False)
    assert (second.method, second.body, second.chunked) == (method, b"hello", True)
    assert third.target == "/after"


@pytest.mark.parametrize("value", ["100-continue", "100-Continue", "100-CONTINUE"])
def test_H15_continue_comes_from_the_gateway(gateway, origin, value):
    with gateway.connect() as client:
        client.send(get("/x", "Content-Length: 5", f"Expect: {value}", method="POST"))
        assert client.read_head().status == 100
        client.send(b"hello")
        assert client.read_response().status == 200
    assert origin.last.body == b"hello" and "expect" not in origin.last.names()


def test_H15_no_continue_once_body_bytes_came(gateway, origin):
    with gateway.connect() as client:
        response = client.request(post("/x", b"hello", "Expect: 100-continue"))
        assert response.status == 200 and response.interim == []
    assert "expect" not in origin.last.names()


def test_H15_ignored_without_body_and_on_1_0(gateway, origin):
    with gateway.connect() as client:
        response = client.request(get("/x", "Expect: 100-continue"))
        assert response.status == 200 and response.interim == []
    with gateway.connect() as client:
        client.send(b"POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        client.expect_quiet()
        client.send(b"hello")
        response = client.read_response()
        assert response.status == 200 and response.interim == []


@pytest.mark.parametrize("value", ["200-ok", "100-continue, x", "100-continue,100-continue", "x"])
def test_H15_other_expectations(gateway, origin, value):
    with gateway.connect() as client:
        response = client.request(get("/x", "Content-Length: 5", f"Expect: {value}", method="POST"))
        check_answer(response, 417, "expectation_failed", closed=True)
        client.expect_close()
    assert origin.received == b""


@pytest.mark.parametrize(
    ("path", "fields", "status", "code"),
    [
        ("/protected/", [], 401, "token_missing"),
        ("/x", ["Content-Length: 200000"], 413, "body_too_large"),
    ],
)
def test_H15_refused_before_continue(gateway, origin, path, fields, status, code):
    fields = fields or ["Content-Length: 5"]
    with gateway.connect() as client:
        response = client.request(get(path, *fields, "Expect: 100-continue", method="POST"))
        check_answer(response, status, code, closed=True)
        assert response.interim == []
        client.expect_close()
    assert origin.received == b""


def test_H16_refusal_while_a_small_body_arrives(gateway, origin):
    """The rest of the body is thrown away and never becomes a request, whether the connection lives on or not."""
    smuggled = get("/admin/stolen")
    with gateway.connect() as client:
        client.send(get("/protected/x", f"Content-Length: {len(smuggled)}", method="POST"))
        response = client.read_response()
        assert response.status == 401 and response.code == "token_missing"
        client.send(smuggled)
        if response.says_close:
            client.expect_close()
        else:
            client.expect_quiet()
            assert client.request(get("/after")).status == 200
    assert b"stolen" not in origin.received and b"/protected/x" not in origin.received


def test_H16_refusal_while_a_large_body_arrives(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/protected/x", "Content-Length: 100000", method="POST") + b"x" * 50_000)
        response = client.read_response()
        assert response.status == 401 and response.code == "token_missing"
        if response.says_close:
            client.expect_close()
        else:
            client.send(b"x" * 50_000 + get("/after"))
            assert client.read_response().status == 200
    assert b"/protected/x" not in origin.received


def test_H16_forbidden_with_chunked_body(gateway, origin, token):
    origin.reset()
    with gateway.connect() as client:
        client.send(get("/admin/x", bearer(token), "Transfer-Encoding: chunked", method="POST") + b"5\r\nhel")
        response = client.read_response()
        assert response.status == 403 and response.code == "insufficient_scope"
        client.send(b"lo\r\n0\r\n\r\n" + get("/after"))
        if response.says_close:
            client.expect_close()
        else:
            assert client.read_response().status == 200
    assert b"/admin/x" not in origin.received


def test_H17_request_hidden_in_a_body_is_body(gateway, origin, token):
    origin.reset()
    inner = get("/admin/x")
    with gateway.connect() as client:
        client.send(
            post("/protected/a", inner, bearer(token)) + get("/protected/b", bearer(token)) + get("/protected/c")
        )
        assert client.read_response().status == 200
        assert client.read_response().status == 200
        check_answer(client.read_response(), 401, "token_missing", closed=False)
    assert [(seen.target, seen.body) for seen in origin.requests] == [("/protected/a", inner), ("/protected/b", b"")]


def test_H17_each_pipelined_request_is_authorised_on_its_own(gateway, origin, token):
    origin.reset()
    wanted = [200, 401, 403, 200, 401]
    data = b"".join(
        [
            get("/protected/1", bearer(token)),
            get("/protected/2"),
            get("/admin/3", bearer(token)),
            get("/4"),
            get("/protected/5", bearer(token[:-6] + "AAAAAA")),
        ]
    )
    with gateway.connect() as client:
        client.send(data)
        assert [client.read_response().status for _ in wanted] == wanted
    assert [seen.target for seen in origin.requests] == ["/protected/1", "/4"]


def test_H16_origin_answers_before_the_body_is_read(gateway, origin):
    """An early answer goes out at once; what is left of the body does not become the next request."""

    def refuse_early(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        raise Ended

    origin.serve(refuse_early)
    with gateway.connect() as client:
        client.send(get("/x", "Content-Length: 40", method="POST") + b"12345")
        response = client.read_response()
        assert response.status == 403 and response.body == b"no"
        origin.serve(lambda connection: (connection.read_request(), connection.send(OK)))
        try:
            client.send(get("/stolen")[:35])
        except OSError:
            return
        if response.says_close:
            client.expect_cut()
    assert all(seen.target != "/stolen" for seen in origin.requests)


def test_bodies_stream_before_they_are_complete(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/x", "Content-Length: 10", method="POST") + b"12345")
        wait_until(lambda: origin.received.endswith(b"12345"), 2, what="the first half arrives at the origin")
        client.send(b"67890")
        assert client.read_response().status == 200
        client.send(chunked("/y", b"abc")[:-5])
        wait_until(lambda: b"abc" in origin.received, 2, what="the first chunk arrives at the origin")
        client.send(b"0\r\n\r\n")
        assert client.read_response().status == 200
