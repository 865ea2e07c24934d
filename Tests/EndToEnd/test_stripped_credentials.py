"""Credentials that do not travel on, and variables by which `proxy_set_header` could carry them all the same."""

import hashlib
import json

import pytest

from harness.raw import get
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

SET = """
    proxy_set_header X-Args "$is_args$args";
    proxy_set_header X-URI $request_uri;
    proxy_set_header X-Request $request;
    proxy_set_header X-Token $http_authorization;
    proxy_set_header X-Cookies $http_cookie;
    proxy_set_header X-Session $cookie_session;
    proxy_set_header X-Theme $cookie_theme;
    proxy_set_header X-Key $http_x_api_key;
"""
CONFIGURATION = f"""
worker_processes 1;
error_log stderr info;
log_format line '$request_uri|$args|$request';
access_log @folder@/access.log line;
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
auth_provider wide jwt {{
    issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; token_from header cookie session query access_token;
}}
auth_provider partners api_key {{ file @api_keys@; }}
server {{
    listen 127.0.0.1:@port@;
    {SET}
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /forward/ {{ forward_token on; proxy_pass http://@origin@; }}
    location /report/ {{ auth_mode report; proxy_pass http://@origin@; }}
    location /wide/ {{ auth wide; proxy_pass http://@origin@; }}
    location /moved/ {{ auth wide; return 302 https://elsewhere.example$request_uri; }}
    location /keys/ {{ auth partners; proxy_pass http://@origin@; }}
    location /cookies/ {{ auth off; strip_cookies theme; proxy_pass http://@origin@; }}
    location /preflight/ {{ cors {{ pass on; }} forward_token on; proxy_pass http://@origin@; }}
    location /open/ {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(tmp_path_factory, rsa_key):
    folder = tmp_path_factory.mktemp("keys")
    (folder / "jwks.json").write_text(json.dumps(key_set(rsa_key)))
    (folder / "api_keys.json").write_text(
        json.dumps({"keys": [{"id": "k1", "hash": hashlib.sha256(b"secret-key").hexdigest()}]})
    )
    return {"keys": folder / "jwks.json", "api_keys": folder / "api_keys.json"}


@pytest.fixture
def forwarded(gateway, origin):
    """Sends a request that must pass, and returns what the origin saw."""

    def send(data: bytes):
        assert gateway.request(data).status == 200
        return origin.last

    return send


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("access_token=@", ""),
        ("a=1&access_token=@", "a=1"),
        ("access_token=@&b=2", "b=2"),
        ("a=1&access_token=@&b=2", "a=1&b=2"),
        ("a=1&%61ccess_token=@&b", "a=1&b"),
    ],
)
def test_A16_an_argument_is_in_no_variable(forwarded, gateway, origin, rsa_key, query, left):
    token = rsa_key.token()
    seen = forwarded(get("/wide/x?" + query.replace("@", token)))
    shown = f"/wide/x?{left}" if left else "/wide/x"
    assert seen.target == shown
    assert seen.get("x-args") == (f"?{left}" if left else None)
    assert seen.get("x-uri") == shown and seen.get("x-request") == f"GET {shown} HTTP/1.1"
    assert token.encode() not in origin.received
    response = gateway.request(get("/moved/x?" + query.replace("@", token)))
    assert response.get("location") == "https://elsewhere.example" + shown.replace("wide", "moved")
    # Logs show that there was one.
    file = gateway.folder / "access.log"
    wait_until(lambda: "***" in file.read_text())
    assert token not in file.read_text()


def test_A16_the_token_is_in_no_variable(forwarded, origin, rsa_key):
    token = rsa_key.token()
    seen = forwarded(get("/x", bearer(token), "Cookie: theme=dark; session=s"))
    assert seen.get("authorization") is None and seen.get("x-token") is None
    assert seen.get("x-cookies") == "theme=dark; session=s" and seen.get("x-session") == "s"
    assert token.encode() not in origin.received
    assert forwarded(get("/forward/x", bearer(token))).get("x-token") == f"Bearer {token}", "asked for"
    assert forwarded(get("/open/x", bearer(token))).get("x-token") == f"Bearer {token}", "nobody's but the origin's"
    # What nobody believed goes on as it came.
    assert forwarded(get("/report/x", bearer("a.b.c"))).get("x-token") == "Bearer a.b.c"
    assert forwarded(get("/report/x", bearer(token))).get("x-token") is None


def test_A16_a_cookie_is_in_no_variable(forwarded, origin, rsa_key):
    token = rsa_key.token()
    seen = forwarded(get("/wide/x", f"Cookie: theme=dark; session={token}"))
    assert seen.get("cookie") == "theme=dark"
    assert seen.get("x-session") is None and seen.get("x-cookies") is None and seen.get("x-theme") == "dark"
    assert token.encode() not in origin.received
    seen = forwarded(get("/cookies/x", "Cookie: theme=dark; session=s"))
    assert seen.get("cookie") == "session=s" and seen.get("x-theme") is None and seen.get("x-session") == "s"


def test_A16_a_key_is_in_no_variable(forwarded, origin):
    for name in ("X-API-Key", "x-api-key"):
        seen = forwarded(get("/keys/x", f"{name}: secret-key"))
        assert seen.get("x-key") is None and seen.get("x-api-key") is None
        assert b"secret-key" not in origin.received
    assert forwarded(get("/open/x", "X-API-Key: k")).get("x-key") == "k"


def test_A16_credentials_of_a_preflight_are_in_no_variable(forwarded, origin, rsa_key):
    token = rsa_key.token()
    fields = (bearer(token), f"Cookie: session={token}")
    asking = ("Origin: https://app.example.com", "Access-Control-Request-Method: PUT")
    seen = forwarded(get("/preflight/x", *fields, *asking, method="OPTIONS"))
    assert seen.get("authorization") is None and seen.get("x-token") is None
    assert seen.get("cookie") is None and seen.get("x-cookies") is None and seen.get("x-session") is None
    assert token.encode() not in origin.received
    seen = forwarded(get("/preflight/x", *fields))
    assert seen.get("x-token") == f"Bearer {token}" and seen.get("x-session") == token
