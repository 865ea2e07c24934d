"""`auth_mode report`: what would be refused is forwarded as nobody's, counted and logged (security row J73)."""

import json
import time

import pytest

from harness.raw import get
from harness.refusals import expect_refusal
from harness.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
log_format own '$auth_result $auth_reason $auth_subject';
admin {{ listen 127.0.0.1:@admin_port@; }}
policy strong {{ require claim amr contains mfa; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    auth_mode MODE;
    location / {{
        proxy_pass http://@origin@;
        proxy_set_header X-Who "<$auth_subject>";
        add_header X-Subject "<$auth_subject>";
    }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
    location /data/ {{ require permission read:data; proxy_pass http://@origin@; }}
    location /tenant/ {{ require claim tenant = acme; proxy_pass http://@origin@; }}
    location /strong/ {{ require_policy strong; proxy_pass http://@origin@; access_log @folder@/own.log own; }}
    location /methods/ {{ permissions {{ GET read:data; }} proxy_pass http://@origin@; }}
    location /strict/ {{ auth_mode enforce; require permission read:data; proxy_pass http://@origin@; }}
    location /answer/ {{ require permission read:admin; return 200 "hello <$auth_subject>"; }}
}}
"""
REPORT, ENFORCE = CONFIGURATION.replace("MODE", "report"), CONFIGURATION.replace("MODE", "enforce")
IDENTITY = ("x-auth-subject", "x-auth-permissions", "x-auth-provider")


@pytest.fixture(scope="module")
def values(rsa_key, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(rsa_key)))
    return {"keys": file}


@pytest.fixture
def reporting(start, values):
    return start(REPORT, **values)


def would_deny(gateway, reason: str) -> float:
    return gateway.metrics().sum("gateway_would_deny_total", reason=reason)


def requests_of(key: SigningKey) -> list[tuple[str, bytes]]:
    """Requests with the code that each is refused for; an empty one is let in."""
    now = int(time.time())
    stranger = SigningKey("RS256", key.kid)
    good = key.token()
    return [
        ("", get("/x", bearer(good))),
        ("", get("/data/x", bearer(good))),
        ("token_missing", get("/x")),
        ("token_missing", get("/data/x", "Authorization: Basic YTpi")),
        ("invalid_request", get("/x", "Authorization: Bearer")),
        ("token_malformed", get("/x", bearer("abc"))),
        ("token_expired", get("/x", bearer(key.token(exp=now - 100)))),
        ("signature_invalid", get("/x", bearer(stranger.token()))),
        ("audience_mismatch", get("/data/x", bearer(key.token(aud="x")))),
        ("claim_missing", get("/x", bearer(key.token(sub=None)))),
        ("insufficient_scope", get("/data/x", bearer(key.token(permissions=["other"])))),
        ("insufficient_scope", get("/methods/x", bearer(key.token(permissions=["other"])))),
        ("access_denied", get("/methods/x", bearer(good), method="DELETE")),
        ("access_denied", get("/tenant/x", bearer(key.token(tenant="other")))),
        ("policy_violation", get("/strong/x", bearer(good))),
        ("", get("/strong/x", bearer(key.token(amr=["mfa"])))),
    ]


def test_J73_forwarded_as_nobody(reporting, origin, rsa_key):
    for code, data in requests_of(rsa_key):
        origin.reset()
        before = would_deny(reporting, code) if code else 0
        data = data.replace(b"\r\n\r\n", b"\r\nX-Auth-Subject: root\r\nX_Auth_Permissions: all\r\n\r\n")
        response = reporting.request(data)
        assert response.status == 200, (code, response.status)
        assert response.get("www-authenticate") is None and response.get("gateway-error") is None
        seen = origin.last
        names = [name.replace("_", "-") for name in seen.names()]
        if not code:
            assert seen.get("x-auth-subject") == "alice" and seen.get("x-auth-provider") == "main"
            continue
        assert not [name for name in IDENTITY if name in names], (code, seen.fields)
        if seen.target == "/x":
            assert seen.get("x-who") == "<>" and response.get("x-subject") == "<>"
        assert would_deny(reporting, code) == before + 1, code
        assert reporting.rejected(code) == 0
        if not seen.target.startswith("/strong"):
            line = reporting.wait_for_log_line(lambda line: line["auth_reason"] == code and line["path"] == seen.target)
            assert line["auth_result"] == "would_deny" and line["status"] == 200 and line["auth_subject"] == "-"
    lines = wait_until(lambda: len(found := (reporting.folder / "own.log").read_text().splitlines()) == 2 and found, 3)
    assert sorted(lines) == ["ok - alice", "would_deny policy_violation -"]


def test_J73_answers_of_our_own(reporting, origin, rsa_key):
    response = reporting.request(get("/answer/", bearer(rsa_key.token())))
    assert response.status == 200 and response.body == b"hello <>"
    assert would_deny(reporting, "insufficient_scope") == 1
    assert reporting.metrics().sum("gateway_would_deny_total", route="/answer/", reason="insufficient_scope") == 1


def test_J73_what_cannot_be_judged_stays_a_refusal(reporting, origin, rsa_key):
    token = bearer(rsa_key.token())
    expect_refusal(reporting, origin, get("/x", token, token), 400, "invalid_request", closed=False)
    expect_refusal(reporting, origin, get("/data/..;/x", token), 400, "path_ambiguous", closed=False)
    expect_refusal(reporting, origin, get("/../x", token), 400, "path_invalid", closed=False)
    expect_refusal(reporting, origin, get("/strict/x"), 401, "token_missing", closed=False)
    expect_refusal(
        reporting, origin, get("/strict/x", bearer(rsa_key.token(permissions=[]))), 403, "insufficient_scope", closed=False
    )


def test_counts_equal_those_of_enforce(start, origin, rsa_key, values):
    reporting, enforcing = start(REPORT, **values), start(ENFORCE, **values)
    traffic = requests_of(rsa_key) * 3
    for _, data in traffic:
        assert reporting.request(data).status == 200
        enforcing.request(data)
    codes = {code for code, _ in traffic if code}
    denied = {code: would_deny(reporting, code) for code in codes}
    assert denied == {code: enforcing.rejected(code) for code in codes}
    assert denied == {code: sum(1 for found, _ in traffic if found == code) for code in codes}
    assert enforcing.metrics().sum("gateway_would_deny_total") == 0
    assert reporting.metrics().sum("gateway_rejected_total") == 0
