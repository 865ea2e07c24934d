"""CORS: preflights, answers to scripts of other sites, and what of it reaches the upstream (security rows A11 and A17)."""

import json

import pytest

from harness.gateway import run_command
from harness.origin import answering
from harness.raw import get, post
from harness.refusals import expect_refusal
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    cors {{
        origins https://app.example.com https://*.example.org;
        methods GET PUT;
        headers Authorization X-Trace;
        expose X-Total;
        credentials on;
        max_age 20m;
    }}
    location / {{ require permission read:data; proxy_pass http://@origin@; }}
    location /plain/ {{ cors {{ }} proxy_pass http://@origin@; }}
    location /pass/ {{ cors {{ pass on; }} forward_token on; proxy_pass http://@origin@; }}
    location /both/ {{ cors {{ origins https://app.example.com; pass on; }} proxy_pass http://@origin@; }}
    location /open/ {{ auth off; cors {{ origins *; }} add_header X-Own 1; proxy_pass http://@origin@; }}
    location /said {{ auth off; return 200 "ok"; }}
    location /down/ {{ auth off; proxy_pass http://127.0.0.1:1; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""
APP = "Origin: https://app.example.com"
PUT = "Access-Control-Request-Method: PUT"
UPSTREAMS_OWN = (
    b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n"
    b"Access-Control-Expose-Headers: X-Secret\r\nAccess-Control-Allow-Methods: DELETE\r\n"
    b"Access-Control-Allow-Headers: X-Any\r\nAccess-Control-Max-Age: 9\r\nVary: Accept-Encoding\r\nX-Total: 5\r\n"
    b"Content-Length: 2\r\n\r\nok"
)


@pytest.fixture(scope="module")
def values(rsa_key, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(rsa_key)))
    return {"keys": file}


def cors_fields(response) -> dict[str, str]:
    return {name: value for name, value in response.fields if name.lower().startswith("access-control-")}


def varies(response) -> set[str]:
    return {word.strip() for value in response.all("vary") for word in value.split(",")}


def test_A11_preflight_is_answered_before_authentication(gateway, origin):
    with gateway.connect() as client:
        for _ in range(2):
            response = client.request(get("/x", APP, PUT, "Access-Control-Request-Headers: x-trace", method="OPTIONS"))
            assert response.status == 204 and response.body == b"" and response.get("www-authenticate") is None
            assert cors_fields(response) == {
                "Access-Control-Allow-Origin": "https://app.example.com",
                "Access-Control-Allow-Credentials": "true",
                "Access-Control-Allow-Methods": "GET, PUT",
                "Access-Control-Allow-Headers": "Authorization, X-Trace",
                "Access-Control-Max-Age": "1200",
            }
            assert varies(response) == {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}
    assert origin.received == b""
    line = gateway.wait_for_log_line(lambda line: line["method"] == "OPTIONS" and line["status"] == 204)
    assert line["auth_result"] == "off" and line["auth_reason"] == "-" and line["src"] == "gateway"


@pytest.mark.parametrize(
    "lines",
    [
        ("Origin: https://evil.example", PUT),
        ("Origin: https://app.example.com.evil.example", PUT),
        ("Origin: http://app.example.com", PUT),
        ("Origin: https://app.example.com:444", PUT),
        ("Origin: https://a.b.example.org", PUT),
        ("Origin: null", PUT),
        (APP, "Access-Control-Request-Method: DELETE"),
        (APP, "Access-Control-Request-Method: put"),
    ],
)
def test_A11_preflight_that_is_not_allowed(gateway, origin, lines):
    data = get("/x", *lines, method="OPTIONS")
    response = expect_refusal(gateway, origin, data, 403, "origin_denied", closed=False)
    assert cors_fields(response) == {} and response.get("www-authenticate") is None


@pytest.mark.parametrize(
    "data",
    [
        get("/x", method="OPTIONS"),
        get("/x", APP, method="OPTIONS"),
        get("/x", PUT, method="OPTIONS"),
        get("/x", APP, "Access-Control-Request-Method:", method="OPTIONS"),
        get("/x", APP, PUT, PUT, method="OPTIONS"),
        get("/x", APP, APP, PUT, method="OPTIONS"),
        get("/x", APP, "Access_Control_Request_Method: PUT", method="OPTIONS"),
        get("/x", APP, PUT),
        get("/x", APP, PUT, method="options"),
        get("/x", APP, PUT, method="PROPFIND"),
        get("/x", APP, PUT, "X-HTTP-Method-Override: OPTIONS"),
        get("/x?method=OPTIONS", APP, PUT, "User-Agent: kube-probe/1.0"),
        get("/plain/x", APP, PUT, method="OPTIONS"),
        post("/x", b"abc", APP, PUT, method="OPTIONS"),
        post("/pass/x", b"abc", APP, PUT, method="OPTIONS"),
        get("*", method="OPTIONS"),
    ],
)
def test_A11_everything_else_needs_a_token(gateway, origin, data):
    response = expect_refusal(gateway, origin, data, 401, "token_missing", closed=False)
    assert response.get("www-authenticate") == 'Bearer realm="main"'


def test_A11_HEAD_needs_a_token(gateway, origin):
    response = gateway.request(get("/x", APP, method="HEAD"))
    assert response.status == 401 and response.get("gateway-error") == "token_missing"
    assert origin.received == b""


@pytest.mark.parametrize("path", ["/pass/x", "/both/x"])
def test_A11_pass_forwards_a_preflight_without_identity(gateway, origin, rsa_key, path):
    origin.serve(answering(UPSTREAMS_OWN))
    spoofed = ("X-Auth-Subject: root", "Cookie: a=b", bearer(rsa_key.token()))
    response = gateway.request(get(path, "Origin: https://any.example", PUT, *spoofed, method="OPTIONS"))
    assert response.status == 200 and response.get("access-control-allow-origin") == "*"
    assert response.get("access-control-allow-methods") == "DELETE"
    seen = origin.last
    assert seen.method == "OPTIONS" and seen.get("origin") == "https://any.example"
    assert seen.get("access-control-request-method") == "PUT"
    assert not {"authorization", "cookie", "x-auth-subject", "x-auth-provider"} & set(seen.names())


def test_A11_pass_lets_nothing_but_preflights_in(gateway, origin):
    for data in (get("/pass/x", APP, method="OPTIONS"), get("/pass/x", APP, PUT), get("/pass/x", PUT, method="OPTIONS")):
        expect_refusal(gateway, origin, data, 401, "token_missing", closed=False)


def test_A11_a_path_that_reads_as_one_without_pass(gateway, origin):
    """Who may come in without an identity is access: the path guard looks at it."""
    data = get("/pass/..%2fx", "Origin: https://any.example", PUT, method="OPTIONS")
    expect_refusal(gateway, origin, data, 400, "path_ambiguous", closed=False)


def test_pass_alone_leaves_answers_to_the_upstream(gateway, origin, rsa_key):
    origin.serve(answering(UPSTREAMS_OWN))
    response = gateway.request(get("/pass/x", APP, bearer(rsa_key.token())))
    assert response.status == 200 and response.get("access-control-allow-origin") == "*"
    assert response.get("access-control-expose-headers") == "X-Secret" and varies(response) == {"Accept-Encoding"}
    assert cors_fields(gateway.request(get("/pass/x", APP))) == {}, "of a refusal nobody said anything"


def test_pass_with_origins_speaks_for_answers(gateway, origin, rsa_key):
    origin.serve(answering(UPSTREAMS_OWN))
    response = gateway.request(get("/both/x", APP, bearer(rsa_key.token())))
    assert response.get("access-control-allow-origin") == "https://app.example.com"
    assert set(cors_fields(response)) == {"Access-Control-Allow-Origin"}
    assert gateway.request(get("/both/x", APP)).get("access-control-allow-origin") == "https://app.example.com"


@pytest.mark.parametrize("allowed", ["https://app.example.com", "https://x.example.org"])
def test_fields_of_the_upstream_are_replaced(gateway, origin, rsa_key, allowed):
    origin.serve(answering(UPSTREAMS_OWN))
    token = rsa_key.token(permissions=["read:data"])
    response = gateway.request(get("/x", f"Origin: {allowed}", bearer(token)))
    assert response.status == 200 and response.body == b"ok" and response.get("x-total") == "5"
    assert cors_fields(response) == {
        "Access-Control-Allow-Origin": allowed,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "X-Total",
    }
    assert varies(response) == {"Accept-Encoding", "Origin"}
    assert origin.last.get("origin") == allowed


@pytest.mark.parametrize("lines", [(), ("Origin: https://evil.example",), ("Origin: null",), (APP, APP)])
def test_other_origins_get_the_answer_without_the_fields(gateway, origin, rsa_key, lines):
    """CORS keeps nobody out: it is the browser that shows the answer to a script, or does not."""
    origin.serve(answering(UPSTREAMS_OWN))
    response = gateway.request(get("/x", *lines, bearer(rsa_key.token(permissions=["read:data"]))))
    assert response.status == 200 and cors_fields(response) == {}
    assert varies(response) == {"Accept-Encoding", "Origin"}


def test_any_origin(gateway, origin):
    origin.serve(answering(UPSTREAMS_OWN))
    response = gateway.request(get("/open/x", "Origin: https://any.example"))
    assert cors_fields(response) == {"Access-Control-Allow-Origin": "*"} and response.get("x-own") == "1"
    assert varies(response) == {"Accept-Encoding"}
    preflight = gateway.request(get("/open/x", "Origin: https://any.example", "Access-Control-Request-Method: POST",
                                    method="OPTIONS"))
    assert preflight.status == 204 and preflight.get("access-control-allow-origin") == "*"
    assert preflight.get("access-control-allow-credentials") is None and preflight.get("x-own") == "1"


EXPOSED = "X-Total, WWW-Authenticate, Retry-After, Gateway-Error"


def refused(gateway, rsa_key, what: str, origin_line: str):
    token = bearer(rsa_key.token(permissions=[]))
    match what:
        case "no token":
            return gateway.request(get("/x", origin_line)), 401
        case "no permission":
            return gateway.request(get("/x", origin_line, token)), 403
        case "two tokens":
            return gateway.request(get("/x", origin_line, token, token)), 400
        case "path":
            return gateway.request(get("/%zz", origin_line)), 400
        case "length":
            return gateway.request(post("/x", b"", origin_line, bearer(rsa_key.token()), "Transfer-Encoding: chunked")), 400
        case "upstream":
            return gateway.request(get("/down/x", origin_line)), 502
    raise AssertionError(what)


@pytest.mark.parametrize("what", ["no token", "no permission", "two tokens", "path", "upstream"])
def test_A17_refusals_can_be_read_by_allowed_scripts(gateway, origin, rsa_key, what):
    response, status = refused(gateway, rsa_key, what, APP)
    assert response.status == status
    assert cors_fields(response) == {
        "Access-Control-Allow-Origin": "https://app.example.com",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": EXPOSED,
    }
    assert varies(response) == {"Accept", "Origin"}
    other, status = refused(gateway, rsa_key, what, "Origin: https://evil.example")
    assert other.status == status and cors_fields(other) == {} and varies(other) == {"Accept", "Origin"}


def test_A17_what_is_no_request_says_nothing(gateway, origin, rsa_key):
    """No field of a head that cannot be trusted is looked at."""
    response, status = refused(gateway, rsa_key, "length", APP)
    assert response.status == status and cors_fields(response) == {}


@pytest.mark.parametrize("line", ["origins *; credentials on;", "credentials on; origins *;"])
def test_A17_any_origin_with_credentials_is_no_configuration(tmp_path, line):
    file = tmp_path / "gateway.conf"
    file.write_text(f"server {{ listen 8080; auth off; cors {{ {line} }} }}\n")
    checked = run_command("check", "-c", file)
    assert checked.returncode == 1
    assert '"origins *" cannot go with "credentials on"' in checked.stdout + checked.stderr


def test_answers_of_our_own(gateway, origin):
    response = gateway.request(get("/said", APP))
    assert response.status == 200 and response.get("access-control-allow-origin") == "https://app.example.com"
    assert response.get("access-control-expose-headers") == "X-Total" and varies(response) == {"Origin"}


def test_without_a_block_nothing_changes(gateway, origin, rsa_key):
    origin.serve(answering(UPSTREAMS_OWN))
    response = gateway.request(get("/plain/x", APP, bearer(rsa_key.token())))
    assert cors_fields(response)["Access-Control-Allow-Origin"] == "*" and varies(response) == {"Accept-Encoding"}
    assert cors_fields(gateway.request(get("/plain/x", APP))) == {}
