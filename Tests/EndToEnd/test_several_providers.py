"""Locations that ask any or all of several providers, and claims that are told to the origin."""

import json

import pytest

from harness.raw import get
from harness.refusals import check_invalid_token, expect_refusal
from harness.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set

OTHER = "https://other.example.com"

CONFIGURATION = f"""
worker_processes 2;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider first  jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @first@; }}
auth_provider second jwt {{ issuer {OTHER}; audience {AUDIENCE}; key_file @second@; }}
auth_provider strict jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @first@; required_claims exp sub sid; }}
server {{
    listen 127.0.0.1:@port@;
    auth any first second;
    location / {{ proxy_pass http://@origin@; }}
    location /first/ {{ auth first; proxy_pass http://@origin@; }}
    location /all/ {{ auth all first strict; require permission read:data; proxy_pass http://@origin@; }}
    location /claims/ {{
        identity_headers {{
            X-Auth-Subject $auth_subject;
            X-Tenant $jwt_claim_tenant;
            X-Groups $jwt_claim_groups;
            X-Level $jwt_claim_level;
            X-Missing $jwt_claim_missing;
        }}
        proxy_pass http://@origin@;
    }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="session")
def second_key():
    return SigningKey("ES256", "second")


@pytest.fixture(scope="module")
def values(rsa_key, second_key, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    (folder / "first.json").write_text(json.dumps(key_set(rsa_key)))
    (folder / "second.json").write_text(json.dumps(key_set(second_key)))
    return {"first": folder / "first.json", "second": folder / "second.json"}


def test_any_takes_tokens_of_each(gateway, origin, rsa_key, second_key):
    for _ in range(3):
        for token, name in [
            (rsa_key.token(), "first"),
            (second_key.token(iss=OTHER), "second"),
        ]:
            assert gateway.request(get("/x", bearer(token))).status == 200
            assert origin.last.get("X-Auth-Provider") == name


def test_any_does_not_mix_keys_and_issuers(gateway, origin, rsa_key, second_key):
    response = expect_refusal(
        gateway, origin, get("/x", bearer(rsa_key.token(iss=OTHER))), 401, "key_unknown", closed=False
    )
    check_invalid_token(response, "key_unknown")
    response = expect_refusal(
        gateway, origin, get("/x", bearer(rsa_key.token(iss="https://x"))), 401, "issuer_mismatch",
        closed=False,
    )
    check_invalid_token(response, "issuer_mismatch")


def test_J63_second_is_not_first(gateway, origin, second_key):
    token = second_key.token(iss=OTHER)
    assert gateway.request(get("/x", bearer(token))).status == 200
    for _ in range(2):
        expect_refusal(gateway, origin, get("/first/x", bearer(token)), 401, "provider_mismatch", closed=False)


def test_all_needs_both(gateway, origin, rsa_key):
    lacking = rsa_key.token(permissions=["read:data"])
    whole = rsa_key.token(permissions=["read:data"], sid="s-1")
    for _ in range(2):
        expect_refusal(gateway, origin, get("/all/x", bearer(lacking)), 401, "claim_missing", closed=False)
        assert gateway.request(get("/all/x", bearer(whole))).status == 200
    expect_refusal(
        gateway, origin, get("/all/x", bearer(rsa_key.token(sid="s", permissions=[]))), 403,
        "insufficient_scope", closed=False,
    )


def test_claims_are_told(gateway, origin, rsa_key):
    token = rsa_key.token(tenant="ac me%\u00e9", groups=["a", "b,c", "d e"], level=5)
    spoofed = ["X-Tenant: evil", "x_tenant: evil", "X-Missing: evil", "X-Groups: evil"]
    for _ in range(2):
        assert gateway.request(get("/claims/x", bearer(token), *spoofed)).status == 200
        seen = origin.last
        assert seen.all("X-Tenant") == ["ac me%25%C3%A9"]
        assert seen.all("X-Groups") == ["a,b%2Cc,d%20e"]
        assert seen.all("X-Level") == ["5"]
        assert seen.all("X-Missing") == []
        assert "evil" not in origin.received.decode("latin-1")
