"""Where the key of a token comes from and where it never does (security rows J31–J34, J36–J40, J43, R06)."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.certificates import Authority
from harness.jwks import KeyServer
from harness.raw import Client, get
from harness.refusals import check_invalid_token, expect_refusal
from harness.tokens import AUDIENCE, ISSUER, SigningKey, b64, bearer, claims_of, hmac_token, key_set
from harness.waiting import wait_until

SECRET = "a secret of the issuer and the gateway, of more than 64 bytes in all"
CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
client_header_line_size 64k;
client_header_size 256k;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
auth_provider many jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @many@; }}
auth_provider only jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; token_types at+jwt; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /many/ {{ auth many; proxy_pass http://@origin@; }}
    location /only/ {{ auth only; proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="session")
def stranger():
    """A key that nobody configured."""
    return SigningKey("RS256", "stranger")


@pytest.fixture(scope="session")
def crowd():
    """Ten keys without a name."""
    return [SigningKey("ES256", f"crowd-{number}") for number in range(10)]


@pytest.fixture(scope="module")
def listener():
    """A server that a token tells us to ask, and that nobody must ask."""
    server = KeyServer({"keys": []})
    yield server
    server.close()


@pytest.fixture(scope="module")
def values(rsa_key, ec_key, ed_key, crowd, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    (folder / "jwks.json").write_text(json.dumps(key_set(rsa_key, ec_key, ed_key)))
    (folder / "many.json").write_text(json.dumps(key_set(*(key.jwk(kid=None) for key in crowd), rsa_key)))
    return {"keys": folder / "jwks.json", "many": folder / "many.json"}


def expect_invalid(gateway, origin, token: str, code: str, path: str = "/x") -> None:
    for _ in range(2):
        response = expect_refusal(gateway, origin, get(path, bearer(token)), 401, code, closed=False)
        check_invalid_token(response, code)


def accepted(gateway, token: str, path: str = "/x") -> bool:
    return gateway.request(get(path, bearer(token))).status == 200


# -- keys that a token brings along


def test_J31_key_in_the_header(gateway, origin, stranger):
    own = stranger.jwk()
    expect_invalid(gateway, origin, stranger.token(header={"jwk": own, "kid": "rsa-1"}), "signature_invalid")
    expect_invalid(gateway, origin, stranger.token(header={"jwk": own}), "key_unknown")
    expect_invalid(gateway, origin, stranger.token(header={"jwk": own, "kid": None}), "signature_invalid")


@pytest.mark.parametrize("member", ["jku", "x5u"])
def test_J32_addresses_in_the_header_are_never_asked(gateway, origin, stranger, listener, member):
    listener.document = key_set(stranger)
    own = f"http://127.0.0.1:{gateway.admin_port}/"
    for url in (listener.url, "http://169.254.169.254/latest", "file:///etc/passwd", own):
        expect_invalid(gateway, origin, stranger.token(header={member: url}), "key_unknown")
        expect_invalid(gateway, origin, stranger.token(header={member: url, "kid": "rsa-1"}), "signature_invalid")
    assert listener.hits == []


def test_J32_a_good_token_may_carry_one(gateway, rsa_key, listener):
    assert accepted(gateway, rsa_key.token(header={"jku": listener.url, "x5u": listener.url}))
    assert listener.hits == []


def test_J33_certificates_in_the_header(gateway, origin, stranger, rsa_key, tmp_path):
    certificate, _ = Authority(tmp_path).issue("id.example.com")
    body = "".join(line for line in certificate.read_text().splitlines() if "-----" not in line)
    for chain in ([body], [body] * 3, [], "x", None):
        header = {"x5c": chain, "x5t": "AAAA", "x5t#S256": "BBBB", "kid": "rsa-1"}
        expect_invalid(gateway, origin, stranger.token(header=header), "signature_invalid")
    assert accepted(gateway, rsa_key.token(header={"x5c": [body]}))


# -- names of keys

KIDS = [
    "../../dev/null",
    "../../../../etc/passwd",
    "' OR 1=1 --",
    "https://id.example.com/key",
    "rsa-1\u0000",
    "rsa-1 ",
    "RSA-1",
    "",
    "\r\nX-Injected: 1",
    '"},"level":"x',
    "k" * 256,
    "k" * 257,
    "é" * 200,
    5,
    0,
    True,
    None,
    [],
    ["rsa-1"],
    {"kid": "rsa-1"},
]


@pytest.mark.parametrize("kid", KIDS, ids=lambda kid: repr(kid)[:20])
def test_J34_names_of_keys_are_names_only(gateway, origin, rsa_key, kid):
    header = json.dumps(rsa_key.header() | {"kid": kid})
    expect_invalid(gateway, origin, rsa_key.token_of(header, json.dumps(claims_of())), "key_unknown")
    assert "X-Injected" not in gateway.log and "/etc/passwd" not in gateway.log
    assert all(isinstance(line, dict) for line in gateway.access_log())


def test_J34_a_name_of_a_megabyte(gateway, origin, rsa_key):
    token = rsa_key.token(header={"kid": "k" * (1 << 20)})
    with gateway.connect() as client:
        client.send(get("/x", bearer(token)))
        response = client.read_response()
    assert response.status == 431 and origin.received == b""


def test_J34_a_name_that_is_longer_than_a_token_may_be(gateway, origin, rsa_key):
    expect_invalid(gateway, origin, rsa_key.token(header={"kid": "k" * 9000}), "token_too_large")


def test_J36_no_name_and_several_keys(gateway, rsa_key, ec_key, ed_key):
    for key in (rsa_key, ec_key, ed_key):
        assert accepted(gateway, key.token(header={"kid": None}))


def test_J36_at_most_eight_are_tried(gateway, origin, crowd, rsa_key):
    for key in crowd[:8]:
        assert accepted(gateway, key.token(header={"kid": None}), "/many/x")
    for key in crowd[8:]:
        expect_invalid(gateway, origin, key.token(header={"kid": None}), "signature_invalid", "/many/x")
    # Keys of another kind cost no try.
    assert accepted(gateway, rsa_key.token(header={"kid": None}), "/many/x")


# -- what else a header says


@pytest.mark.parametrize(
    "crit",
    [
        ["exp"],
        ["x"],
        ["b64"],
        ["alg"],
        ["kid", "kid"],
        [],
        "exp",
        "",
        None,
        5,
        {},
        {"exp": 1},
        [5],
        [["exp"]],
        ["http://example.com/x", "x"],
    ],
    ids=repr,
)
def test_J37_critical_extensions(gateway, origin, rsa_key, crit):
    header = json.dumps(rsa_key.header() | {"crit": crit, "x": 1})
    expect_invalid(gateway, origin, rsa_key.token_of(header, json.dumps(claims_of())), "unsupported_crit")


@pytest.mark.parametrize(
    "typ",
    ["logout+jwt", "dpop+jwt", "secevent+jwt", "application/logout+jwt", "JWS", "JOSE", "at+jwt ", "", 5, ["JWT"]],
    ids=repr,
)
def test_J38_types(gateway, origin, rsa_key, typ):
    expect_invalid(gateway, origin, rsa_key.token(header={"typ": typ}), "typ_not_allowed")


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
def test_J38_access_tokens_only(gateway, origin, rsa_key, typ):
    assert accepted(gateway, rsa_key.token(header={"typ": typ}), "/only/x")
    for other in ("JWT", "application/jwt", None):
        expect_invalid(gateway, origin, rsa_key.token(header={"typ": other}), "typ_not_allowed", "/only/x")


@pytest.mark.parametrize("cty", ["JWT", "jwt", "application/jwt", "Application/JWT"])
def test_J39_nested(gateway, origin, rsa_key, cty):
    inner = rsa_key.token()
    expect_invalid(gateway, origin, rsa_key.token(header={"cty": cty}), "unsupported_header")
    expect_invalid(
        gateway, origin, rsa_key.token_of(json.dumps(rsa_key.header(cty=cty)), inner), "unsupported_header"
    )


# -- which keys of a set are taken

FETCHED = f"""
worker_processes 1;
error_log stderr notice;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; jwks @jwks@; jwks_refresh 10s; }}
server {{ listen 127.0.0.1:@port@; auth main; location / {{ proxy_pass http://@origin@; }} }}
"""


@pytest.fixture
def serve():
    servers = []

    def serve_keys(*keys) -> str:
        servers.append(KeyServer(key_set(*keys)))
        return servers[-1].url

    yield serve_keys
    for server in servers:
        server.close()


def private_jwk(key: SigningKey) -> dict:
    return key.jwk(d=b64(key.private.private_numbers().private_value.to_bytes(32, "big")))


def expect_left_out(start, origin, url: str, good: SigningKey, *left_out: tuple[str, str]) -> None:
    """The good key is used; tokens of the others name unknown keys; each of the others is told once, by its kid."""
    gateway = start(FETCHED, jwks=url)
    wait_until(lambda: accepted(gateway, good.token()), what="the good key is used")
    origin.reset()
    for kid, token in left_out:
        check_invalid_token(gateway.request(get("/x", bearer(token))), "key_unknown")
        assert gateway.log.count(f'key "{kid}"') == 1, gateway.log
    assert origin.received == b""


def test_J40_keys_for_encryption_and_private_keys(start, origin, serve, rsa_key):
    sealed, leaked = SigningKey("ES256", "sealed"), SigningKey("ES256", "leaked")
    idle = SigningKey("ES256", "idle")
    url = serve(sealed.jwk(use="enc"), private_jwk(leaked), idle.jwk(use=None, key_ops=["sign"]), rsa_key)
    expect_left_out(start, origin, url, rsa_key, *((key.kid, key.token()) for key in (sealed, leaked, idle)))


def test_J40_secrets_from_a_url_are_never_taken(start, origin, serve, rsa_key):
    secret = {"kty": "oct", "kid": "shared", "alg": "HS256", "use": "sig", "k": b64(SECRET.encode())}
    gateway = start(FETCHED, jwks=serve(secret, rsa_key))
    wait_until(lambda: accepted(gateway, rsa_key.token()))
    origin.reset()
    for header in ({"alg": "HS256", "kid": "shared"}, {"alg": "HS256"}):
        token = hmac_token(SECRET.encode(), header)
        check_invalid_token(gateway.request(get("/x", bearer(token))), "alg_not_allowed")
    assert origin.received == b"" and gateway.log.count('key "shared"') == 1


def test_J40_in_a_file(start, origin, rsa_key, tmp_path):
    sealed = SigningKey("ES256", "sealed")
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(key_set(sealed.jwk(use="enc"), rsa_key)))
    gateway = start(FETCHED.replace("jwks @jwks@; jwks_refresh 10s;", f"key_file {file};"))
    assert accepted(gateway, rsa_key.token())
    origin.reset()
    check_invalid_token(gateway.request(get("/x", bearer(sealed.token()))), "key_unknown")
    assert origin.received == b"" and 'key "sealed" is for encryption' in gateway.log


def odd_rsa(kid: str, bits: int, exponent: int = 65537) -> dict:
    """The JWK of a number that is as large as that; nobody has its private key."""
    modulus = (1 << bits - 1) | 1
    return {
        "kty": "RSA",
        "kid": kid,
        "n": b64(modulus.to_bytes(bits // 8, "big")),
        "e": b64(exponent.to_bytes((exponent.bit_length() + 7) // 8, "big")),
    }


def test_R06_huge_keys_are_left_out(start, origin, serve, rsa_key):
    odd = [odd_rsa("huge", 16384), odd_rsa("wide", 8200)]
    odd += [odd_rsa("slow", 2048, (1 << 64) + 1), odd_rsa("e", 2048, 1 << 32 | 3)]
    tokens = [(jwk["kid"], rsa_key.token(header={"kid": jwk["kid"]})) for jwk in odd]
    expect_left_out(start, origin, serve(*odd, rsa_key), rsa_key, *tokens)


def test_R06_the_largest_key_is_used(start, serve):
    large = SigningKey("RS256", "large", rsa.generate_private_key(65537, 4096))
    gateway = start(FETCHED, jwks=serve(large))
    wait_until(lambda: accepted(gateway, large.token()))


def test_J28_weak_keys_are_left_out(start, origin, serve, rsa_key):
    small = SigningKey("RS256", "small", rsa.generate_private_key(65537, 1024))
    cube = SigningKey("RS256", "cube", rsa.generate_private_key(3, 2048))
    expect_left_out(start, origin, serve(small, cube, rsa_key), rsa_key, *((k.kid, k.token()) for k in (small, cube)))


# -- OpenSSL's queue of errors

TLS = f"""
worker_processes 1;
error_log stderr notice;
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@;
    algorithms RS256 PS256 ES256 EdDSA HS256; secret ${{file:@secret@}}; }}
server {{
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
}}
"""


def test_J43_a_bad_signature_and_then_a_good_one_over_tls(start, authority, rsa_key, ec_key, ed_key, tmp_path, values):
    certificate, key = authority.issue("localhost")
    (tmp_path / "secret").write_text(SECRET)
    gateway = start(TLS, certificate=certificate, key=key, secret=tmp_path / "secret", keys=values["keys"])
    good = [rsa_key.token(), ec_key.token(), ed_key.token(), hmac_token(SECRET.encode(), {"alg": "HS256"})]
    bad = []
    for token in good:
        head, body, signature = token.split(".")
        bad += [f"{head}.{body}.{signature[:20]}{'AAAA' if signature[20:24] != 'AAAA' else 'BBBB'}{signature[24:]}"]
        bad += [f"{head}.{body}.{signature[:-4]}", f"{head}.{body}.{'A' * (len(signature) // 4 * 4)}"]
    bad += [key.token(header={"kid": None, "alg": "PS256"}) for key in (rsa_key, ec_key)]
    with Client(gateway.tls_port, tls=authority.client_context(), server_name="localhost") as client:
        for token in good:
            for wrong in bad:
                assert client.request(get("/x", bearer(wrong))).status == 401
                assert client.request(get("/x", bearer(token))).status == 200
