"""Algorithm, key and signature of a token (security rows J20–J26)."""

import hashlib
import json

import pytest

from harness.raw import get
from harness.refusals import check_invalid_token, expect_refusal
from harness.tokens import (
    AUDIENCE,
    ISSUER,
    SigningKey,
    b64,
    bearer,
    claims_of,
    hmac_token,
    key_set,
    unb64,
    unsigned_token,
)

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
auth_provider bare jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys_without_alg@; }}
auth_provider one  jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; algorithms ES256; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /bare/ {{ auth bare; proxy_pass http://@origin@; }}
    location /one/ {{ auth one; proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="session")
def p384_key():
    return SigningKey("ES384", "p384")


@pytest.fixture(scope="module")
def values(rsa_key, ec_key, ed_key, p384_key, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    keys = [rsa_key, ec_key, ed_key]
    (folder / "jwks.json").write_text(json.dumps(key_set(*keys, p384_key.jwk(alg=None))))
    (folder / "bare.json").write_text(json.dumps(key_set(*(key.jwk(alg=None, use=None) for key in keys))))
    return {"keys": folder / "jwks.json", "keys_without_alg": folder / "bare.json"}


def expect_invalid(gateway, origin, token: str, code: str, path: str = "/x") -> None:
    for _ in range(2):
        response = expect_refusal(gateway, origin, get(path, bearer(token)), 401, code, closed=False)
        check_invalid_token(response, code)


@pytest.mark.parametrize("path", ["/x", "/bare/x"])
@pytest.mark.parametrize("signature", ["", "AAAA", "e30"])
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "none ", " none", "none\u0000", ""])
def test_J20_none(gateway, origin, algorithm, signature, path):
    token = unsigned_token({"alg": algorithm, "typ": "JWT", "kid": "rsa-1"}, signature)
    response = gateway.request(get(path, bearer(token)))
    if signature == "" and response.code == "signature_missing":
        check_invalid_token(response, "signature_missing")
    else:
        check_invalid_token(response, "alg_not_allowed")
    assert origin.received == b""


def test_J20_none_is_counted(gateway, origin):
    expect_invalid(gateway, origin, unsigned_token({"alg": "none"}, "AAAA"), "alg_not_allowed")


@pytest.mark.parametrize("path", ["/x", "/bare/x"])
@pytest.mark.parametrize("key", ["rsa_key", "ec_key"])
@pytest.mark.parametrize("form", ["pem", "pem without newline", "der", "jwk", "modulus", "sha"])
@pytest.mark.parametrize("named", [True, False])
def test_J21_public_key_as_secret(gateway, origin, request, key, form, path, named):
    key = request.getfixturevalue(key)
    secret = {
        "pem": key.public_pem(),
        "pem without newline": key.public_pem().rstrip(b"\n"),
        "der": key.public_der(),
        "jwk": json.dumps(key.jwk()).encode(),
        "modulus": unb64(key.jwk().get("n") or key.jwk()["x"]),
        "sha": hashlib.sha256(key.public_der()).digest(),
    }[form]
    header = {"alg": "HS256", "typ": "JWT"} | ({"kid": key.kid} if named else {})
    check_invalid_token(gateway.request(get(path, bearer(hmac_token(secret, header)))), "alg_not_allowed")
    assert origin.received == b""


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("kid", ["rsa-1", "ec-1", "ed-1", "", None])
def test_J22_empty_secret(gateway, origin, algorithm, kid):
    header = {"alg": algorithm, "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    check_invalid_token(gateway.request(get("/bare/x", bearer(hmac_token(b"", header)))), "alg_not_allowed")
    assert origin.received == b""


MISMATCHES = [
    ("ec_key", {"alg": "ES256", "kid": "rsa-1"}),
    ("rsa_key", {"alg": "RS256", "kid": "ec-1"}),
    ("rsa_key", {"alg": "RS256", "kid": "ed-1"}),
    ("ed_key", {"alg": "EdDSA", "kid": "ec-1"}),
]


@pytest.mark.parametrize(
    ("path", "signer", "header"),
    [(path, *mismatch) for path in ("/x", "/bare/x") for mismatch in MISMATCHES]
    + [("/x", "ec_key", {"alg": "ES256", "kid": "p384"})],
)
def test_J23_key_of_another_kind(gateway, origin, request, path, signer, header):
    token = request.getfixturevalue(signer).token(header=header)
    expect_invalid(gateway, origin, token, "alg_key_mismatch", path)


def test_J23_algorithm_that_the_provider_does_not_list(gateway, origin, rsa_key, ec_key):
    expect_invalid(gateway, origin, rsa_key.token(), "alg_not_allowed", "/one/x")
    assert gateway.request(get("/one/x", bearer(ec_key.token()))).status == 200


@pytest.mark.parametrize(
    "algorithm",
    [
        None,
        5,
        True,
        ["RS256"],
        {"a": "RS256"},
        "rs256",
        "RS256 ",
        "RS-256",
        "RS384",
        "PS384",
        "ES512",
        "RSA1_5",
        "\u0000",
        "RS256\u0000",
    ],
)
def test_J24_algorithm_missing_or_odd(gateway, origin, rsa_key, algorithm):
    header = rsa_key.header() | {"alg": algorithm}
    if algorithm is None:
        del header["alg"]
    token = rsa_key.token_of(json.dumps(header), json.dumps(claims_of()))
    check_invalid_token(gateway.request(get("/x", bearer(token))), "alg_not_allowed")
    assert origin.received == b""


def test_J24_algorithm_null(gateway, origin, rsa_key):
    token = rsa_key.token_of('{"alg":null,"kid":"rsa-1"}', json.dumps(claims_of()))
    expect_invalid(gateway, origin, token, "alg_not_allowed")


def with_signature(token: str, signature: bytes) -> str:
    return token.rsplit(".", 1)[0] + "." + b64(signature)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1],
        lambda s: s + b"\0",
        lambda s: b"\0" + s,
        lambda s: s[:32],
        lambda s: bytes(64),
        lambda s: s[:32] + bytes(32),
        lambda s: bytes(32) + s[32:],
        lambda s: b"\0" * 32 + s,
        lambda s: s + s,
        lambda s: b"\xff" * 64,
        lambda s: s[32:] + s[:32],
    ],
    ids=["63", "65", "zero before", "r only", "zeros", "s zero", "r zero", "96", "128", "ones", "swapped"],
)
def test_J26_form_of_an_ecdsa_signature(gateway, origin, ec_key, change):
    token = ec_key.token()
    signature = unb64(token.rsplit(".", 1)[1])
    expect_invalid(gateway, origin, with_signature(token, change(signature)), "signature_invalid")


