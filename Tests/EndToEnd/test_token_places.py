"""Tokens in cookies and queries, where a provider says so (security rows A06, A14 and A16)."""

import json

import pytest

from harness.raw import get, post
from harness.refusals import check_answer, check_invalid_token, expect_only_good_at
from harness.tokens import bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider main jwt { issuer https://id.example.com; audience orders; key_file @keys@; }
auth_provider wide jwt {
    issuer https://id.example.com; audience orders; key_file @keys@;
    token_from header cookie session query access_token;
}
auth_provider baked jwt { issuer https://id.example.com; audience orders; key_file @keys@; token_from cookie session; }
server {
    listen 127.0.0.1:@port@;
    server_name api.example.com;
    auth main;
    location / { proxy_pass http://@origin@; }
    location /wide { auth wide; forward_token on; proxy_pass http://@origin@; }
    location /baked {
        auth baked;
        cors { origins https://app.example.com; credentials on; }
        proxy_pass http://@origin@;
    }
    location /good { auth off; proxy_pass http://@origin@; }
}
"""
HOST = "api.example.com"


@pytest.fixture(scope="module")
def values(tmp_path_factory, rsa_key):
    keys = tmp_path_factory.mktemp("keys") / "jwks.json"
    keys.write_text(json.dumps(key_set(rsa_key)))
    return {"keys": keys}


def cookie(token: str) -> str:
    return f"Cookie: theme=dark; session={token}"


def test_A06_one_of_several_places(gateway, origin, rsa_key):
    token = rsa_key.token()
    for data in (
        get("/wide/x", bearer(token)),
        get("/wide/x", cookie(token)),
        get(f"/wide/x?access_token={token}"),
        get("/wide/x", cookie(token), "Authorization: Basic eDp5"),
    ):
        assert gateway.request(data).status == 200
        assert origin.last.get("x-auth-subject") == "alice"
    check_answer(gateway.request(get("/wide/x")), 401, "token_missing", closed=False)
    check_invalid_token(gateway.request(get("/wide/x", cookie("a.b.c"))), "token_malformed")
    check_answer(gateway.request(get("/baked/x", bearer(token))), 401, "token_missing", closed=False)


def test_A06_two_places_are_one_too_many(gateway, origin, rsa_key):
    token, other = rsa_key.token(), rsa_key.token(sub="bob")
    origin.reset()
    for data in (
        get("/wide/x", bearer(token), cookie(token)),
        get(f"/wide/x?access_token={token}", bearer(token)),
        get(f"/wide/x?access_token={token}", cookie(other)),
        get("/wide/x", bearer("x"), cookie(token)),
        get(f"/wide/x?access_token={token}&access_token={other}"),
        get("/wide/x", f"Cookie: session={token}; session={other}"),
        get("/wide/x", f"Cookie: session={token}", f"Cookie: session={other}"),
    ):
        check_answer(gateway.request(data), 400, "invalid_request", closed=False)
    expect_only_good_at(origin)


def test_A06_where_only_the_header_counts_the_query_is_nothing(gateway, origin, rsa_key):
    token = rsa_key.token()
    assert gateway.request(get(f"/x?access_token={rsa_key.token(sub='bob')}", bearer(token))).status == 200
    assert origin.last.get("x-auth-subject") == "alice"
    response = gateway.request(get(f"/x?access_token={token}", cookie(token)))
    check_answer(response, 401, "token_missing", closed=False)
    wait_until(lambda: any("access_token=***" in line["path"] for line in gateway.access_log()))
    assert "eyJ" not in json.dumps(gateway.access_log()) and "eyJ" not in gateway.log


def test_A16_cookie_and_query_tokens_are_never_forwarded(gateway, origin, rsa_key):
    token = rsa_key.token()
    response = gateway.request(get(f"/wide/x?a=1&access_token={token}&b=2"))
    assert response.status == 200 and response.all("cache-control") == ["no-store"]
    assert origin.last.target == "/wide/x?a=1&b=2"
    response = gateway.request(get("/wide/x", cookie(token)))
    assert response.status == 200 and response.all("cache-control") == ["private"]
    assert origin.last.get("cookie") == "theme=dark"
    response = gateway.request(get("/wide/x", bearer(token)))
    assert response.status == 200 and response.all("cache-control") == []
    assert origin.last.get("authorization") == f"Bearer {token}", "forward_token is for the header"


FOREIGN = [
    ("Origin: https://evil.example",),
    ("Origin: null",),
    ("Origin: http://api.example.com.evil.example",),
    ("Sec-Fetch-Site: cross-site",),
    ("Sec-Fetch-Site: same-site",),
    ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site"),
]


@pytest.mark.parametrize("fields", FOREIGN)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_A14_foreign_pages_change_nothing(gateway, origin, rsa_key, method, fields):
    origin.reset()
    response = gateway.request(get("/baked/x", cookie(rsa_key.token()), *fields, method=method, host=HOST))
    check_answer(response, 403, "origin_denied", closed=False)
    expect_only_good_at(origin)


def test_A14_a_websocket_of_a_foreign_page(gateway, origin, rsa_key):
    origin.reset()
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eDp5")
    response = gateway.request(
        get("/baked/x", cookie(rsa_key.token()), *upgrade, "Origin: https://evil.example", host=HOST)
    )
    check_answer(response, 403, "origin_denied", closed=False)
    expect_only_good_at(origin)


@pytest.mark.parametrize(
    "fields",
    [
        ("Origin: http://api.example.com",),
        ("Origin: https://app.example.com", "Sec-Fetch-Site: same-site"),
        ("Origin: http://api.example.com", "Sec-Fetch-Site: same-origin"),
        (),
    ],
)
def test_A14_own_and_trusted_pages_may(gateway, rsa_key, fields):
    assert gateway.request(post("/baked/x", b"a=b", cookie(rsa_key.token()), *fields, host=HOST)).status == 200


def test_A14_reading_and_headers_are_free(gateway, rsa_key):
    token = rsa_key.token()
    evil = "Origin: https://evil.example"
    assert gateway.request(get("/baked/x", cookie(token), evil, host=HOST)).status == 200
    assert gateway.request(get("/wide/x", bearer(token), evil, method="DELETE", host=HOST)).status == 200
    check_invalid_token(
        gateway.request(get("/baked/x", cookie("a.b.c"), evil, method="DELETE", host=HOST)), "token_malformed"
    )
