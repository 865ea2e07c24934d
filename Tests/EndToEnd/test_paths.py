"""The one path that is matched, authorised and forwarded, and the guard against paths that servers read otherwise."""

import time

import pytest

from harness.jwks import KeyServer
from harness.raw import Client, get
from harness.refusals import expect_refusal
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; jwks @jwks@; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ auth off; proxy_pass http://@origin@; }}
    location /api/ {{ require permission read:data; proxy_pass http://@origin@; }}
    location /api/admin/ {{ require permission read:admin_panel; proxy_pass http://@origin@; }}
    location /public/ {{ auth off; proxy_pass http://@origin@; }}
    location /admin {{ require permission read:admin_panel; proxy_pass http://@origin@; }}
    location /files/ {{ proxy_pass http://@origin@; }}
}}
server {{
    listen 127.0.0.1:@port2@;
    auth main;
    location /api {{ proxy_pass http://@origin@; }}
    location /public/ {{ auth off; proxy_pass http://@origin@; }}
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
    wait_until(lambda: gateway.request(get("/api/x", bearer(token))).status == 200, what="keys arrive")
    return token


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/./api/x", "/api/"),
        ("/x/../api/admin/x", "/api/admin/"),
        ("/x/%2e%2e/api/x", "/api/"),
        ("/x/%2E%2e/api/x", "/api/"),
        ("/%61pi/x", "/api/"),
        ("/%61%70%69/x", "/api/"),
        ("/public/../api/x", "/api/"),
        ("/x/.%2e/api/x", "/api/"),
        ("/api/./x", "/api/"),
        ("/public/%2e/../api/x", "/api/"),
    ],
)
def test_P01_protected_whatever_the_spelling(gateway, origin, path, location):
    response = gateway.request(get(path))
    assert response.status == 401 and response.code == "token_missing"
    assert origin.received == b""


@pytest.mark.parametrize(
    ("path", "forwarded"),
    [
        ("/public/./a", "/public/a"),
        ("/public/b/../a", "/public/a"),
        ("/public/%2e%2e/public/a", "/public/a"),
        ("/public/%61?x=%2e%2e/../y", "/public/%61?x=%2e%2e/../y"),
        ("/public/a/..", "/public/"),
        ("/public/a/.", "/public/a/"),
        ("/public/...", "/public/..."),
        ("/public/a%7eb", "/public/a%7eb"),
        ("/public/%7E%7e", "/public/%7E%7e"),
        ("/public/.a/..b", "/public/.a/..b"),
        ("/public//../api/x", "/public/api/x"),
    ],
)
def test_P01_dots_resolved_all_else_as_it_came(gateway, origin, path, forwarded):
    assert gateway.request(get(path)).status == 200
    assert origin.last.target == forwarded


@pytest.mark.parametrize("path", ["/..", "/../x", "/public/../../x", "/%2e%2e/x", "/a/b/../../../x", "/./../x"])
def test_P01_above_the_root(gateway, origin, path):
    expect_refusal(gateway, origin, get(path), 400, "path_invalid", closed=False)


@pytest.mark.parametrize(
    "path",
    [
        "//api//admin/x",
        "/public/..%2fapi/x",
        "/public/%2e%2e%2fapi/x",
        "/public/..%5capi/x",
        "/api;x=/public",
        "/api;x/admin/x",
        "/public/..;/api/x",
        "/;x/admin",
        "/public/%252e%252e/api/x",
        "/public/..%252fapi/x",
        "/public/%c0%ae%c0%ae/api/x",
        "/public/%ef%bc%8e%ef%bc%8e/api/x",
        "/API/admin/x",
        "/Api/x",
        "/api%2fadmin/x",
        "/api/admin.",
        "/admin.",
        "/admin%0a",
        "/%09admin",
        "/admin%3f",
        "/admin%23x",
        "/%20/admin",
        "/admin%20",
        "/%2fadmin",
        "/x/..%c0%afadmin",
        "/%61dmin;jsessionid=1",
        "/admin;",
        "/ADMIN",
        "/public/x;/../../admin",
    ],
)
def test_P02_readings_with_other_access(gateway, origin, path):
    response = gateway.request(get(path))
    if response.status == 401:
        assert response.code == "token_missing", "refused by the location it falls into"
        assert origin.received == b""
        return
    expect_refusal(gateway, origin, get(path), 400, "path_ambiguous", closed=False)


@pytest.mark.parametrize(
    "path",
    [
        "/api%2fadmin/x",
        "/api/admin.",
        "/API/admin/x",
        "/api;x/admin/x",
        "/api/%252e%252e/admin/x",
    ],
)
def test_P02_readings_refused_with_a_token_too(gateway, origin, token, path):
    origin.reset()
    response = gateway.request(get(path, bearer(token)))
    assert response.status in (400, 403), response.status
    assert response.code in ("path_ambiguous", "insufficient_scope")
    assert origin.received == b""


@pytest.mark.parametrize(
    "path",
    [
        "/public/a%2Fb",
        "/public/shop;v=1",
        "/public/a%5cb",
        "/public//a",
        "/public/A%20b",
        "/public/%c3%a9",
        "/public/a%253fb",
        "/public/x.",
        "/public/%3f",
        "/public/a%2fb;c=d//e%252f?x=%2f..%2f",
    ],
)
def test_P03_same_access_passes_byte_for_byte(gateway, origin, path):
    assert gateway.request(get(path)).status == 200
    assert origin.last.target == path


@pytest.mark.parametrize("path", ["/a%2Fb/files/x", "/files/a%2Fb", "/files/shop;v=1"])
def test_P03_protected_too(gateway, origin, token, path):
    origin.reset()
    assert gateway.request(get(path, bearer(token))).status == 200
    assert origin.last.target == path


@pytest.mark.parametrize("path", ["/%00", "/a%zz", "/a%", "/a%2", "/a\\b", "/a%2g", "/public/%00", "/x%00?a=1"])
def test_P04_invalid_path(gateway, origin, path):
    expect_refusal(gateway, origin, get(path), 400, "path_invalid", closed=False)


@pytest.mark.parametrize("unit", ["%252f;/../", "%2f;a", "/..;/%5c", "%252e%252e/"])
def test_P05_cost_of_the_guard_is_bounded(gateway, origin, unit):
    path = "/public/" + (unit * (8192 // len(unit)))
    started = time.monotonic()
    with gateway.connect() as client:
        for _ in range(20):
            assert client.request(get(path)).status in (200, 400, 401)
    assert time.monotonic() - started < 2, "twenty hostile paths took too long"


@pytest.mark.parametrize("path", ["/apiadmin", "/apix", "/ap", "/publicx/"])
def test_P06_unknown_paths_are_never_public(gateway, origin, path):
    """The second server has no location /: what no location matches falls to its `auth`."""
    with Client(gateway.values["port2"]) as client:
        response = client.request(get(path))
        assert response.status == 401 and response.code == "token_missing"
    assert origin.received == b""


def test_P06_not_found_with_a_token(gateway, origin, token):
    origin.reset()
    with Client(gateway.values["port2"]) as client:
        response = client.request(get("/apiadmin", bearer(token)))
        assert response.status == 404 and response.code == "not_found"
    assert origin.received == b""


@pytest.mark.parametrize(
    ("path", "protected"),
    [
        ("/admin", True),
        ("/admin/", True),
        ("/admin/x", True),
        ("/adminx", False),
        ("/api/admin/", True),
        ("/api/admin/x", True),
        ("/apix", False),
        ("/api/", True),
    ],
)
def test_P07_prefixes_are_segments(gateway, origin, path, protected):
    response = gateway.request(get(path))
    assert response.status == (401 if protected else 200)
    assert bool(origin.received) != protected


@pytest.mark.parametrize("query", ["permissions=read:data", "access_token=@", "token=@", "Authorization=Bearer%20@"])
def test_P12_query_has_no_meaning(gateway, origin, rsa_key, query):
    path = "/api/x?" + query.replace("@", rsa_key.token())
    expect_refusal(gateway, origin, get(path), 401, "token_missing", closed=False)