def test_J26_der_signature(gateway, origin, ec_key):
    token = ec_key.token()
    der = ec_key.der_signature(token.rsplit(".", 1)[0].encode())
    expect_invalid(gateway, origin, with_signature(token, der), "signature_invalid")


@pytest.mark.parametrize("key", ["rsa_key", "ec_key", "ed_key"])
def test_signature_of_another_text(gateway, origin, request, key):
    key = request.getfixturevalue(key)
    header, payload, signature = key.token().split(".")
    forged = b64(json.dumps(claims_of(sub="admin")).encode())
    expect_invalid(gateway, origin, f"{header}.{forged}.{signature}", "signature_invalid")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_signature_by_a_stranger_under_our_kid(gateway, origin, algorithm):
    kid = {"RS256": "rsa-1", "ES256": "ec-1", "EdDSA": "ed-1"}[algorithm]
    expect_invalid(gateway, origin, SigningKey(algorithm, kid).token(), "signature_invalid")


def test_unknown_kid(gateway, origin, rsa_key):
    expect_invalid(gateway, origin, rsa_key.token(header={"kid": "nobody"}), "key_unknown")


def test_good_request_after_a_bad_signature(gateway, origin, rsa_key):
    """An error that OpenSSL keeps must not poison what comes next."""
    bad = SigningKey("RS256", "rsa-1").token()
    with gateway.connect() as client:
        for _ in range(5):
            assert client.request(get("/x", bearer(bad))).status == 401
            assert client.request(get("/x", bearer(rsa_key.token()))).status == 200
