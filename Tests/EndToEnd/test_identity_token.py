"""`identity_token`: what the gateway signs for an upstream, checked with PyJWT against the keys that it publishes."""

import json
import signal
import time

import jwt
import pytest
from jwt import PyJWKSet

from harness.gateway import run_command
from harness.raw import Client, get
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

FIELD = "x-gateway-identity"
CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; leeway 0; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    identity_token {{ key @signing@/private_key.pem; audience orders; ttl 60s; }}
    location / {{ proxy_pass http://@origin@; }}
    location /billing/ {{ identity_token {{ key @rsa@/private_key.pem @signing@/private_key.pem; audience billing;
        issuer https://gateway.example.com; ttl 2s; header X-Who; }} proxy_pass http://@origin@; }}
    location /curve/ {{ identity_token {{ key @curve@/private_key.pem; audience curve; }} proxy_pass http://@origin@; }}
    location /none/ {{ identity_token {{ }} proxy_pass http://@origin@; }}
    location /open/ {{ auth off; proxy_pass http://@origin@; }}
    location = /keys {{ auth off; identity_jwks; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key, tmp_path_factory):
    folder = tmp_path_factory.mktemp("identity")
    (folder / "jwks.json").write_text(json.dumps(key_set(rsa_key)))
    for name, option in (("signing", ["--ed25519"]), ("rsa", []), ("curve", ["--ec", "P-256"])):
        assert run_command("keygen", *option, "--out", folder / name).returncode == 0
    return {"keys": folder / "jwks.json"} | {name: folder / name for name in ("signing", "rsa", "curve")}


def published(gateway) -> PyJWKSet:
    response = gateway.request(get("/keys"))
    assert response.status == 200 and response.get("content-type") == "application/jwk-set+json"
    assert response.get("cache-control") == "public, max-age=300"
    document = json.loads(response.body)
    assert all(not {"d", "p", "q", "k"} & set(key) for key in document["keys"])
    return PyJWKSet.from_dict(document)


def checked(gateway, token: str, audience: str, issuer: str = "gateway") -> dict:
    """As an upstream checks it: key by kid, algorithm of the key, issuer, audience and times."""
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "gateway-identity+jwt"
    key = published(gateway)[header["kid"]]
    assert header["alg"] == key.algorithm_name
    return jwt.decode(
        token, key, [key.algorithm_name], audience=audience, issuer=issuer, options={"require": ["exp", "iat", "aud"]}
    )


def sent(gateway, origin, token: str, path: str = "/x", field: str = FIELD, *lines: str) -> str:
    origin.reset()
    assert gateway.request(get(path, bearer(token), *lines)).status == 200
    return origin.last.get(field)


def test_claims_of_the_token(gateway, origin, rsa_key):
    # The gateway reads the kernel's coarse clock, which may be a tick behind.
    before = int(time.time() - 0.1)
    token = sent(gateway, origin, rsa_key.token(sub="alice", permissions=["read:data", "a,b", "é%"]))
    claims = checked(gateway, token, "orders")
    assert before <= claims.pop("iat") <= time.time() and before + 60 <= claims.pop("exp") <= time.time() + 60
    assert claims == {
        "iss": "gateway",
        "aud": "orders",
        "sub": "alice",
        "permissions": ["read:data", "a,b", "é%"],
        "provider": "main",
    }


@pytest.mark.parametrize("subject", ["Ω mega", " a ", "100%", 'x"y\\z', "a\r\nX-Evil: 1", "\U0001f600"])
def test_subjects_arrive_as_they_are(gateway, origin, rsa_key, subject):
    token = sent(gateway, origin, rsa_key.token(sub=subject))
    assert checked(gateway, token, "orders")["sub"] == subject
    assert origin.last.get("x-evil") is None


@pytest.mark.parametrize(
    ("path", "algorithm", "audience", "issuer", "field"),
    [
        ("/x", "EdDSA", "orders", "gateway", FIELD),
        ("/billing/x", "RS256", "billing", "https://gateway.example.com", "x-who"),
        ("/curve/x", "ES256", "curve", "gateway", FIELD),
    ],
)
def test_kinds_of_keys(gateway, origin, rsa_key, path, algorithm, audience, issuer, field):
    token = sent(gateway, origin, rsa_key.token(), path, field)
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert checked(gateway, token, audience, issuer)["sub"] == "alice"
    for other in ("orders", "billing", "curve"):
        if other != audience:
            with pytest.raises(jwt.InvalidAudienceError):
                checked(gateway, token, other, issuer)
    assert (origin.last.get(FIELD) is None) == (field != FIELD)


def test_a_cached_request_signs_nothing(gateway, origin, rsa_key):
    """ES256 and its like sign the same text differently each time, so the same bytes are the same signature."""
    token = rsa_key.token(x="cached")
    first = sent(gateway, origin, token, "/curve/x")
    assert all(sent(gateway, origin, token, "/curve/x") == first for _ in range(20))
    other = sent(gateway, origin, rsa_key.token(x="another"), "/curve/x")
    assert other != first and checked(gateway, other, "curve")["sub"] == "alice"


def test_a_new_one_after_half_its_life(gateway, origin, rsa_key):
    token = rsa_key.token(x="half")
    first = sent(gateway, origin, token, "/billing/x", "x-who")
    time.sleep(1.3)
    second = sent(gateway, origin, token, "/billing/x", "x-who")
    assert second != first
    old, new = (jwt.decode(t, options={"verify_signature": False}) for t in (first, second))
    assert old["exp"] - old["iat"] == 2 and new["iat"] > old["iat"]


def test_it_never_outlives_the_credential(gateway, origin, rsa_key):
    end = int(time.time()) + 5
    claims = checked(gateway, sent(gateway, origin, rsa_key.token(exp=end)), "orders")
    assert claims["exp"] == end


SPELLINGS = ["X-Gateway-Identity: forged", "x_gateway_identity: forged", "X-GATEWAY-IDENTITY: forged", "X-Who: forged"]


@pytest.mark.parametrize("line", [*SPELLINGS, "X_WHO: forged"])
@pytest.mark.parametrize("path", ["/x", "/billing/x", "/none/x", "/open/x"])
def test_copies_of_clients_are_removed_everywhere(gateway, origin, rsa_key, path, line):
    for lines in ([line], [line, line], [line, "Connection: X-Gateway-Identity, X-Who"]):
        origin.reset()
        assert gateway.request(get(path, bearer(rsa_key.token()), *lines)).status == 200
        assert b"forged" not in origin.received
        named = [name for name in origin.last.names() if name.replace("_", "-") in (FIELD, "x-who")]
        assert len(named) == (0 if path in ("/none/x", "/open/x") else 1)


def test_published_by_the_admin_address_too(gateway):
    with Client(gateway.admin_port) as client:
        client.send(get("/jwks.json"))
        response = client.read_response()
    assert response.status == 200 and response.get("content-type") == "application/jwk-set+json"
    document = json.loads(response.body)
    assert document == json.loads(gateway.request(get("/keys")).body)
    assert sorted(key["alg"] for key in document["keys"]) == ["ES256", "EdDSA", "RS256"]
    with gateway.connect() as client:
        client.send(get("/keys", method="HEAD"))
        assert client.read_response("HEAD").status == 200


def test_explain_shows_no_token(gateway, rsa_key, tmp_path):
    """Whoever sees a token can use it, so the field is told and its value is not."""
    (tmp_path / "token").write_text(rsa_key.token())
    done = run_command("explain", "-c", gateway.file, "--token-file", tmp_path / "token", "/x")
    assert done.returncode == 0 and "X-Gateway-Identity: ***" in done.stdout, done
    done = run_command("explain", "-c", gateway.file, "/keys")
    assert done.returncode == 0 and "identity_jwks" in done.stdout and "application/jwk-set+json" in done.stdout, done


def test_exchange_of_the_key(start, origin, rsa_key, values):
    """The next key is published before it signs; whoever signed before stays known."""
    text = CONFIGURATION.split("location /billing/")[0] + "location = /keys { auth off; identity_jwks; } }"
    gateway = start(text, **values)
    old, new = "@signing@/private_key.pem", "@curve@/private_key.pem"
    before = sent(gateway, origin, rsa_key.token())
    gateway.configure(text.replace(old, f"{old} {new}"))
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: len(published(gateway).keys) == 2, what="both keys are published")
    assert jwt.get_unverified_header(sent(gateway, origin, rsa_key.token()))["alg"] == "EdDSA"
    gateway.configure(text.replace(old, f"{new} {old}"))
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: published(gateway).keys[0].algorithm_name == "ES256", what="the new key stands first")
    after = sent(gateway, origin, rsa_key.token())
    assert jwt.get_unverified_header(after)["alg"] == "ES256"
    assert checked(gateway, after, "orders") and checked(gateway, before, "orders")
