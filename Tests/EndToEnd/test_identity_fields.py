"""Claims as header fields for the origin (security row A09): nothing in a claim can end a field, and no two become one."""

import json
from urllib.parse import unquote

import pytest

from harness.raw import get
from harness.refusals import expect_refusal
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
auth_provider loose jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; required_claims exp; }}
server {{
    listen 127.0.0.1:@port@;
    client_header_line_size 64k; client_header_size 128k;
    auth main;
    identity_headers {{
        X-Auth-Subject $auth_subject;
        X-Auth-Permissions $auth_permissions;
        X-Name $jwt_claim_name;
        X-Groups $jwt_claim_groups;
    }}
    location / {{ proxy_pass http://@origin@; }}
    location /loose/ {{ auth loose; proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key, tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_text(json.dumps(key_set(rsa_key)))
    return {"keys": path}


def told(gateway, origin, token: str, path: str = "/x"):
    """What the origin is told, twice: of a new token and of a known one."""
    seen = []
    for _ in range(2):
        assert gateway.request(get(path, bearer(token))).status == 200
        seen.append(origin.last)
    for name in ("X-Auth-Subject", "X-Auth-Permissions", "X-Name", "X-Groups"):
        assert seen[0].all(name) == seen[1].all(name)
        assert len(seen[0].all(name)) <= 1
    assert "x-evil" not in [name.lower() for name in seen[0].names()]
    return seen[0]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("a\r\nX-Evil: 1", "a%0D%0AX-Evil: 1"),
        ("a\nb\x00c\x7fd", "a%0Ab%00c%7Fd"),
        ("caf\u00e9 \u4e2d", "caf%C3%A9 %E4%B8%AD"),
        ("100%", "100%25"),
        ("%41", "%2541"),
        (" outer blanks ", "%20outer blanks%20"),
        ("\ttab", "%09tab"),
        ("plain-text_1.2~3", "plain-text_1.2~3"),
    ],
)
def test_A09_text_is_encoded(gateway, origin, rsa_key, name, field):
    seen = told(gateway, origin, rsa_key.token(name=name, sub=name))
    assert seen.get("X-Name") == field
    assert seen.get("X-Auth-Subject") == field
    assert unquote(seen.get("X-Name")) == name


@pytest.mark.parametrize(
    ("groups", "field"),
    [
        (["a", "b"], "a,b"),
        (["a,b"], "a%2Cb"),
        (["a b", "c"], "a%20b,c"),
        (["a\r\nX-Evil: 1"], "a%0D%0AX-Evil:%201"),
    ],
)
def test_A09_elements_keep_their_number(gateway, origin, rsa_key, groups, field):
    seen = told(gateway, origin, rsa_key.token(groups=groups, permissions=groups))
    assert seen.get("X-Groups") == field
    assert seen.get("X-Auth-Permissions") == field
    assert [unquote(element) for element in seen.get("X-Groups").split(",")] == groups


@pytest.mark.parametrize("value", ["", None, {}, {"a": 1}, [], ["a", 1], [["a"]]])
def test_A09_what_is_no_text_is_absent(gateway, origin, rsa_key, value):
    claims = {} if value is None else {"name": value, "groups": value}
    seen = told(gateway, origin, rsa_key.token(**claims))
    assert seen.all("X-Name") == []
    assert seen.all("X-Groups") == []


@pytest.mark.parametrize(("size", "is_told"), [(2048, True), (2049, False), (4000, False)])
def test_A09_long_ones_are_absent_unless_required(gateway, origin, rsa_key, size, is_told):
    long = "x" * size
    seen = told(gateway, origin, rsa_key.token(name=long))
    assert seen.all("X-Name") == ([long] if is_told else [])
    token = rsa_key.token(sub=long)
    if is_told:
        assert told(gateway, origin, token).get("X-Auth-Subject") == long
        return
    # An absent subject would look like nobody, so where it is required the token is refused.
    expect_refusal(gateway, origin, get("/x", bearer(token)), 401, "claim_type", closed=False)
    assert told(gateway, origin, token, "/loose/x").all("X-Auth-Subject") == []


def test_A09_a_claim_of_64_KiB_ends_at_the_size_of_a_token(gateway, origin, rsa_key):
    token = rsa_key.token(name="x" * 40_000)
    expect_refusal(gateway, origin, get("/x", bearer(token)), 401, "token_too_large", closed=False)
