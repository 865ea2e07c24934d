"""The resource service behind a gateway whose signed identity token it demands: nobody comes past the gateway."""

import base64
import hashlib
import time

import httpx
import jwt
import pytest

from harness.backend import Backend, backend_key, prepare, private_key, private_pem, problem, public_pem  # noqa: F401
from harness.gateway import Gateway
from harness.waiting import wait_until

FIELD = "X-Gateway-Identity"
SECRET = "a-secret-of-the-gateway-for-tests-only"
CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
auth_provider main jwt {
    issuer https://localhost:8443;
    audience gateway-demo;
    jwks http://127.0.0.1:@auth_service_port@/.well-known/jwks.json;
}
auth_provider programs api_key {
    url http://127.0.0.1:@auth_service_port@/oauth/introspect;
    client_id gateway; client_secret @secret@; prefix gk_live_;
}
server {
    listen 127.0.0.1:@port@;
    auth any main programs;
    forward_token on;
    identity_token { key @identity@; audience resources; }
    location /api/ { proxy_pass http://127.0.0.1:@resource_port@; }
    location /open/ { auth off; proxy_pass http://127.0.0.1:@resource_port@/; }
    location /elsewhere/ {
        identity_token { key @identity@; audience billing; }
        proxy_pass http://127.0.0.1:@resource_port@/;
    }
    location /bare/ { identity_token { } proxy_pass http://127.0.0.1:@resource_port@/; }
}
"""


class Setup:
    """A backend that demands identity tokens of a key, and a gateway that signs with it."""

    def __init__(self, backend, start, key):
        self.backend, self.key = backend, key
        file = backend.write("keys/identity.pem", private_pem(key), mode=0o600)
        backend.write("keys/identity.pub", public_pem(key))
        secrets = backend.read("keys/secrets.json").rstrip().removesuffix("}")
        clients = '"clients": [{"id": "gateway", "secret": "%s", "rights": ["introspect"]}]' % SECRET
        backend.write("keys/secrets.json", f"{secrets}, {clients}}}", mode=0o600)
        backend.start("--gateway-keys", "keys/identity.pub")
        self.gateway = start(CONFIGURATION, auth_service_port=backend.auth_port, resource_port=backend.resource_port,
                             identity=file, secret=SECRET)
        self.alice = backend.login()["access_token"]

    def through(self, path: str, token: str | None = None, **fields: str) -> httpx.Response:
        if token:
            fields["Authorization"] = f"Bearer {token}"
        return httpx.get(f"http://127.0.0.1:{self.gateway.port}{path}", headers=fields, timeout=20)

    def directly(self, identity: str | None, token: str | None = None, **fields: str) -> httpx.Response:
        return self.backend.get("/protected", token, **fields, **({FIELD: identity} if identity is not None else {}))

    def identity(self, key=None, header: dict | None = None, **claims) -> str:
        """A token as the gateway makes it, with other claims; `None` removes one."""
        now = int(time.time())
        content = {"iss": "gateway", "aud": "resources", "sub": "alice", "permissions": ["read:data"],
                   "provider": "main", "iat": now, "exp": now + 60} | claims
        return jwt.encode({name: value for name, value in content.items() if value is not None}, key or self.key,
                          algorithm="ES256", headers={"typ": "gateway-identity+jwt", "kid": self.kid} | (header or {}))

    @property
    def kid(self) -> str:
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return thumbprint(jwk)


def thumbprint(jwk: dict) -> str:
    """RFC 7638 §3, of a key on a curve."""
    text = '{"crv":"%s","kty":"EC","x":"%s","y":"%s"}' % (jwk["crv"], jwk["x"], jwk["y"])
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def setup(backend_key, tmp_path_factory):
    started = []

    def start(configuration: str, **values) -> Gateway:
        started.append(Gateway(configuration, tmp_path_factory.mktemp("gateway"), **values))
        return started[-1]

    backend = Backend(tmp_path_factory.mktemp("backend") / "it", backend_key)
    try:
        yield Setup(backend, start, private_key("ES256"))
        started[0].stop()
        backend.stop()
    finally:
        for gateway in started:
            gateway.kill()
        backend.close()


def test_what_comes_through_the_gateway_passes(setup):
    answer = setup.through("/api/protected/data", setup.alice)
    assert answer.status_code == 200, answer.text
    assert answer.json()["subject"] == "alice" and answer.json()["name"] == "alice"
    problem(setup.through("/api/admin/stats", setup.alice), 403, "insufficient_scope")


def test_who_goes_past_the_gateway_is_refused(setup):
    """With a good access token, and with forged fields: neither is the gateway's word."""
    assert setup.directly(setup.identity(), setup.alice).status_code == 200, "a token of the gateway would do"
    forged = {"X-Auth-Subject": "admin", "X-Auth-Permissions": "read:data,read:admin_panel", "X-Auth-Provider": "main"}
    problem(setup.directly(None, setup.alice), 403, "gateway_identity_missing")
    problem(setup.directly(None, setup.alice, **forged), 403, "gateway_identity_missing")
    problem(setup.directly(None, **forged), 403, "gateway_identity_missing")
    problem(setup.backend.get("/api/admin/stats", **forged), 403, "gateway_identity_missing")


@pytest.mark.parametrize("identity,reason", [
    (lambda setup: setup.identity(key=private_key("ES256")), "signature_invalid"),
    (lambda setup: setup.identity(header={"kid": "other"}), "key_unknown"),
    (lambda setup: setup.identity(header={"typ": "at+jwt"}), "typ_not_allowed"),
    (lambda setup: setup.identity(header={"typ": "JWT"}), "typ_not_allowed"),
    (lambda setup: setup.identity(aud="billing"), "audience_mismatch"),
    (lambda setup: setup.identity(aud=None), "audience_mismatch"),
    (lambda setup: setup.identity(iss="https://localhost:8443"), "issuer_mismatch"),
    (lambda setup: setup.identity(exp=int(time.time()) - 31), "token_expired"),
    (lambda setup: setup.identity(exp=None), "claim_missing"),
    (lambda setup: setup.identity(sub=None), "claim_missing"),
    (lambda setup: jwt.encode({"sub": "alice"}, None, algorithm="none"), "alg_not_allowed"),
    (lambda setup: setup.alice, "alg_not_allowed"),
    (lambda setup: "alice", "token_malformed"),
    (lambda setup: "", "token_malformed"),
])
def test_a_forged_identity_is_refused_whatever_the_access_token(setup, identity, reason):
    forged = identity(setup)
    for token in (setup.alice, None):
        assert problem(setup.directly(forged, token), 403, "gateway_identity_invalid")["detail"].endswith(reason)


def test_an_identity_is_no_access_token(setup):
    problem(setup.directly(setup.identity(), setup.identity()), 401, "alg_not_allowed")


def test_two_identities_or_one_of_somebody_else(setup):
    fields = [(FIELD, setup.identity()), (FIELD, setup.identity()), ("Authorization", f"Bearer {setup.alice}")]
    problem(setup.backend.resource.get("/protected", headers=fields), 403, "gateway_identity_invalid")
    problem(setup.directly(setup.identity(sub="admin"), setup.alice), 403, "gateway_identity_invalid")


def test_the_access_token_is_verified_all_the_same(setup):
    """The gateway's word does not make a bad access token good, nor give more than the good one says."""
    problem(setup.directly(setup.identity(), "nonsense"), 401, "token_malformed")
    problem(setup.directly(setup.identity(), setup.backend.forge(exp=1, iat=1, nbf=1)), 401, "token_expired")
    answer = setup.backend.get("/admin", setup.alice, **{FIELD: setup.identity(permissions=["read:admin_panel"])})
    problem(answer, 403, "insufficient_scope")


def test_copies_of_clients_do_not_come_through(setup):
    forged = setup.identity(sub="admin", permissions=["read:data", "read:admin_panel"])
    assert setup.through("/api/protected/data", setup.alice, **{FIELD: forged}).json()["subject"] == "alice"
    problem(setup.through("/open/protected", None, **{FIELD: forged}), 403, "gateway_identity_missing")
    problem(setup.through("/open/protected", setup.alice, **{FIELD: forged}), 403, "gateway_identity_missing")


def test_words_meant_for_others_are_none(setup):
    problem(setup.through("/elsewhere/protected", setup.alice), 403, "gateway_identity_invalid")
    problem(setup.through("/bare/protected", setup.alice), 403, "gateway_identity_missing")


def test_a_key_of_a_program_reaches_the_resource(setup):
    """It has no access token: what the gateway signs is all that the resource service is told."""
    made = setup.backend.auth.post("/api/v1/auth/api-key", json={"name": "nightly"},
                                   headers={"Authorization": f"Bearer {setup.alice}"}).json()
    answer = setup.through("/api/protected/data", None, **{"X-API-Key": made["api_key"]})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["subject"], answer.json()["permissions"]) == ("alice", ["read:data"])
    problem(setup.through("/api/admin/stats", None, **{"X-API-Key": made["api_key"]}), 403, "insufficient_scope")
    problem(setup.directly(None, **{"X-API-Key": made["api_key"]}), 403, "gateway_identity_missing")


def test_health_and_metrics_are_no_resources(setup):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert setup.backend.resource.get(path).status_code == 200


def test_without_the_setting_no_identity_is_asked_for_or_believed(prepare):
    backend = prepare().start()
    token = backend.login()["access_token"]
    assert backend.get("/protected", token, **{FIELD: "nonsense"}).status_code == 200
    problem(backend.get("/protected", **{FIELD: "nonsense"}), 401, "token_missing")
    backend.stop()


def test_exchange_of_the_gateways_key(prepare):
    """Two files while the key is exchanged; each is read again when it changes, and a bad one changes nothing."""
    backend, old, new = prepare(), private_key("ES256"), private_key("ES256")
    backend.write("keys/old.pub", public_pem(old))
    backend.write("keys/new.pub", public_pem(old))
    backend.start("--gateway-keys", "keys/old.pub, keys/new.pub")
    token = backend.login()["access_token"]

    def status(key) -> int:
        now, kid = int(time.time()), thumbprint(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True))
        identity = jwt.encode({"iss": "gateway", "aud": "resources", "sub": "alice", "iat": now, "exp": now + 60}, key,
                              algorithm="ES256", headers={"typ": "gateway-identity+jwt", "kid": kid})
        return backend.get("/protected", token, **{FIELD: identity}).status_code

    assert (status(old), status(new)) == (200, 403)
    backend.write("keys/new.pub", "nonsense")
    wait_until(lambda: "keys/new.pub: this is not the PEM" in backend.log, what="the mistake is logged")
    assert (status(old), status(new)) == (200, 403)
    backend.write("keys/new.pub", public_pem(new))
    wait_until(lambda: status(new) == 200, what="the new key is known")
    assert status(old) == 200
    backend.write("keys/old.pub", public_pem(new))
    wait_until(lambda: status(old) == 403, what="the old key is forgotten")
    assert backend.log.count("the gateway's keys stay as they were") == 1
    backend.stop()


@pytest.mark.parametrize("value,said", [
    ("keys/missing.pem", "keys/missing.pem: the file does not exist"),
    ("keys/private_key.pem", "keys/private_key.pem: this is not the PEM of a public key"),
    ("keys/public_key.pem,", "the setting gateway_keys must be paths"),
])
def test_setting_with_a_mistake(prepare, value, said):
    assert said in prepare().refuses_to_start("--gateway-keys", value)
