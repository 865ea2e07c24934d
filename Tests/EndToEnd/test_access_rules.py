"""Who may do what: lists, claims, policies, methods, roles and captures (security rows J60, J61, J64, A12, P02)."""

import json
import signal
import time

import pytest

from harness.raw import get
from harness.refusals import check_answer, expect_refusal
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
roles_file @roles@;
policy strong {{ require claim amr contains mfa; }}
policy admins {{ require permission read:admin; require_policy strong; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
    location /data/ {{ require permission read:data; proxy_pass http://@origin@; }}
    location /several/ {{ require permission a b; require scope c; require any permission d e; proxy_pass http://@origin@; }}
    location /any/ {{
        require any {{ permission a; claim tenant = acme; all {{ scope x; not role guest; }} }}
        proxy_pass http://@origin@;
    }}
    location /role/ {{ require role "site admin"; proxy_pass http://@origin@; }}
    location /claim/ {{ require claim app.tenant in acme "a b"; require claim level >= 2; proxy_pass http://@origin@; }}
    location /odd/ {{ require claim "https://example.com/plan" = pro; proxy_pass http://@origin@; }}
    location /strong/ {{ require_policy strong; proxy_pass http://@origin@; }}
    location /admins/ {{ require_policy admins; proxy_pass http://@origin@; }}
    location /methods/ {{ permissions {{ GET read:data; POST,PUT write:data; }} proxy_pass http://@origin@; }}
    location /rest/ {{ permissions {{ GET read:data; * write:data; }} proxy_pass http://@origin@; }}
    location /wild/ {{ grant_wildcards on; require permission read:data; proxy_pass http://@origin@; }}
    location /header/ {{ require claim tenant = $http_x_tenant; proxy_pass http://@origin@; }}
    location ~ "^/t/(?<tenant>[A-Za-z0-9._%-]{{1,32}})/" {{ require claim tenant = $tenant; proxy_pass http://@origin@; }}
}}
"""
ROLES = {"roles": {"reader": ["read:data"], "site admin": ["read:data", "write:data"], "star": ["read:*"]}}


@pytest.fixture(scope="module")
def values(rsa_key, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    (folder / "jwks.json").write_text(json.dumps(key_set(rsa_key)))
    (folder / "roles.json").write_text(json.dumps(ROLES))
    return {"keys": folder / "jwks.json", "roles": folder / "roles.json"}


def expect_allowed(gateway, origin, path: str, token: str, *fields: str, method: str = "GET") -> None:
    origin.reset()
    response = gateway.request(get(path, bearer(token), *fields, method=method))
    assert response.status == 200, (path, response.status, response.body)
    assert origin.last.method == method


def expect_denied(gateway, origin, path: str, token: str, code: str, *fields: str, method: str = "GET", scope=None) -> None:
    data = get(path, bearer(token), *fields, method=method)
    response = expect_refusal(gateway, origin, data, 403, code, closed=False, method=method)
    challenge = response.get("www-authenticate")
    if code != "insufficient_scope":
        # RFC 6750 section 3.1: more scope would not help.
        assert challenge is None
        return
    assert challenge.startswith("Bearer ") and 'error="insufficient_scope"' in challenge
    assert (f', scope="{scope}"' in challenge) if scope else ("scope=" not in challenge), challenge


@pytest.mark.parametrize(
    "permissions",
    [5, {"read:data": 1}, [1, "read:data"], ["read:data", None], True, ["read:database"], ["unread:data"], [["read:data"]]],
    ids=repr,
)
def test_J60_permissions_of_another_type(gateway, origin, rsa_key, permissions):
    token = rsa_key.token(permissions=permissions)
    expect_denied(gateway, origin, "/data/x", token, "insufficient_scope", scope="read:data")


@pytest.mark.parametrize("claim", ["scope", "scp"])
def test_J60_string_or_array(gateway, origin, rsa_key, claim):
    base = {"permissions": ["a", "b", "d"]}
    for value in ("c", "x c y", ["c"], ["x", "c"]):
        expect_allowed(gateway, origin, "/several/x", rsa_key.token(**base, **{claim: value}))
    for value in ("cc", "x,c", ["c x"], [["c"]], {"c": 1}, 5, ["c", 1]):
        token = rsa_key.token(**base, **{claim: value})
        expect_denied(gateway, origin, "/several/x", token, "insufficient_scope", scope="c")


def test_J61_the_challenge_names_what_is_missing(gateway, origin, rsa_key):
    token = rsa_key.token(permissions=["a"])
    expect_denied(gateway, origin, "/several/x", token, "insufficient_scope", scope="b c d e")
    token = rsa_key.token(permissions=["b", "e"], scope="c")
    expect_denied(gateway, origin, "/several/x", token, "insufficient_scope", scope="a")
    expect_denied(gateway, origin, "/role/x", rsa_key.token(roles=["x"]), "insufficient_scope")
    expect_denied(gateway, origin, "/any/x", rsa_key.token(), "insufficient_scope", scope="a x")


def test_any_of_several(gateway, origin, rsa_key):
    for claims in ({"permissions": ["a"]}, {"tenant": "acme"}, {"scope": "x"}, {"scp": ["x"], "roles": ["user"]}):
        expect_allowed(gateway, origin, "/any/x", rsa_key.token(**claims))
    token = rsa_key.token(scope="x", realm_access={"roles": ["guest"]})
    expect_denied(gateway, origin, "/any/x", token, "insufficient_scope", scope="a")


def test_conditions_on_claims(gateway, origin, rsa_key):
    for tenant, level in (("acme", 2), ("a b", 2.5), ("acme", 10**30)):
        expect_allowed(gateway, origin, "/claim/x", rsa_key.token(app={"tenant": tenant}, level=level))
    wrong = [("acme", 1), ("acme", "2"), ("acme", None), ("ACME", 2), (["acme"], 2), (5, 2), ("acme", [2]), ("acme", True)]
    for tenant, level in wrong:
        token = rsa_key.token(app={"tenant": tenant}, level=level)
        expect_denied(gateway, origin, "/claim/x", token, "access_denied")
    expect_denied(gateway, origin, "/claim/x", rsa_key.token(**{"app.tenant": "acme"}, level=2), "access_denied")
    expect_allowed(gateway, origin, "/odd/x", rsa_key.token(**{"https://example.com/plan": "pro"}))
    token = rsa_key.token(https={"//example": {"com/plan": "pro"}})
    expect_denied(gateway, origin, "/odd/x", token, "access_denied")


def test_policies(gateway, origin, rsa_key):
    expect_allowed(gateway, origin, "/strong/x", rsa_key.token(amr=["pwd", "mfa"]))
    expect_allowed(gateway, origin, "/admins/x", rsa_key.token(amr="mfa", permissions=["read:admin"]))
    for path in ("/strong/x", "/admins/x"):
        expect_denied(gateway, origin, path, rsa_key.token(permissions=["read:admin"]), "policy_violation")
    expect_denied(gateway, origin, "/admins/x", rsa_key.token(amr=["mfa"]), "policy_violation")


def test_J64_each_route_asks_anew(gateway, origin, rsa_key):
    token = rsa_key.token(permissions=["read:data"], tenant="acme", amr=["pwd"])
    with gateway.connect() as client:
        for _ in range(3):
            for path, status in (("/data/", 200), ("/strong/", 403), ("/t/acme/", 200), ("/t/other/", 403), ("/claim/", 403)):
                assert client.request(get(path, bearer(token))).status == status, path
    assert gateway.metrics().sum("gateway_jwt_cache_hits_total") > 10


def test_method_to_permission(gateway, origin, rsa_key):
    reader, writer = rsa_key.token(permissions=["read:data"]), rsa_key.token(permissions=["write:data"])
    for method in ("GET", "HEAD"):
        expect_allowed(gateway, origin, "/methods/x", reader, method=method)
        expect_denied(gateway, origin, "/methods/x", writer, "insufficient_scope", method=method, scope="read:data")
    for method in ("POST", "PUT"):
        expect_allowed(gateway, origin, "/methods/x", writer, "Content-Length: 0", method=method)
        expect_denied(gateway, origin, "/methods/x", reader, "insufficient_scope", method=method, scope="write:data")
    for method in ("DELETE", "PATCH", "OPTIONS", "get", "PROPFIND"):
        expect_denied(gateway, origin, "/methods/x", writer, "access_denied", method=method)
        expect_allowed(gateway, origin, "/rest/x", writer, method=method)
        expect_denied(gateway, origin, "/rest/x", reader, "insufficient_scope", method=method, scope="write:data")


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
def test_A12_the_real_method_counts(gateway, origin, rsa_key, name):
    reader = rsa_key.token(permissions=["read:data"])
    for method, override in (("POST", "GET"), ("POST", "HEAD")):
        expect_denied(
            gateway, origin, "/methods/x", reader, "insufficient_scope", f"{name}: {override}", method=method,
            scope="write:data",
        )  # fmt: skip
    expect_allowed(gateway, origin, "/methods/x", reader, f"{name}: DELETE")
    expect_denied(gateway, origin, "/methods/x?_method=GET", reader, "access_denied", f"{name}: GET", method="DELETE")


def test_roles_grant_permissions(gateway, origin, rsa_key):
    for claims in ({"roles": ["reader"]}, {"role": "reader"}, {"realm_access": {"roles": ["x", "reader"]}}):
        expect_allowed(gateway, origin, "/data/x", rsa_key.token(permissions=None, **claims))
        assert origin.last.get("x-auth-permissions") == "read:data"
        token = rsa_key.token(permissions=None, **claims)
        expect_denied(gateway, origin, "/methods/x", token, "insufficient_scope", method="PUT", scope="write:data")
    expect_allowed(gateway, origin, "/role/x", rsa_key.token(roles="site admin"))
    for roles in (["readers"], "reader x", [["reader"]], {"reader": 1}, [5, "reader"]):
        token = rsa_key.token(permissions=None, roles=roles)
        expect_denied(gateway, origin, "/data/x", token, "insufficient_scope", scope="read:data")


def test_wildcards_are_granted_where_that_is_said(gateway, origin, rsa_key):
    for permission in ("read:*", "*:data", "*", "*:*"):
        token = rsa_key.token(permissions=[permission])
        expect_allowed(gateway, origin, "/wild/x", token)
        expect_denied(gateway, origin, "/data/x", token, "insufficient_scope", scope="read:data")
    for permission in ("re*:data", "read:*:x", "read:", ":*", "read:data*", "*:database"):
        token = rsa_key.token(permissions=[permission])
        expect_denied(gateway, origin, "/wild/x", token, "insufficient_scope", scope="read:data")
    expect_allowed(gateway, origin, "/wild/x", rsa_key.token(permissions=None, roles=["star"]))
    token = rsa_key.token(permissions=None, roles=["star"])
    expect_denied(gateway, origin, "/data/x", token, "insufficient_scope", scope="read:data")


def test_claims_are_compared_with_the_request(gateway, origin, rsa_key):
    token = rsa_key.token(tenant="acme")
    expect_allowed(gateway, origin, "/header/x", token, "X-Tenant: acme")
    expect_denied(gateway, origin, "/header/x", token, "access_denied")
    expect_denied(gateway, origin, "/header/x", token, "access_denied", "X-Tenant: other")
    # Of two fields nobody knows which one the upstream believes.
    expect_denied(gateway, origin, "/header/x", token, "access_denied", "X-Tenant: acme", "X-Tenant: acme")
    expect_denied(gateway, origin, "/header/x", rsa_key.token(tenant=""), "access_denied", "X-Tenant:")
    # What would not reach the upstream decides nothing.
    expect_denied(gateway, origin, "/header/x", token, "access_denied", "X_Tenant: acme")
    expect_denied(gateway, origin, "/header/x", token, "access_denied", "X-Tenant: acme", "X_Tenant: other")
    expect_denied(gateway, origin, "/header/x", token, "access_denied", "X-Tenant: acme", "Connection: X-Tenant")


def test_claims_are_compared_with_the_path(gateway, origin, rsa_key):
    token = rsa_key.token(tenant="acme")
    expect_allowed(gateway, origin, "/t/acme/x", token)
    expect_allowed(gateway, origin, "/t/%61cme/x", token)
    expect_denied(gateway, origin, "/t/other/x", token, "access_denied")
    expect_denied(gateway, origin, "/t/acme/../other/x", token, "access_denied")
    expect_denied(gateway, origin, "/t/acmex/x", token, "access_denied")


@pytest.mark.parametrize(
    "path",
    ["/t/acme%2f..%2fother/x", "/t/acme%252f/x", "/t/ACME/x", "/t/ac%256de/x", "/t/acme./x", "/t//acme/x", "/t/acme%20/x"],
)
def test_P02_another_value_of_a_capture(gateway, origin, rsa_key, path):
    data = get(path, bearer(rsa_key.token(tenant="acme")))
    expect_refusal(gateway, origin, data, 400, "path_ambiguous", closed=False)


def reloads(gateway, result: str) -> float:
    return gateway.metrics().sum("gateway_roles_file_reloads_total", result=result)


def test_roles_file_is_read_when_it_changes(start, origin, rsa_key, values, tmp_path):
    roles = tmp_path / "roles.json"
    roles.write_text(json.dumps({"roles": {"reader": ["read:data"]}}))
    gateway = start(CONFIGURATION, keys=values["keys"], roles=roles)
    token = rsa_key.token(permissions=None, roles=["reader"])
    with gateway.connect() as client:
        assert client.request(get("/data/x", bearer(token))).status == 200
        assert origin.last.get("x-auth-permissions") == "read:data"
        began = time.monotonic()
        roles.write_text(json.dumps({"roles": {"reader": ["read:other"]}}))
        # The token is still known: what its role grants is asked anew.
        wait_until(lambda: client.request(get("/data/x", bearer(token))).status == 403, 3)
        assert time.monotonic() - began < 1
        response = client.request(get("/data/x", bearer(token)))
        check_answer(response, 403, "insufficient_scope", closed=False)
        assert client.request(get("/x", bearer(token))).status == 200
        assert origin.last.get("x-auth-permissions") == "read:other"
        roles.write_text('{"roles": {"reader": ["read:data",]}}')
        gateway.wait_for_notice("roles.json:1:35: error: this is not JSON")
        assert client.request(get("/data/x", bearer(token))).status == 403
        assert (reloads(gateway, "ok"), reloads(gateway, "failed")) == (1, 1)
        # As editors and configuration managers do it.
        other = tmp_path / "new"
        other.write_text(json.dumps({"roles": {"reader": ["read:data"]}}))
        other.rename(roles)
        wait_until(lambda: client.request(get("/data/x", bearer(token))).status == 200, 3)
        assert origin.last.get("x-auth-permissions") == "read:data"
    assert reloads(gateway, "ok") == 2
    gateway.wait_for_log_line(lambda line: line["auth_cache"] == "hit" and line["auth_reason"] == "insufficient_scope")


def test_a_bad_roles_file_stops_a_reload(start, origin, rsa_key, values, tmp_path):
    roles = tmp_path / "roles.json"
    roles.write_text(json.dumps(ROLES))
    gateway = start(CONFIGURATION, keys=values["keys"], roles=roles)
    roles.write_text('{"roles": []}')
    gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.metrics().sum("gateway_config_reloads_total", result="failed") == 1)
    assert 'roles.json:1:11: error: "roles" is an object' in gateway.log
    token = rsa_key.token(permissions=None, roles=["reader"])
    assert gateway.request(get("/data/x", bearer(token))).status == 200


def test_the_log_names_the_line_that_demanded_it(start, origin, rsa_key, values):
    gateway = start(CONFIGURATION.replace("error_log stderr notice", "error_log stderr info"), **values)
    lines = CONFIGURATION.splitlines()
    cases = (("/data/x", "GET", "read:data;"), ("/strong/x", "GET", "require_policy strong"), ("/methods/x", "DELETE", "POST,PUT"))
    for path, method, text in cases:
        token = rsa_key.token(permissions=["other"])
        assert gateway.request(get(path, bearer(token), method=method)).status == 403
        location = path.removesuffix("x")
        number = next(n for n, line in enumerate(lines, 1) if f"location {location} " in line and text in line)
        gateway.wait_for_notice(f"demanded by {gateway.file}:{number}:")
