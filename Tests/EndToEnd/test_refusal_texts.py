"""What a refusal says: RFC 9457 problem documents, RFC 6750 challenges, and how much of it `error_detail` shows."""


import pytest

from harness.raw import Client, Response, get, post
from harness.tokens import AUDIENCE, ISSUER, bearer

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
auth_provider unreachable jwt {{ issuer https://other.example; audience off; jwks http://127.0.0.1:1/jwks; }}
server {{
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /judged/ {{
        auth unreachable;
        location /judged/none/ {{ error_detail none; proxy_pass http://@origin@; }}
        location /judged/code/ {{ error_detail code; proxy_pass http://@origin@; }}
        location /judged/full/ {{ error_detail full; proxy_pass http://@origin@; }}
    }}
    location /code/ {{ error_detail code; require permission read:data; proxy_pass http://@origin@; }}
    location /full/ {{ error_detail full; require permission read:data; proxy_pass http://@origin@; }}
    location /any/ {{ auth any main unreachable; proxy_pass http://@origin@; }}
    location /public/ {{ auth off; }}
    location /public/down {{ auth off; proxy_pass http://127.0.0.1:1; }}
    location /public/said {{ auth off; return 429; }}
    location /none/ {{ error_detail none; require permission read:data; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(localhost, key_file):
    return localhost | {"keys": key_file}


def test_problem_document(gateway, origin):
    response = gateway.request(get("/x"))
    problem = response.json()
    assert problem["status"] == 401 and problem["code"] == "token_missing" and problem["title"] == "Unauthorized"
    assert response.get("content-length") == str(len(response.body)) and response.get("date")
    gateway.wait_for_log_line(lambda line: line["request_id"] == problem["request_id"])


@pytest.mark.parametrize("claims", [{"exp": 5}, {"permissions": []}, {"iss": "x"}])
def test_how_much_is_told(gateway, origin, rsa_key, claims):
    token = rsa_key.token(**claims)
    code, full, none = (gateway.request(get(f"/{level}/", bearer(token))) for level in ("code", "full", "none"))
    assert code.status == full.status == none.status
    assert code.json()["code"] == full.json()["code"] == full.get("gateway-error")
    assert full.json()["detail"], "in words too"
    assert "detail" not in code.json()
    assert "code" not in none.json() and none.get("gateway-error") is None
    reason = code.json()["code"]
    if reason != "insufficient_scope":
        assert reason.encode() not in none.raw_head + none.body, "the reason stays in the log"
    gateway.wait_for_log_line(lambda line: line["path"] == "/none/" and line["auth_reason"] == reason)


@pytest.mark.parametrize("fields", [(), ("Authorization: Basic eA==",)])
def test_challenge_has_a_realm(gateway, origin, fields):
    assert gateway.request(get("/x", *fields)).get("www-authenticate").startswith('Bearer realm="')


def test_refusal_over_TLS_and_the_connection_goes_on(gateway, origin, authority, rsa_key):
    with Client(gateway.tls_port, tls=authority.client_context()) as client:
        for _ in range(3):
            assert client.request(get("/x", bearer(rsa_key.token()[:-9] + "AAAAAAAAA"))).code == "signature_invalid"
            assert client.request(get("/x", bearer(rsa_key.token()))).status == 200


def test_refusal_of_HTTP_1_0(gateway, origin):
    with gateway.connect() as client:
        client.send(b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.read_response()
        assert response.status == 401 and response.code == "token_missing"
        client.expect_close()


def test_many_refusals_on_one_connection(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/x") * 500)
        assert {client.read_response().status for _ in range(500)} == {401}
        client.expect_quiet(0.05)
    assert origin.received == b""


def refusals(gateway, rsa_key, level: str, *fields: str) -> dict[int, list[Response]]:
    """A 400, a 401 and a 403 that says what is missing, at one level of `error_detail`; a 503 has its own test."""
    token = rsa_key.token(permissions=[])
    return {
        400: [gateway.request(get(f"/{level}/", *fields, bearer(token), bearer(token)))],
        401: [
            gateway.request(get(f"/{level}/", *fields)),
            gateway.request(get(f"/{level}/", *fields, bearer(rsa_key.token(exp=5)))),
        ],
        403: [gateway.request(get(f"/{level}/", *fields, bearer(token)))],
    }


CHALLENGES = {
    "none": {
        400: ['Bearer realm="main", error="invalid_request"'],
        401: ['Bearer realm="main"', 'Bearer realm="main", error="invalid_token"'],
        403: ['Bearer realm="main", error="insufficient_scope", scope="read:data"'],
    },
    "code": {
        400: [
            'Bearer realm="main", error="invalid_request", error_description="The credentials are not well formed"'
        ],
        401: [
            'Bearer realm="main"',
            'Bearer realm="main", error="invalid_token", error_description="The access token expired"',
        ],
        403: [
            'Bearer realm="main", error="insufficient_scope", '
            'error_description="The access token lacks a permission", scope="read:data"'
        ],
    },
}


@pytest.mark.parametrize("level", ["none", "code", "full"])
def test_challenges_to_the_letter(gateway, origin, rsa_key, level):
    found = refusals(gateway, rsa_key, level)
    expected = CHALLENGES["none" if level == "none" else "code"]
    assert {status: [one.get("www-authenticate") for one in some] for status, some in found.items()} == expected
    assert all(one.status == status for status, some in found.items() for one in some)


def test_one_challenge_for_each_scheme(gateway, origin, rsa_key):
    assert gateway.request(get("/any/x")).all("www-authenticate") == ['Bearer realm="main"']
    expired = gateway.request(get("/any/x", bearer(rsa_key.token(exp=5))))
    assert expired.all("www-authenticate") == [CHALLENGES["code"][401][1]]


@pytest.mark.parametrize("level", ["none", "code", "full"])
def test_members_of_a_problem(gateway, origin, rsa_key, level):
    always = {"type", "title", "status", "request_id"}
    members = always | {"none": set(), "code": {"code"}, "full": {"code", "detail"}}[level]
    for some in refusals(gateway, rsa_key, level).values():
        for one in some:
            assert set(one.json()) == members
            assert (one.get("gateway-error") is None) == (level == "none")


@pytest.mark.parametrize("level", ["none", "code", "full"])
def test_who_cannot_judge_makes_no_challenge(gateway, origin, rsa_key, level):
    token = rsa_key.token(iss="https://other.example")
    response = gateway.request(get(f"/judged/{level}/", bearer(token)))
    assert response.status == 503 and response.get("www-authenticate") is None
    assert 1 <= int(response.get("retry-after")) <= 5
    assert response.get("gateway-error") == (None if level == "none" else "keys_unavailable")
    assert response.json().get("code") == (None if level == "none" else "keys_unavailable")
    assert ("detail" in response.json()) == (level == "full")
    call_ = gateway.request(call(f"/judged/{level}/", bearer(token)))
    assert call_.status == 200 and call_.get("grpc-status") == "14" and call_.get("retry-after")


PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        (None, "application/problem+json"),
        ("*/*", "application/problem+json"),
        ("application/json", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("image/png", "application/problem+json"),
        (PAGE, "text/html; charset=utf-8"),
        ("text/html;q=0.1, application/json;q=0.2", "application/problem+json"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/*;q=0.5, text/html;q=0.1", "text/plain; charset=utf-8"),
        ("*/*, application/json;q=0", "text/html; charset=utf-8"),
    ],
)
def test_form_by_accept(gateway, origin, accept, type_):
    fields = [f"Accept: {accept}"] if accept else []
    with gateway.connect() as client:
        response = client.request(get("/x", *fields))
        assert response.status == 401 and response.get("content-type") == type_
        assert response.get("vary") == "Accept" and response.get("cache-control") == "no-store"
        assert response.get("gateway-error") == "token_missing"
        head = client.request(get("/x", *fields, method="HEAD"))
        assert head.status == 401 and head.body == b""
        names = [pair for pair in response.fields if pair[0] not in ("Date", "Content-Length")]
        assert [pair for pair in head.fields if pair[0] not in ("Date", "Content-Length")] == names
        assert head.get("content-length") == str(len(response.body))


@pytest.mark.parametrize("accept", [PAGE, "text/plain"])
@pytest.mark.parametrize("level", ["none", "code", "full"])
def test_page_and_text_say_what_the_problem_says(gateway, origin, rsa_key, accept, level):
    for some in refusals(gateway, rsa_key, level, f"Accept: {accept}").values():
        for one in some:
            text = one.body.decode("ascii")
            line = gateway.wait_for_log_line(lambda line, text=text: line["request_id"] in text)
            assert str(one.status) in text and one.reason in text
            assert (line["auth_reason"] in text) == (level != "none")
            assert ("access token" in text or "credentials" in text) == (level == "full")
            if accept == PAGE:
                assert text.startswith("<!DOCTYPE html>") and "<script" not in text and "://" not in text
                assert one.get("content-security-policy").startswith("default-src 'none'; style-src 'sha256-")
                assert one.get("x-content-type-options") == "nosniff"


def test_form_of_an_answer_that_ends_the_connection(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/public/said", "Accept: text/plain", "Content-Length: 99999999999", method="POST"))
        response = client.read_response()
        assert response.status == 413 and response.says_close and response.get("vary") == "Accept"
        assert response.body.startswith(b"413 Content Too Large\ncode: body_too_large\nrequest: ")
        client.expect_close()


def call(path: str, *fields: str, type_: str = "application/grpc") -> bytes:
    """A unary call of gRPC in HTTP/1.1 framing, with one empty message."""
    return post(path, b"\0\0\0\0\0", f"Content-Type: {type_}", "TE: trailers", *fields)


@pytest.mark.parametrize(
    ("level", "message"),
    [("none", ["Unauthorized", "Forbidden"]), ("code", ["token_expired", "insufficient_scope"]),
     ("full", ["The access token expired", "The access token lacks a permission"])],
)  # fmt: skip
@pytest.mark.parametrize("type_", ["application/grpc", "application/grpc+proto", "application/grpc;x=y"])
def test_call_of_gRPC_gets_its_own_status(gateway, origin, rsa_key, level, message, type_):
    cases = [(rsa_key.token(exp=5), "16", "token_expired"), (rsa_key.token(permissions=[]), "7", "insufficient_scope")]
    with gateway.connect() as client:
        for (token, status, code), words in zip(cases, message, strict=True):
            response = client.request(call(f"/{level}/", bearer(token), "Accept: text/html", type_=type_))
            assert response.status == 200 and response.body == b""
            assert response.get("content-type") == "application/grpc" and response.get("content-length") == "0"
            assert response.get("grpc-status") == status and response.get("grpc-message") == words
            assert response.get("gateway-error") == (None if level == "none" else code)
            assert response.get("www-authenticate") and response.get("cache-control") == "no-store"
            gateway.wait_for_log_line(lambda line, code=code: line["auth_reason"] == code and line["status"] == 200)
    assert origin.received == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (call("/public/none"), "12"),
        (call("/public/down"), "14"),
        (call("/public/said"), "8"),
        (call("/%zz"), "3"),
    ],
)
def test_statuses_of_gRPC(gateway, origin, data, status):
    response = gateway.request(data)
    assert response.status == 200 and response.get("grpc-status") == status


@pytest.mark.parametrize("type_", ["application/grpc-web", "application/grpcx", "application/json"])
def test_what_is_no_call_of_gRPC(gateway, origin, type_):
    response = gateway.request(call("/x", type_=type_))
    assert response.status == 401 and response.get("grpc-status") is None and response.code == "token_missing"
    assert gateway.request(get("/x", "Content-Type: application/grpc")).status == 401, "a call is a POST"


@pytest.mark.parametrize("accept", ["application/json", "text/plain", PAGE])
def test_form_of_a_return(gateway, origin, accept):
    response = gateway.request(get("/public/said", f"Accept: {accept}"))
    assert response.status == 429 and response.get("vary") == "Accept" and b"Too Many Requests" in response.body
    assert response.get("content-type").startswith(accept.split(",")[0].replace("/json", "/problem+json"))
