"""The outer form of a token: size, parts, encoding, JSON (security rows J01–J12)."""

import json

import pytest

from harness.raw import get
from harness.refusals import check_invalid_token, expect_refusal
from harness.tokens import AUDIENCE, ISSUER, b64, bearer, claims_of, key_set, non_canonical

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
client_header_line_size 64k;
client_header_size 256k;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{
    issuer {ISSUER};
    audience {AUDIENCE};
    key_file @keys@;
}}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key, ec_key, ed_key, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(rsa_key, ec_key, ed_key)))
    return {"keys": file}


def expect_invalid(gateway, origin, token: str, code: str):
    """401 with `invalid_token`, twice: a verdict kept in a cache must be the same."""
    for _ in range(2):
        response = expect_refusal(gateway, origin, get("/x", bearer(token)), 401, code, closed=False)
        check_invalid_token(response, code)
        assert token[:40] not in response.raw_head.decode("latin-1") + response.body.decode()
    return response


@pytest.mark.parametrize("algorithm", ["rsa_key", "ec_key", "ed_key"])
def test_good_token_passes(gateway, origin, request, algorithm):
    token = request.getfixturevalue(algorithm).token()
    for _ in range(3):
        assert gateway.request(get("/x", bearer(token))).status == 200
    assert origin.last.get("x-auth-subject") == "alice"


def test_J01_no_token(gateway, origin):
    response = expect_refusal(gateway, origin, get("/x"), 401, "token_missing", closed=False)
    challenge = response.get("www-authenticate")
    assert challenge.startswith('Bearer realm="') and "error" not in challenge


def test_J01_HEAD_without_token(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/x", method="HEAD"))
        response = client.read_response("HEAD")
        assert response.status == 401 and response.get("gateway-error") == "token_missing"
        client.expect_quiet(0.05)


@pytest.mark.parametrize("size", [8_193, 30_000])
def test_J02_too_large(gateway, origin, rsa_key, size):
    token = rsa_key.token(filler="")
    token = rsa_key.token(filler="x" * int((size - len(token)) * 3 / 4 + 8))
    assert len(token) >= size
    expect_invalid(gateway, origin, token, "token_too_large")


def test_J02_too_large_without_any_shape(gateway, origin):
    expect_invalid(gateway, origin, "." * 9_000, "token_too_large")


def test_J02_just_below_the_limit_passes(gateway, origin, rsa_key):
    token = rsa_key.token(filler="x" * 5_400)
    assert 7_000 < len(token) <= 8_192
    assert gateway.request(get("/x", bearer(token))).status == 200


@pytest.mark.parametrize("count", [1, 3, 5, 6, 100, 8_000])
def test_J03_number_of_dots(gateway, origin, count):
    expect_invalid(gateway, origin, ".".join(["abcd"] * (count + 1))[:8_000], "token_malformed")


@pytest.mark.parametrize("token", ["..", "...", "." * 5, "abcd"])
def test_J03_nothing_but_dots(gateway, origin, token):
    response = gateway.request(get("/x", bearer(token)))
    assert response.status in (400, 401)
    assert response.code in ("token_malformed", "signature_missing", "invalid_request")
    assert origin.received == b""


def test_J03_a_hundred_thousand_dots(gateway, origin):
    response = gateway.request(get("/x", bearer("." * 60_000)))
    assert response.status == 401 and response.code == "token_too_large"


def test_J04_encrypted(gateway, origin):
    header = b64(b'{"alg":"RSA-OAEP","enc":"A256GCM"}')
    expect_invalid(gateway, origin, ".".join([header, *["abcd"] * 4]), "token_encrypted_unsupported")


@pytest.mark.parametrize(
    "token",
    [
        '{"payload":"e30","protected":"e30","signature":"e30"}',
        '{"payload":"e30","signatures":[{"protected":"e30","signature":"e30"}]}',
        '{"a.b.c":1}',
    ],
)
def test_J05_json_serialisation(gateway, origin, token):
    response = gateway.request(get("/x", f"Authorization: Bearer {token}"))
    assert (response.status, response.code) in {(401, "token_malformed"), (400, "invalid_request")}
    assert origin.received == b""


def test_J05_is_malformed(gateway, origin):
    expect_invalid(gateway, origin, '{"payload":"e30.e30.e30"}', "token_malformed")


@pytest.mark.parametrize(
    ("empty", "code"),
    [
        (0, "token_malformed"),
        (1, "token_malformed"),
        (2, "signature_missing"),
    ],
)
def test_J06_empty_segment(gateway, origin, rsa_key, empty, code):
    parts = rsa_key.token().split(".")
    parts[empty] = ""
    expect_invalid(gateway, origin, ".".join(parts), code)


@pytest.mark.parametrize("segment", [0, 1, 2])
@pytest.mark.parametrize(
    "change",
    [
        lambda s: s + "=",
        lambda s: s + "==",
        lambda s: "+" + s[1:],
        lambda s: "/" + s[1:],
        lambda s: s[:5] + "~" + s[6:],
        lambda s: s[:5] + "%2B" + s[6:],
    ],
    ids=["=", "==", "+", "/", "~", "%2B"],
)
def test_J07_alphabet(gateway, origin, rsa_key, segment, change):
    parts = rsa_key.token().split(".")
    parts[segment] = change(parts[segment])
    response = gateway.request(get("/x", bearer(".".join(parts))))
    check_invalid_token(response, "token_malformed")
    assert origin.received == b""


def test_J08_length_of_one_more(gateway, origin, rsa_key):
    for segment in range(3):
        parts = rsa_key.token().split(".")
        parts[segment] += "A" * ((1 - len(parts[segment])) % 4 or 4)
        assert len(parts[segment]) % 4 == 1
        check_invalid_token(gateway.request(get("/x", bearer(".".join(parts)))), "token_malformed")
    assert origin.received == b""


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_J08_unused_bits(gateway, origin, rsa_key, segment):
    for filler in ("", "x", "xx", "xxx"):
        token = rsa_key.token(header={"x": filler}, x=filler)
        parts = token.split(".")
        if len(parts[segment]) % 4 == 0:
            continue
        assert gateway.request(get("/x", bearer(token))).status == 200
        parts[segment] = non_canonical(parts[segment])
        check_invalid_token(gateway.request(get("/x", bearer(".".join(parts)))), "token_malformed")


@pytest.mark.parametrize(
    "payload",
    [
        '{"sub":"alice","sub":"bob",%s}',
        '{"sub":"alice","\\u0073ub":"bob",%s}',
        '{"a":{"b":1,"b":2},"sub":"alice",%s}',
        '{"a":[{"b":1,"b":1}],"sub":"alice",%s}',
        '{"sub":"alice",%s,"exp":9999999999}',
    ],
)
def test_J12_duplicate_claim(gateway, origin, rsa_key, payload):
    rest = json.dumps(claims_of(sub=None))[1:-1]
    token = rsa_key.token_of(json.dumps(rsa_key.header()), payload % rest)
    expect_invalid(gateway, origin, token, "duplicate_claim")


@pytest.mark.parametrize("extra", ['"alg":"RS256"', '"\\u0061lg":"RS256"', '"kid":"rsa-1"', '"x":{"y":1,"y":2}'])
def test_J12_duplicate_header_member(gateway, origin, rsa_key, extra):
    header = json.dumps(rsa_key.header())[:-1] + "," + extra + "}"
    expect_invalid(gateway, origin, rsa_key.token_of(header, json.dumps(claims_of())), "duplicate_claim")
