"""Tokens that a shared secret signs (HS256): their shape, who believes them, and that the secret is nowhere to be seen."""

import base64
import hashlib
import hmac
import json
import secrets

import httpx
import jwt
import pytest

from harness.backend import backend_key, prepare, private_key, public_pem  # noqa: F401
from harness.prometheus import parse
from harness.waiting import wait_until

ISSUER = "https://localhost:8443"
NAME = "hs-2026a"

CONFIGURATION = """
error_log stderr notice;
auth_provider main jwt {
    issuer https://localhost:8443;
    audience gateway-demo;
    @secrets@
    algorithms HS256;
    leeway 0s;
}
server {
    listen 127.0.0.1:@port@;
    auth main;
    location /api/v1/auth/ { auth off; proxy_pass http://127.0.0.1:@auth_service_port@; }
    location /api/protected/ {
        require permission read:data; forward_token on; proxy_pass http://127.0.0.1:@resource_port@;
    }
}
"""


def with_secret(backend, secret: str, name: str = NAME, mode: int = 0o600) -> str:
    """Writes the secret's file and returns the setting that names it."""
    return str(backend.write(f"keys/{name}.secret", secret + "\n", mode=mode))


def decoded(part: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def data(backend, token: str) -> httpx.Response:
    return backend.get("/api/protected/data", token)


def test_token_has_the_published_shape(prepare):
    """Three parts; the header names algorithm, type and secret; the claims are those of a token of any other algorithm."""
    backend = prepare()
    secret = secrets.token_hex(32)
    file = with_secret(backend, secret)
    backend.start(environment={"BACKEND_HS256_SECRETS": file})
    answer = backend.login("admin", "battery staple")
    assert set(answer) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 600)
    header, payload, signature = answer["access_token"].split(".")
    assert decoded(header) == {"alg": "HS256", "typ": "at+jwt", "kid": NAME}
    assert len(base64.urlsafe_b64decode(signature + "=")) == 32
    claims = jwt.decode(answer["access_token"], secret, algorithms=["HS256"], audience="gateway-demo", issuer=ISSUER)
    assert claims == decoded(payload)
    assert {name: claims[name] for name in ("iss", "sub", "aud", "client_id", "name", "role", "roles", "permissions")} == {
        "iss": ISSUER, "sub": "admin", "aud": "gateway-demo", "client_id": "web", "name": "Ada Min", "role": "admin",
        "roles": ["admin", "user"], "permissions": ["read:admin_panel", "read:data", "write:admin_panel"]}
    assert set(claims) == {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "client_id", "name", "role", "roles",
                           "permissions"}
    assert claims["exp"] - claims["iat"] == 600 and claims["nbf"] == claims["iat"]
    email = decoded(backend.login()["access_token"].split(".")[1])["email"]
    assert email == "alice@example.com"
    assert backend.get("/api/admin/stats", answer["access_token"]).status_code == 200
    backend.stop()


def test_secret_is_nowhere_to_be_seen(prepare):
    backend = prepare()
    secret = secrets.token_hex(32)
    backend.start("--hs256-secrets", with_secret(backend, secret), "--log-level", "trace")
    backend.login()
    key_set = backend.auth.get("/.well-known/jwks.json")
    assert key_set.json() == {"keys": []}
    hashed = hashlib.sha256(secret.encode())
    thumbprint = hashlib.sha256(json.dumps(
        {"k": encoded(secret.encode()), "kty": "oct"}, separators=(",", ":")).encode())
    seen = backend.log + key_set.text + backend.auth.get("/metrics").text
    for text in (secret, hashed.hexdigest(), encoded(hashed.digest()), encoded(thumbprint.digest())):
        assert text not in seen
    metrics = parse(backend.auth.get("/metrics").text)
    assert metrics.sum("backend_signing_keys", state="active") == 1
    backend.stop()


