"""Algorithm, key and signature of a token (security rows J20–J30, J42, J72)."""

import hashlib
import hmac
import json
import statistics
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.gateway import run_command
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
auth_provider every jwt {{
    issuer {ISSUER}; audience {AUDIENCE}; key_file @every_key@;
    algorithms RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA;
}}
auth_provider shared jwt {{ issuer {ISSUER}; audience {AUDIENCE}; secret ${{file:@secret@}}; }}
auth_provider mixed jwt {{
    issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@ @secrets@; algorithms RS256 HS256 HS512;
}}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /bare/ {{ auth bare; proxy_pass http://@origin@; }}
    location /one/ {{ auth one; proxy_pass http://@origin@; }}
    location /all/ {{ auth every; proxy_pass http://@origin@; }}
    location /shared/ {{ auth shared; proxy_pass http://@origin@; }}
    location /mixed/ {{ auth mixed; proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


SECRET = b"a secret of the issuer and this gateway, of more than 64 bytes in all"
LONG, SHORT = bytes(range(64)), bytes(range(40))


@pytest.fixture(scope="session")
def p384_key():
    return SigningKey("ES384", "p384")


@pytest.fixture(scope="session")
def p521_key():
    return SigningKey("ES512", "p521")


@pytest.fixture(scope="session")
def ed448_key():
    return SigningKey("Ed448", "ed448")


@pytest.fixture(scope="module")
def values(rsa_key, ec_key, ed_key, p384_key, p521_key, ed448_key, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    keys = [rsa_key, ec_key, ed_key]
    (folder / "jwks.json").write_text(json.dumps(key_set(*keys, p384_key.jwk(alg=None))))
    (folder / "bare.json").write_text(json.dumps(key_set(*(key.jwk(alg=None, use=None) for key in keys))))
    every = [key.jwk(alg=None) for key in (*keys, p384_key, p521_key, ed448_key)]
    (folder / "every.json").write_text(json.dumps(key_set(*every)))
    (folder / "secret").write_bytes(SECRET + b"\n")
    secrets = [
        {"kty": "oct", "kid": "long", "alg": "HS512", "k": b64(LONG)},
        {"kty": "oct", "kid": "short", "k": b64(SHORT)},
        {"kty": "oct", "kid": "too short", "k": b64(bytes(31))},
    ]
    (folder / "secrets.json").write_text(json.dumps(key_set(*secrets)))
    return {
        "keys": folder / "jwks.json",
        "keys_without_alg": folder / "bare.json",
        "every_key": folder / "every.json",
        "secret": folder / "secret",
        "secrets": folder / "secrets.json",
    }


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


ORDERS = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
    "ES512": int("1" + "f" * 65 + "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16),
}
CURVES = [("ES256", "ec_key"), ("ES384", "p384_key"), ("ES512", "p521_key")]


def halves(token: str) -> tuple[int, int, int]:
    signature = unb64(token.rsplit(".", 1)[1])
    width = len(signature) // 2
    return int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big"), width


def joined(token: str, r: int, s: int, width: int) -> str:
    return with_signature(token, r.to_bytes(width, "big") + s.to_bytes(width, "big"))


@pytest.mark.parametrize(("algorithm", "key"), CURVES)
@pytest.mark.parametrize(
    "change",
    [
        lambda r, s, n, top: (0, 0),
        lambda r, s, n, top: (0, s),
        lambda r, s, n, top: (r, 0),
        lambda r, s, n, top: (n, s),
        lambda r, s, n, top: (r, n),
        lambda r, s, n, top: (n, n),
        lambda r, s, n, top: (n + 1, s),
        lambda r, s, n, top: (r, n + 1),
        lambda r, s, n, top: (min(r + n, top), s),
        lambda r, s, n, top: (r, min(s + n, top)),
        lambda r, s, n, top: (top, top),
        lambda r, s, n, top: (1, 1),
        lambda r, s, n, top: (n - 1, n - 1),
    ],
    ids=["00", "r0", "s0", "r=n", "s=n", "both n", "r>n", "s>n", "r+n", "s+n", "ones", "1 1", "n-1"],
)
def test_J25_range_of_an_ecdsa_signature(gateway, origin, request, algorithm, key, change):
    token = request.getfixturevalue(key).token()
    r, s, width = halves(token)
    r, s = change(r, s, ORDERS[algorithm], (1 << 8 * width) - 1)
    expect_invalid(gateway, origin, joined(token, r, s, width), "signature_invalid", "/all/x")


@pytest.mark.parametrize("key", ["p384_key", "p521_key"])
def test_J26_form_on_larger_curves(gateway, origin, request, key):
    key = request.getfixturevalue(key)
    token = key.token()
    signature = unb64(token.rsplit(".", 1)[1])
    assert len(signature) == {"ES384": 96, "ES512": 132}[key.algorithm]
    der = key.der_signature(token.rsplit(".", 1)[0].encode())
    for form in (signature[:-1], signature + b"\0", b"\0" + signature, signature[:64], signature * 2, der):
        expect_invalid(gateway, origin, with_signature(token, form), "signature_invalid", "/all/x")
    assert gateway.request(get("/all/x", bearer(token))).status == 200


@pytest.mark.parametrize(("algorithm", "key"), CURVES)
def test_J27_the_other_half_is_another_token(gateway, request, algorithm, key):
    token = request.getfixturevalue(key).token()
    r, s, width = halves(token)
    twin = joined(token, r, ORDERS[algorithm] - s, width)
    assert twin != token
    for one in (token, twin):
        before = gateway.metrics()
        for _ in range(2):
            assert gateway.request(get("/all/x", bearer(one))).status == 200
        after = gateway.metrics()
        for what in ("misses", "hits"):
            name = f"gateway_jwt_cache_{what}_total"
            assert after.sum(name) - before.sum(name) == 1, what


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1],
        lambda s: s[1:],
        lambda s: s + b"\0",
        lambda s: b"\0" + s,
        lambda s: b"\0" * 256 + s,
        lambda s: s[:128],
        lambda s: bytes(256),
        lambda s: b"\0" * 255 + b"\x01",
        lambda s: b"\xff" * 256,
    ],
    ids=["short", "first lost", "long", "zero before", "512", "half", "zeros", "one", "ones"],
)
@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "PS512"])
def test_J28_length_of_an_rsa_signature(gateway, origin, rsa_key, algorithm, change):
    token = rsa_key.signing(algorithm).token()
    signature = change(unb64(token.rsplit(".", 1)[1]))
    expect_invalid(gateway, origin, with_signature(token, signature), "signature_invalid", "/all/x")


SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def raw_rsa(key: SigningKey, block: bytes) -> bytes:
    """The private operation on a block of the forger's choice."""
    numbers = key.private.private_numbers()
    n = numbers.public_numbers.n
    return pow(int.from_bytes(block, "big"), numbers.d, n).to_bytes(256, "big")


@pytest.mark.parametrize(
    "block",
    [
        lambda t: b"\0\1" + b"\xff" * 8 + b"\0" + t + b"\xaa" * (256 - 11 - len(t)),
        lambda t: b"\0\1" + b"\xff" * (256 - 3 - len(t) - 4) + b"\0" + t + b"junk",
        lambda t: b"\0\2" + b"\xff" * (256 - 3 - len(t)) + b"\0" + t,
        lambda t: b"\0\1" + b"\xfe" * (256 - 3 - len(t)) + b"\0" + t,
        lambda t: b"\0\1" + b"\xff" * (256 - 3 - 32) + b"\0" + t[-32:],
        lambda t: b"\0\0" + b"\0" * (256 - 3 - len(t)) + b"\0" + t,
        lambda t: b"\0\1" + b"\xff" * (256 - 3 - len(t) + 1) + t,
    ],
    ids=["short padding", "garbage behind", "type 2", "other padding", "no algorithm", "type 0", "no separator"],
)
def test_J28_garbage_in_the_padding(gateway, origin, rsa_key, block):
    token = rsa_key.token()
    text = token.rsplit(".", 1)[0].encode()
    whole = SHA256_PREFIX + hashlib.sha256(text).digest()
    right = b"\0\1" + b"\xff" * (256 - 3 - len(whole)) + b"\0" + whole
    assert gateway.request(get("/all/x", bearer(with_signature(token, raw_rsa(rsa_key, right))))).status == 200
    origin.reset()
    assert len(block(whole)) == 256
    forged = with_signature(token, raw_rsa(rsa_key, block(whole)))
    expect_invalid(gateway, origin, forged, "signature_invalid", "/all/x")


def test_J28_signature_and_modulus_added_up(gateway, origin, rsa_key):
    """RFC 8017 section 5.2.2 step 1: the same residue is not the same signature."""
    n = rsa_key.public.public_numbers().n
    for i in range(2000):
        token = rsa_key.token(jti=str(i))
        larger = int.from_bytes(unb64(token.rsplit(".", 1)[1]), "big") + n
        if larger < 1 << 2048:
            break
    else:
        pytest.skip("this key's modulus leaves no room for one")
    forged = with_signature(token, larger.to_bytes(256, "big"))
    expect_invalid(gateway, origin, forged, "signature_invalid", "/all/x")
    assert gateway.request(get("/all/x", bearer(token))).status == 200


@pytest.mark.parametrize("exponent", [65539, 2**32 - 5])
def test_other_exponents(start, origin, rsa_key, tmp_path, exponent):
    """Only the usual exponent has a way of its own."""
    numbers = rsa_key.private.private_numbers()
    try:
        d = pow(exponent, -1, (numbers.p - 1) * (numbers.q - 1))
    except ValueError:
        pytest.skip("this key's primes do not go with that exponent")
    public = rsa.RSAPublicNumbers(exponent, numbers.p * numbers.q)
    crt = [rsa.rsa_crt_dmp1(d, numbers.p), rsa.rsa_crt_dmq1(d, numbers.q), rsa.rsa_crt_iqmp(numbers.p, numbers.q)]
    key = SigningKey("RS256", "odd", rsa.RSAPrivateNumbers(numbers.p, numbers.q, d, *crt, public).private_key())
    (tmp_path / "jwks.json").write_text(json.dumps(key_set(key)))
    gateway = start(f"""
        access_log @folder@/access.log json;
        admin {{ listen 127.0.0.1:@admin_port@; }}
        auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file {tmp_path}/jwks.json; }}
        server {{
            listen 127.0.0.1:@port@; auth main; location / {{ proxy_pass http://@origin@; }}
            location /good {{ auth off; proxy_pass http://@origin@; }}
        }}
    """)
    token = key.token()
    assert gateway.request(get("/x", bearer(token))).status == 200
    origin.reset()
    signature = bytearray(unb64(token.rsplit(".", 1)[1]))
    signature[-1] ^= 1
    expect_invalid(gateway, origin, with_signature(token, bytes(signature)), "signature_invalid")


PSS = {"PS256": hashes.SHA256(), "PS384": hashes.SHA384(), "PS512": hashes.SHA512()}


@pytest.mark.parametrize("algorithm", PSS)
@pytest.mark.parametrize("salt", [0, 1, 20, -1, 1, "most"], ids=["0", "1", "20", "one less", "one more", "most"])
def test_J29_salt_of_another_length(gateway, origin, rsa_key, algorithm, salt, request):
    signer, digest = rsa_key.signing(algorithm), PSS[algorithm]
    size = digest.digest_size
    if request.node.callspec.id.startswith(("one less", "one more")):
        salt = size + salt
    length = 256 - size - 2 if salt == "most" else salt
    token = signer.token()
    forged = signer.pss_signature(token.rsplit(".", 1)[0].encode(), digest, digest, length)
    expect_invalid(gateway, origin, with_signature(token, forged), "signature_invalid", "/all/x")
    assert gateway.request(get("/all/x", bearer(token))).status == 200


@pytest.mark.parametrize("algorithm", PSS)
@pytest.mark.parametrize("mask", [hashes.SHA1(), *PSS.values()], ids=lambda mask: mask.name)
def test_J29_mask_of_another_hash(gateway, origin, rsa_key, algorithm, mask):
    signer, digest = rsa_key.signing(algorithm), PSS[algorithm]
    token = signer.token()
    text = token.rsplit(".", 1)[0].encode()
    signed = with_signature(token, signer.pss_signature(text, digest, mask, digest.digest_size))
    if mask.name == digest.name:
        assert gateway.request(get("/all/x", bearer(signed))).status == 200
    else:
        expect_invalid(gateway, origin, signed, "signature_invalid", "/all/x")


ORDER_25519 = (1 << 252) + 27742317777372353535851937790883648493
ORDER_448 = (1 << 446) - 13818066809895115352007386748515426880336692474882178609894547503885


@pytest.mark.parametrize(("key", "order", "width"), [("ed_key", ORDER_25519, 32), ("ed448_key", ORDER_448, 57)])
def test_J30_edwards_signatures(gateway, origin, request, key, order, width):
    token = request.getfixturevalue(key).token()
    signature = unb64(token.rsplit(".", 1)[1])
    assert len(signature) == 2 * width
    r, s = signature[:width], int.from_bytes(signature[width:], "little")
    neutral = b"\1" + bytes(width - 1)
    forged = [
        r + (s + order).to_bytes(width, "little"),
        r + (s + 2 * order).to_bytes(width, "little"),
        r + order.to_bytes(width, "little"),
        r + b"\xff" * width,
        r + bytes(width),
        neutral + bytes(width),
        neutral + s.to_bytes(width, "little"),
        bytes(2 * width),
        signature[:-1],
        signature + b"\0",
        signature[1:],
        signature * 2,
    ]
    for number, one in enumerate(forged):
        try:
            expect_invalid(gateway, origin, with_signature(token, one), "signature_invalid", "/all/x")
        except AssertionError as error:
            raise AssertionError(f"forgery {number}") from error
    assert gateway.request(get("/all/x", bearer(token))).status == 200


@pytest.mark.parametrize("curve", ["Ed25519", "Ed448"])
def test_J30_keys_of_small_order_are_left_out(start, origin, rsa_key, tmp_path, curve):
    """Whoever sends a token signed for such a key needs no secret: R and S are constants."""
    width = 32 if curve == "Ed25519" else 57
    neutral = b"\1" + bytes(width - 1)
    jwk = {"kty": "OKP", "crv": curve, "kid": "weak", "x": b64(neutral)}
    (tmp_path / "jwks.json").write_text(json.dumps(key_set(jwk, rsa_key)))
    gateway = start(f"""
        auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file {tmp_path}/jwks.json; }}
        server {{ listen 127.0.0.1:@port@; auth main; location / {{ proxy_pass http://@origin@; }} }}
    """)
    token = unsigned_token({"alg": "EdDSA", "kid": "weak"}, b64(neutral + bytes(width)))
    check_invalid_token(gateway.request(get("/x", bearer(token))), "key_unknown")
    assert origin.received == b"" and "small order" in gateway.log


ALGORITHMS = {
    "rsa_key": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "ec_key": ["ES256"],
    "p384_key": ["ES384"],
    "p521_key": ["ES512"],
    "ed_key": ["EdDSA", "Ed25519"],
    "ed448_key": ["EdDSA", "Ed448"],
}


@pytest.mark.parametrize("key", ALGORITHMS)
def test_every_algorithm(gateway, origin, request, key):
    for algorithm in ALGORITHMS[key]:
        signer = request.getfixturevalue(key).signing(algorithm)
        for _ in range(2):
            assert gateway.request(get("/all/x", bearer(signer.token()))).status == 200, algorithm
    origin.reset()
    for other in sorted({name for names in ALGORITHMS.values() for name in names} - set(ALGORITHMS[key])):
        if key == "rsa_key" or other not in ("EdDSA", "Ed25519", "Ed448"):
            token = request.getfixturevalue(key).token(header={"alg": other})
            check_invalid_token(gateway.request(get("/all/x", bearer(token))), "alg_key_mismatch")
    assert origin.received == b""


@pytest.mark.parametrize(("algorithm", "hashed"), [("RS384", "RS256"), ("PS256", "RS256"), ("RS256", "PS256")])
def test_signature_of_another_algorithm_of_the_same_key(gateway, origin, rsa_key, algorithm, hashed):
    token = rsa_key.signing(hashed).token(header={"alg": algorithm})
    expect_invalid(gateway, origin, token, "signature_invalid", "/all/x")


def test_J72_names_of_rfc_9864(gateway, origin, ed_key, ed448_key):
    for key, name in ((ed_key, "Ed25519"), (ed448_key, "Ed448"), (ed_key, "EdDSA"), (ed448_key, "EdDSA")):
        assert gateway.request(get("/all/x", bearer(key.token(header={"alg": name})))).status == 200
    assert gateway.request(get("/x", bearer(ed_key.token(header={"alg": "Ed25519"})))).status == 200
    origin.reset()
    expect_invalid(gateway, origin, ed448_key.token(header={"alg": "Ed25519"}), "alg_key_mismatch", "/all/x")
    expect_invalid(gateway, origin, ed_key.token(header={"alg": "Ed448"}), "alg_key_mismatch", "/all/x")
    # Where EdDSA is not accepted, its parts are not, either.
    expect_invalid(gateway, origin, ed_key.token(header={"alg": "Ed25519"}), "alg_not_allowed", "/one/x")


# -- secrets


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_secret_of_a_file(gateway, origin, algorithm):
    """Nothing but the secret is configured, and it is long enough for all three."""
    token = hmac_token(SECRET, {"alg": algorithm})
    for _ in range(2):
        assert gateway.request(get("/shared/x", bearer(token))).status == 200
    origin.reset()
    for secret in (SECRET + b"\n", SECRET[:-1], b"", SECRET.upper()):
        wrong = hmac_token(secret, {"alg": algorithm})
        expect_invalid(gateway, origin, wrong, "signature_invalid", "/shared/x")
    expect_invalid(gateway, origin, hmac_token(SECRET, {"alg": algorithm, "kid": "x"}), "key_unknown", "/shared/x")
    # The other providers know of no secret.
    expect_invalid(gateway, origin, token, "alg_not_allowed", "/all/x")


def test_secrets_of_a_key_set_beside_other_keys(gateway, origin, rsa_key):
    good = [
        hmac_token(LONG, {"alg": "HS512", "kid": "long"}),
        hmac_token(SHORT, {"alg": "HS256", "kid": "short"}),
        hmac_token(SHORT, {"alg": "HS256"}),
        rsa_key.token(),
    ]
    for token in good:
        assert gateway.request(get("/mixed/x", bearer(token))).status == 200
    origin.reset()
    refused = {
        hmac_token(LONG, {"alg": "HS256", "kid": "long"}): "alg_key_mismatch",
        hmac_token(SHORT, {"alg": "HS512", "kid": "short"}): "alg_key_mismatch",
        hmac_token(LONG, {"alg": "HS384", "kid": "long"}): "alg_not_allowed",
        hmac_token(bytes(31), {"alg": "HS256", "kid": "too short"}): "key_unknown",
        hmac_token(LONG, {"alg": "HS512", "kid": "rsa-1"}): "alg_key_mismatch",
        rsa_key.token(header={"kid": "long"}): "alg_key_mismatch",
    }
    for token, code in refused.items():
        expect_invalid(gateway, origin, token, code, "/mixed/x")


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "modulus"])
def test_J21_public_key_as_secret_beside_a_real_one(gateway, origin, rsa_key, form):
    secret = {
        "pem": rsa_key.public_pem(),
        "der": rsa_key.public_der(),
        "jwk": json.dumps(rsa_key.jwk()).encode(),
        "modulus": unb64(rsa_key.jwk()["n"]),
    }[form]
    named = hmac_token(secret, {"alg": "HS256", "kid": "rsa-1"})
    expect_invalid(gateway, origin, named, "alg_key_mismatch", "/mixed/x")
    expect_invalid(gateway, origin, hmac_token(secret, {"alg": "HS256"}), "signature_invalid", "/mixed/x")


def test_J22_secrets_that_are_too_short_are_load_errors(tmp_path):
    (tmp_path / "secret").write_bytes(b"x" * 47 + b"\n")
    for algorithms, message in (
        ("HS256", None),
        ("HS256 HS384", "HS384 needs a secret of at least 48 bytes"),
        ("RS256 HS256", None),
        ("HS512", "HS512 needs a secret of at least 64 bytes"),
    ):
        file = tmp_path / "gateway.conf"
        file.write_text(f"""
            auth_provider main jwt {{
                issuer {ISSUER}; audience {AUDIENCE}; secret ${{file:secret}}; algorithms {algorithms};
            }}
            server {{ listen 127.0.0.1:1; auth main; location / {{ return 200; }} }}
        """)
        done = run_command("check", "-c", file)
        assert (done.returncode == 0) == (message is None), done
        assert message is None or message in done.stdout + done.stderr
        assert "xxxx" not in done.stdout + done.stderr
    file.write_text(file.read_text().replace("secret ${file:secret};", "jwks http://127.0.0.1:1/;"))
    done = run_command("check", "-c", file)
    assert done.returncode == 1 and "HS512 needs a secret" in done.stdout + done.stderr


def test_J42_the_time_of_an_hmac_says_nothing(gateway):
    """Tags that are wrong in the first and in the last byte take the same time. Over a socket that shows only a gross
    difference; that the compare itself takes constant time is CRYPTO_memcmp's promise."""
    token = hmac_token(SECRET, {"alg": "HS512"})
    text, tag = token.rsplit(".", 1)[0], unb64(token.rsplit(".", 1)[1])
    assert tag == hmac.new(SECRET, text.encode(), hashlib.sha512).digest()
    spent = {0: [], 63: []}
    with gateway.connect() as client:
        for number in range(400):
            for at, times in spent.items():
                # A new claim each time, so that no refusal is remembered.
                fresh = hmac_token(SECRET, {"alg": "HS512"}, x=f"{number}-{at}")
                wrong = bytearray(unb64(fresh.rsplit(".", 1)[1]))
                wrong[at] ^= 1
                data = get("/shared/x", bearer(with_signature(fresh, bytes(wrong))))
                begun = time.perf_counter()
                response = client.request(data)
                times.append(time.perf_counter() - begun)
                assert response.code == "signature_invalid"
    first, last = (statistics.median(times) for times in spent.values())
    assert abs(first - last) < 0.3 * max(first, last), (first, last)


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
