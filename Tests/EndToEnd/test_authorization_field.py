"""The Authorization field and the identity that goes to the upstream (security rows A01–A08, A11, A12)."""

import json

import pytest

from harness.raw import get, post
from harness.refusals import check_answer, expect_refusal
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
    identity_headers {{
        X-Auth-Subject $auth_subject;
        X-Auth-Permissions $auth_permissions;
        X-Auth-Provider $auth_provider;
    }}
    location / {{ proxy_pass http://@origin@; }}
    location /forward/ {{ forward_token on; proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
    location /public/ {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(rsa_key)))
    return {"keys": file}


@pytest.fixture
def token(rsa_key):
    return rsa_key.token()


def expect_invalid_request(gateway, origin, *lines: str, path: str = "/x") -> None:
    response = expect_refusal(gateway, origin, get(path, *lines), 400, "invalid_request", closed=False)
    assert 'error="invalid_request"' in response.get("www-authenticate")


@pytest.mark.parametrize("path", ["/x", "/public/x"])
@pytest.mark.parametrize("second", ["Bearer x.y.z", "Basic eA==", ""])
def test_A01_two_fields(gateway, origin, token, second, path):
    origin.reset()
    response = gateway.request(get(path, bearer(token), f"Authorization: {second}"))
    assert response.status == 400 and response.code == "invalid_request"
    assert origin.received == b""


def test_A01_two_fields_are_counted(gateway, origin, token):
    expect_refusal(gateway, origin, get("/x", bearer(token), bearer(token)), 400, "invalid_request", closed=False)


@pytest.mark.parametrize("rest", [",", ", Bearer x.y.z", ",Basic eA==", " , x"])
def test_A01_comma_joined(gateway, origin, token, rest):
    expect_invalid_request(gateway, origin, bearer(token) + rest)


@pytest.mark.parametrize(
    "value",
    [
        'Digest username="a", realm="b", nonce="c"',
        "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c",
        "Bearer a, b",
    ],
)
def test_A01_commas_pass_where_no_auth_applies(gateway, origin, value):
    assert gateway.request(get("/public/x", f"Authorization: {value}")).status == 200
    assert origin.last.get("authorization") == value


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer", "bEaReR"])
def test_A02_scheme_in_any_case(gateway, origin, token, scheme):
    assert gateway.request(get("/x", f"Authorization: {scheme} {token}")).status == 200


@pytest.mark.parametrize(
    "template", ["Bearer  @", "Bearer     @", " Bearer @", "\tBearer @", "Bearer @ ", "Bearer @\t", "  Bearer  @  \t"]
)
def test_A03_blanks_that_are_fine(gateway, origin, token, template):
    assert gateway.request(get("/x", "Authorization:" + template.replace("@", token))).status == 200


@pytest.mark.parametrize("template", ["Bearer\t@", "Bearer \t@", "Bearer\t @"])
def test_A03_tab_between(gateway, origin, token, template):
    expect_invalid_request(gateway, origin, "Authorization: " + template.replace("@", token))


@pytest.mark.parametrize(
    "template", ["Bearer", "bearer", "Bearer@", "BEARER@", "@", "bearerx", "Bearer:@", "Bearer=@", "a.b.c"]
)
def test_A04_no_token_or_no_scheme(gateway, origin, token, template):
    expect_invalid_request(gateway, origin, "Authorization: " + template.replace("@", token))


@pytest.mark.parametrize(
    "value",
    ["Basic YWxpY2U6c2VjcmV0", "Digest x", "Negotiate abc", "DPoP a.b.c", "Token abc", "Basic", "abc", "a.b", ""],
)
def test_A05_other_scheme(gateway, origin, value):
    line = f"Authorization: {value}"
    response = expect_refusal(gateway, origin, get("/x", line), 401, "token_missing", closed=False)
    assert "error" not in response.get("www-authenticate")


@pytest.mark.parametrize("argument", ["access_token=@", "a=1&access_token=@&b=2", "token=@", "jwt=@"])
def test_A06_token_in_a_query_is_ignored_and_masked(gateway, origin, token, argument):
    """Only the header was enabled: a token in the query lets nobody in, and stands in no log."""
    query = argument.replace("@", token)
    expect_refusal(gateway, origin, get(f"/x?{query}"), 401, "token_missing", closed=False)
    assert gateway.request(get(f"/x?{query}", bearer(token))).status == 200
    assert origin.last.target == f"/x?{query}" and origin.last.get("x-auth-subject") == "alice"
    other = query.replace(token, "other")
    assert gateway.request(get(f"/x?{other}", bearer(token))).status == 200
    masked = "/x?" + argument.replace("@", "***")
    gateway.wait_for_log_line(lambda line: line["status"] == 200 and line["path"] == masked)
    assert "other" not in (gateway.folder / "access.log").read_text()
    assert token not in (gateway.folder / "access.log").read_text() and token not in gateway.log


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "TRACE"])
def test_A12_method_override_means_nothing(gateway, origin, token, name, method):
    field, body = f"{name}: {method}", b"_method=DELETE"
    expect_refusal(gateway, origin, post("/x", body, field), 401, "token_missing", closed=False, method="POST")
    assert gateway.request(post(f"/x?_method={method}", body, field, bearer(token))).status == 200
    assert origin.last.line == f"POST /x?_method={method} HTTP/1.1" and origin.last.body == body


@pytest.mark.parametrize(
    "data",
    [
        get("/x", "User-Agent: kube-probe/1.31"),
        get("/x", "User-Agent: ELB-HealthChecker/2.0"),
        get("/x?auth=off&public=1"),
        get("/x?path=/public/x"),
        get("/x?/public/x"),
        get("/x", method="PROPFIND"),
        get("/x", method="get"),
        get("/x", method="OPTIONS"),
        get("/x", "Upgrade: websocket", "Connection: upgrade"),
        get("/x", "X-Original-URL: /public/x", "X-Rewrite-URL: /public/x"),
        get("/x", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1"),
    ],
)
def test_A11_nothing_else_lets_anybody_in(gateway, origin, data):
    expect_refusal(gateway, origin, data, 401, "token_missing", closed=False)


SPOOFED = [
    "X-Auth-Subject: admin",
    "x-auth-subject: admin",
    "X-AUTH-SUBJECT: admin",
    "x_auth_subject: admin",
    "X-AUTH_SUBJECT: admin",
    "X_Auth-Subject: admin",
    "X-Auth-Permissions: read:admin_panel",
    "x_auth_permissions: read:admin_panel",
    "X-Auth-Provider: root",
    "X_AUTH_PROVIDER: root",
]


@pytest.mark.parametrize("spoofed", SPOOFED)
def test_A07_spoofed_identity_is_removed_everywhere(gateway, origin, token, spoofed):
    value = spoofed.split(": ")[1]
    assert gateway.request(get("/x", spoofed, bearer(token), spoofed)).status == 200
    seen = origin.last
    assert seen.get("x-auth-subject") == "alice" and seen.get("x-auth-provider") == "main"
    assert value not in [found for _, found in seen.fields]
    assert gateway.request(get("/public/x", spoofed, spoofed)).status == 200
    assert not {name.replace("_", "-") for name in origin.last.names()} & {
        "x-auth-subject",
        "x-auth-permissions",
        "x-auth-provider",
    }


def test_A07_with_underscores_allowed(start, origin, values, token):
    own = start(
        CONFIGURATION.replace("worker_processes 1;", "worker_processes 1; underscores_in_headers on;"), **values
    )
    assert own.request(get("/public/x", *SPOOFED, "x_plain: 1")).status == 200
    assert "x_plain" in origin.last.names()
    assert not any("auth" in name for name in origin.last.names())


@pytest.mark.parametrize(
    "nominated",
    [
        "X-Auth-Subject",
        "x-auth-subject, X-Auth-Permissions, X-Auth-Provider",
        "X-Forwarded-For, X-Request-ID",
        "close, X-Auth-Subject",
        "x_auth_subject",
    ],
)
def test_A08_connection_cannot_strip_our_fields(gateway, origin, token, nominated):
    assert gateway.request(get("/x", f"Connection: {nominated}", bearer(token))).status == 200
    seen = origin.last
    assert seen.get("x-auth-subject") == "alice" and seen.get("x-auth-provider") == "main"
    assert seen.get("x-auth-permissions") and seen.get("x-forwarded-for") and seen.get("x-request-id")


def test_A08_connection_nominates_authorization(gateway, origin, token):
    """The token is judged before anything is removed, and a removed one gives nobody access."""
    response = gateway.request(get("/x", "Connection: Authorization", bearer(token)))
    if response.status == 200:
        assert origin.last.get("x-auth-subject") == "alice"
    else:
        check_answer(response, 401, "token_missing", closed=False)
        assert origin.received == b""


def test_identity_fields(gateway, origin, rsa_key):
    token = rsa_key.token(sub="bob", permissions=["read:data", "write:data"])
    assert gateway.request(get("/x", bearer(token))).status == 200
    seen = origin.last
    assert seen.get("x-auth-subject") == "bob" and seen.get("x-auth-provider") == "main"
    assert set(seen.get("x-auth-permissions").replace(",", " ").split()) == {"read:data", "write:data"}


@pytest.mark.parametrize("subject", ["a\r\nX-Evil: 1", "a\u0000b", "é", "a%b", " a ", "a\u2028b", "a\tb", "a\nb"])
def test_U02_claims_cannot_split_a_request(gateway, origin, rsa_key, subject):
    response = gateway.request(get("/x", bearer(rsa_key.token(sub=subject))))
    assert response.status in (200, 401)
    if response.status == 200:
        written = origin.last.get("x-auth-subject")
        assert written is None or (written.isascii() and written.isprintable() and written != subject)
        assert "x-evil" not in origin.last.names()


def test_token_is_not_forwarded_unless_asked(gateway, origin, token):
    gateway.request(get("/x", bearer(token)))
    assert origin.last.get("authorization") is None
    gateway.request(get("/forward/x", bearer(token)))
    assert origin.last.get("authorization") == f"Bearer {token}"