def test_gateway_verifies_with_the_secret(prepare, start):
    backend = prepare()
    file = with_secret(backend, secrets.token_hex(32))
    backend.start("--hs256-secrets", file)
    token = backend.login()["access_token"]
    for setting, status in {
        f"secret ${{file:{file}}} kid={NAME};": 200,
        f"secret ${{file:{with_secret(backend, secrets.token_hex(32), 'other')}}} kid={NAME};": 401,
    }.items():
        gateway = start(CONFIGURATION, secrets=setting, auth_service_port=backend.auth_port,
                        resource_port=backend.resource_port)
        with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", timeout=20) as client:
            answer = client.get("/api/protected/data", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status, answer.text
            if status == 200:
                assert answer.json()["identity_headers"]["X-Auth-Subject"] == "alice"
    backend.stop()


def test_secret_is_replaced_without_a_refusal(prepare, start):
    """The new one signs, the old one still verifies, here and at a gateway that holds both."""
    backend = prepare()
    old = with_secret(backend, secrets.token_hex(32), "a")
    new = with_secret(backend, secrets.token_hex(32), "b")
    backend.start("--hs256-secrets", old)
    both = [{"kty": "oct", "kid": name, "alg": "HS256", "k": encoded(backend.read(f"keys/{name}.secret").strip().encode())}
            for name in ("a", "b")]
    key_file = backend.write("keys/both.json", json.dumps({"keys": both}), mode=0o600)
    gateway = start(CONFIGURATION, secrets=f"key_file {key_file};",
                    auth_service_port=backend.auth_port, resource_port=backend.resource_port)
    before = backend.login()["access_token"]
    backend.stop()
    backend.start("--hs256-secrets", f"{new}, {old}")
    after = backend.login()["access_token"]
    assert [jwt.get_unverified_header(token)["kid"] for token in (before, after)] == ["a", "b"]
    for token in (before, after):
        assert data(backend, token).status_code == 200
        answer = backend.resource.get(f"http://127.0.0.1:{gateway.port}/api/protected/data",
                                      headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
    backend.stop()
    backend.start("--hs256-secrets", new)
    assert data(backend, before).json()["code"] == "key_unknown"
    backend.stop()


def test_secret_is_read_again_when_its_file_changes(prepare):
    """As other keys are, without a restart; a token is not remembered longer than the secret that it was verified with."""
    backend = prepare()
    first, second = secrets.token_hex(32), secrets.token_hex(32)
    backend.start("--hs256-secrets", with_secret(backend, first))
    before = backend.login()
    for _ in range(2):
        assert data(backend, before["access_token"]).status_code == 200
        assert backend.validate(before["access_token"]) == "Valid"
    with_secret(backend, "too short")
    wait_until(lambda: "the signing secrets stay as they were" in backend.log, within=5, what="the file is refused")
    assert "the secret has 9 bytes" in backend.log
    assert data(backend, backend.login()["access_token"]).status_code == 200
    metrics = parse(backend.auth.get("/metrics").text)
    assert metrics.sum("backend_signing_key_failures_total", action="read") >= 1
    assert metrics.sum("backend_signing_key_source_failing_seconds") > 0
    with_secret(backend, second)
    wait_until(lambda: "the signing secrets were re-read" in backend.log, within=5, what="the new secret")
    after = backend.refresh(before["refresh_token"]).json()["access_token"]
    assert jwt.decode(after, second, algorithms=["HS256"], audience="gateway-demo")["sub"] == "alice"
    assert data(backend, after).status_code == 200
    assert data(backend, before["access_token"]).json()["code"] == "signature_invalid"
    assert backend.validate(before["access_token"]) == "Invalid"
    assert any("event=key_rotated" in line and f"kid={NAME}" in line for line in backend.log.splitlines())
    assert first not in backend.log and second not in backend.log and "too short" not in backend.log
    backend.stop()


def test_neither_algorithm_is_believed_with_the_other_ones_key(prepare, backend_key):
    """Key confusion (RFC 8725 §2.1): the public key as a secret, and a private key under the name of a secret."""
    backend = prepare()
    secret = secrets.token_hex(32)
    backend.start("--hs256-secrets", with_secret(backend, secret))
    claims = jwt.decode(backend.login()["access_token"], options={"verify_signature": False})
    headers = {"typ": "at+jwt", "kid": NAME}
    assert data(backend, jwt.encode(claims, secret, algorithm="HS256", headers=headers)).status_code == 200
    for forged, code in {
        jwt.encode(claims, backend_key, algorithm="RS256", headers=headers): "alg_not_allowed",
        jwt.encode(claims, secret, algorithm="HS512", headers=headers): "alg_not_allowed",
        jwt.encode(claims, None, algorithm="none", headers=headers): "alg_not_allowed",
        jwt.encode(claims, secret + "x", algorithm="HS256", headers=headers): "signature_invalid",
    }.items():
        answer = data(backend, forged)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
    backend.stop()

    backend.start()
    kid = backend.key_set()[0]["kid"]
    pem = public_pem(backend_key)
    # PyJWT itself refuses to sign with a key that it recognizes.
    signed = ".".join(encoded(json.dumps(part).encode())
                      for part in ({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims))
    tag = hmac.digest(pem, signed.encode(), "sha256")
    assert data(backend, f"{signed}.{encoded(tag)}").json()["code"] == "alg_not_allowed"
    backend.stop()


@pytest.mark.parametrize("secret, name, mode, sentence", [
    ("x" * 31, NAME, 0o600, "the secret has 31 bytes and needs 32 or more"),
    ("x" * 32, NAME, 0o640, "only its owner may read it"),
    ("x" * 32, "ä", 0o600, "the name of the secret, must be of 1 to 64 letters"),
])
def test_secret_that_will_not_do_is_refused_at_the_start(prepare, secret, name, mode, sentence):
    backend = prepare()
    assert sentence in backend.refuses_to_start("--hs256-secrets", with_secret(backend, secret, name, mode))


def test_two_secrets_of_one_name_are_refused(prepare):
    backend = prepare()
    file = with_secret(backend, "x" * 32)
    assert f"there is another secret of the name {NAME}" in backend.refuses_to_start(
        "--hs256-secrets", f"{file},{file}")
