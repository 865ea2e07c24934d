"""Signing keys in a HashiCorp Vault or OpenBao (security row B10): found, kept, renewed, rotated, and what happens without."""

import ssl
import time

import hvac
import jwt
import pytest
from cryptography import x509

from harness.backend import BINARY, backend_key, prepare, private_key, private_pem, problem  # noqa: F401
from harness.ports import take_port
from harness.prometheus import Metrics, parse
from harness.vault import VaultServer
from harness.vaulted import flags, log_in, pem, refusal_to_sign, rotate, vaults  # noqa: F401
from harness.waiting import wait_until

READ = "GET /v1/secret/data/gateway/signing"
WRITE = "POST /v1/secret/data/gateway/signing"
LOGIN = "POST /v1/auth/approle/login"
LOOKUP = "GET /v1/auth/token/lookup-self"
RENEW = "POST /v1/auth/token/renew-self"


@pytest.fixture
def vault(vaults) -> VaultServer:
    """A vault with a P-256 key, and one that follows it."""
    vault = vaults()
    vault.put(private_key=pem(private_key("ES256")), next_private_key=pem(private_key("ES256")))
    return vault


def metrics(backend) -> Metrics:
    return parse(backend.auth.get("/metrics").text)


def kids(backend) -> list[str]:
    return [key["kid"] for key in backend.key_set()]


def data(backend, token: str) -> int:
    return backend.get("/api/protected/data", token).status_code


# -- the documented API

def test_vault_of_the_tests_is_what_another_client_expects(vaults):
    """hvac, a client of HashiCorp Vault that is not ours, gets from it what its documentation promises."""
    vault = vaults(namespace="team")
    client = hvac.Client(url=vault.address, namespace="team")
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.auth.approle.login(vault.role_id, "wrong")
    client.auth.approle.login(vault.role_id, vault.secret_id)
    assert client.is_authenticated()
    assert client.auth.token.lookup_self()["data"]["ttl"] == 3600
    assert client.auth.token.renew_self()["auth"]["lease_duration"] == 3600
    kv = client.secrets.kv.v2
    written = kv.create_or_update_secret("gateway/signing", secret={"private_key": "x"}, cas=0)
    assert written["data"]["version"] == 1
    with pytest.raises(hvac.exceptions.InvalidRequest, match="check-and-set"):
        kv.create_or_update_secret("gateway/signing", secret={"private_key": "y"}, cas=0)
    kv.create_or_update_secret("gateway/signing", secret={"private_key": "y"}, cas=1)
    for version, text in {None: "y", 1: "x"}.items():
        answer = kv.read_secret_version("gateway/signing", version=version, raise_on_deleted_version=True)
        assert answer["data"]["data"] == {"private_key": text}
    vault.delete()
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.read_secret_version("gateway/signing", raise_on_deleted_version=True)
    vault.mode = "sealed"
    with pytest.raises(hvac.exceptions.VaultDown):
        kv.read_secret_version("gateway/signing", raise_on_deleted_version=True)
    vault.mode = "ok"
    client.token = "hvs.wrong"
    with pytest.raises(hvac.exceptions.Forbidden):
        client.auth.token.lookup_self()


def test_vaults_key_signs_after_a_login_by_approle(prepare, vault):
    backend = prepare()
    backend.start(*flags(backend, vault))
    token = backend.login()["access_token"]
    assert backend.claims(token)["sub"] == "alice"
    assert jwt.get_unverified_header(token)["alg"] == "ES256"
    assert data(backend, token) == 200
    assert len(kids(backend)) == 2
    assert vault.requests == [LOGIN, READ]
    found = metrics(backend)
    assert found.sum("backend_signing_available") == 1
    assert found.sum("backend_signing_key_source_failing_seconds") == 0
    assert found.sum("backend_vault_failures_total") == 0
    backend.stop()


def test_namespace_mounts_and_path_are_those_of_the_settings(prepare, vaults):
    vault = vaults(namespace="admin/team-a", mount="kv/prod", path="api/keys")
    vault.approle_mount = "machines"
    vault.put(private_key=pem(private_key()), next_private_key=pem(private_key()))
    backend = prepare()
    backend.start(*flags(backend, vault, "--vault-namespace", "admin/team-a", "--vault-mount", "kv/prod",
                         "--vault-path", "api/keys", "--vault-approle-mount", "machines"))
    assert backend.claims(backend.login()["access_token"])
    assert vault.requests == ["POST /v1/auth/machines/login", "GET /v1/kv/prod/data/api/keys"]
    backend.stop()


def test_next_key_is_made_where_there_is_none(prepare, vaults):
    vault = vaults()
    vault.put(private_key=pem(private_key("EdDSA")), age=1000)
    backend = prepare()
    backend.start(*flags(backend, vault))
    assert [key["alg"] for key in backend.key_set()] == ["EdDSA", "EdDSA"]
    assert vault.count(WRITE) == 1 and len(vault.versions) == 2
    assert 1000 <= metrics(backend).sum("backend_signing_key_age_seconds") < 1060
    backend.stop()


def test_policy_that_only_reads_is_enough(prepare, vaults):
    vault = vaults()
    vault.may_write = False
    vault.put(private_key=pem(private_key("ES256")))
    backend = prepare()
    backend.start(*flags(backend, vault))
    assert len(kids(backend)) == 1
    assert "there is no next signing key" in backend.log
    assert data(backend, backend.login()["access_token"]) == 200
    backend.stop()


def test_shared_secret_of_the_vault_signs_hs256(prepare, vaults):
    vault = vaults()
    secret = "0123456789abcdef" * 3
    vault.put(hs256_secret=secret, kid="hs-1")
    backend = prepare()
    backend.start(*flags(backend, vault, "--log-level", "trace"))
    token = backend.login()["access_token"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": "hs-1", "typ": "at+jwt"}
    assert jwt.decode(token, secret, algorithms=["HS256"], audience="gateway-demo")["sub"] == "alice"
    assert data(backend, token) == 200
    assert backend.key_set() == []
    assert secret not in backend.log
    backend.stop()


# -- TLS

def test_private_authority_is_given_by_a_file(prepare, vaults, authority):
    vault = vaults(tls=authority.server_context())
    vault.put(private_key=pem(private_key("ES256")), next_private_key=pem(private_key("ES256")))
    for address in (vault.address, f"https://localhost:{vault.port}"):
        backend = prepare()
        backend.start(*flags(backend, vault, "--vault-ca", str(authority.file), address=address))
        assert data(backend, backend.login()["access_token"]) == 200
        backend.stop()


def certificate_of_another(authority) -> ssl.SSLContext:
    name = "vault.example.com"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, authority.issue_to(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), [x509.DNSName(name)], name)))
    return context


@pytest.mark.parametrize("trusted", [True, False])
def test_vault_that_is_not_the_one_gets_no_secret(prepare, vaults, authority, trusted):
    """A certificate of somebody else's name, and one of an authority that nobody trusts."""
    vault = vaults(tls=certificate_of_another(authority) if trusted else authority.server_context())
    vault.put(private_key=pem(private_key("ES256")))
    backend = prepare()
    more = ["--vault-ca", str(authority.file)] if trusted else []
    backend.start(*flags(backend, vault, *more, address=f"https://localhost:{vault.port}"))
    refusal_to_sign(log_in(backend))
    assert metrics(backend).sum("backend_vault_failures_total", reason="tls") >= 1
    assert "certificate is not trusted" in backend.log
    assert vault.requests == []
    backend.stop()


# -- B10

def down(vault): vault.shut()


def back(vault): vault.open()


def mode(name: str):
    def set_mode(vault): vault.mode = name
    return set_mode


def token_expired(vault):
    """Every token is unknown, and the role's secret id too."""
    vault.tokens.clear()
    vault.kept, vault.secret_id = vault.secret_id, "changed"


def token_good(vault): vault.secret_id = vault.kept


def undeleted(vault): vault.versions[-1].deleted = ""


FAILURES = {
    "down": (down, back, "unreachable"),
    "sealed": (mode("sealed"), mode("ok"), "sealed"),
    "token expired": (token_expired, token_good, "denied"),
    "denied": (mode("denied"), mode("ok"), "denied"),
    "slow": (mode("stall"), mode("ok"), "timeout"),
    "deleted": (VaultServer.delete, undeleted, "missing"),
    "broken": (mode("status"), mode("ok"), "status"),
    "garbage": (mode("garbage"), mode("ok"), "unusable"),
    "cut": (mode("cut"), mode("ok"), "unusable"),
    "huge": (mode("huge"), mode("ok"), "unusable"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_B10_vault_fails_and_its_key_is_used_until_it_is_too_old(prepare, vault, failure):
    fail, mend, reason = FAILURES[failure]
    backend = prepare()
    backend.start(*flags(backend, vault, "--vault-refresh", "1s", "--vault-timeout", "2s",
                         "--vault-key-max-age", "9s"))
    published = kids(backend)
    session = backend.login()
    fail(vault)
    wait_until(lambda: metrics(backend).sum("backend_vault_failures_total", reason=reason) >= 1, within=8,
               what="the failure is counted")
    found = metrics(backend)
    assert found.sum("backend_vault_failures_total") == found.sum("backend_vault_failures_total", reason=reason)
    assert found.sum("backend_signing_key_source_failing_seconds") > 0
    assert found.sum("backend_signing_available") == 1
    assert log_in(backend).status_code == 200, "the key that is kept signs"

    wait_until(lambda: metrics(backend).sum("backend_signing_available") == 0, within=15, what="it is too old")
    refusal_to_sign(log_in(backend))
    refusal_to_sign(backend.refresh(session["refresh_token"]))
    assert data(backend, session["access_token"]) == 200, "verification does not need the vault"
    assert kids(backend) == published
    assert backend.auth.get("/readyz").status_code == 200
    said = [line.split(" ", 1)[1] for line in backend.log.splitlines() if "the keys cannot be read" in line]
    assert 1 <= len(said) == len(set(said)) <= 2, "each error is said once"

    mend(vault)
    wait_until(lambda: metrics(backend).sum("backend_signing_available") == 1, within=15, what="it signs again")
    assert metrics(backend).sum("backend_signing_key_source_failing_seconds") == 0
    renewed = backend.refresh(session["refresh_token"])
    assert renewed.status_code == 200, "the refusal has not spent the refresh token"
    assert data(backend, renewed.json()["access_token"]) == 200
    for text in (vault.secret_id, *vault.tokens, "PRIVATE KEY"):
        assert text not in backend.log
    backend.stop()


@pytest.mark.parametrize("failure", ["down", "sealed", "denied", "slow"])
def test_B10_backend_starts_without_the_vault_and_signs_when_it_comes(prepare, vault, failure):
    fail, mend, reason = FAILURES[failure]
    fail(vault)
    backend = prepare()
    backend.start(*flags(backend, vault, "--vault-timeout", "2s"))
    refusal_to_sign(log_in(backend))
    assert backend.key_set() == []
    found = metrics(backend)
    assert found.sum("backend_signing_available") == 0
    assert found.sum("backend_vault_failures_total", reason=reason) >= 1
    assert found.sum("backend_signing_keys") == 0
    mend(vault)
    wait_until(lambda: log_in(backend).status_code == 200, within=15, every=0.2, what="it signs")
    assert len(kids(backend)) == 2
    backend.stop()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_B10_tokens_are_verified_after_a_start_without_the_vault(prepare, vaults, algorithm):
    vault = vaults()
    vault.put(private_key=pem(private_key(algorithm)), next_private_key=pem(private_key(algorithm)))
    backend = prepare()
    known = flags(backend, vault)
    backend.start(*known)
    session = backend.login()
    published = kids(backend)
    backend.stop()
    vault.shut()
    backend.start(*known)
    refusal_to_sign(log_in(backend))
    assert data(backend, session["access_token"]) == 200
    validation = {"Authorization": f"Bearer {session['access_token']}"}
    assert backend.auth.post("/api/v1/auth/validate", headers=validation).json() == {"status": "Valid"}
    assert sorted(kids(backend)) == sorted(published)
    vault.open()
    wait_until(lambda: log_in(backend).status_code == 200, within=15, every=0.2, what="it signs")
    assert kids(backend) == published
    backend.stop()


def test_B10_without_any_key_nobody_says_that_a_token_is_bad(prepare, vaults):
    """A shared secret is not kept: a client that were told 401 would throw its good token away."""
    vault = vaults()
    vault.put(hs256_secret="x" * 32, kid="hs-1")
    backend = prepare()
    known = flags(backend, vault)
    backend.start(*known)
    token = backend.login()["access_token"]
    backend.stop()
    vault.shut()
    backend.start(*known)
    validation = {"Authorization": f"Bearer {token}"}
    for answer in (backend.get("/api/protected/data", token),
                   backend.auth.post("/api/v1/auth/validate", headers=validation)):
        problem(answer, 503, "keys_unavailable")
        assert int(answer.headers["retry-after"]) > 0
    backend.stop()


def test_B10_redirect_is_not_followed(prepare, vault, vaults):
    """The token would go to whoever the answer names."""
    other = vaults()
    vault.mode, vault.location = "redirect", other.address
    backend = prepare()
    backend.start(*flags(backend, vault))
    refusal_to_sign(log_in(backend))
    assert metrics(backend).sum("backend_vault_failures_total", reason="status") >= 1
    assert other.requests == []
    backend.stop()


@pytest.mark.parametrize("members, sentence", [
    ({}, '"private_key" is missing'),
    ({"private_kei": "x"}, '"private_key" is missing'),
    ({"private_key": "x"}, "this is not the PEM of a private key"),
    ({"private_key": "GOOD", "next_key": "x"}, 'unknown member "next_key"'),
    ({"hs256_secret": "x" * 32}, '"kid" is missing'),
    ({"hs256_secret": "x" * 31, "kid": "a"}, "the secret has 31 bytes"),
])
def test_secret_that_will_not_do_is_named(prepare, vaults, members, sentence):
    vault = vaults()
    vault.put(**{name: pem(private_key("ES256")) if text == "GOOD" else text for name, text in members.items()})
    backend = prepare()
    backend.start(*flags(backend, vault))
    refusal_to_sign(log_in(backend))
    line = next(line for line in backend.log.splitlines() if "the keys cannot be read" in line)
    assert "version 1 of the secret" in line and sentence in line
    assert "xxxx" not in backend.log
    backend.stop()


# -- leases

def test_token_of_approle_is_renewed(prepare, vault):
    vault.role_token = {"ttl": 6, "renewable": True, "longest": 3600}
    backend = prepare()
    backend.start(*flags(backend, vault))
    wait_until(lambda: vault.count(RENEW) >= 2, within=20, what="two renewals")
    assert vault.count(LOGIN) == 1
    assert metrics(backend).sum("backend_vault_failures_total") == 0
    backend.stop()


@pytest.mark.parametrize("token", [{"ttl": 3, "renewable": True, "longest": 4}, {"ttl": 3, "renewable": False}])
def test_token_that_ends_is_followed_by_another_login(prepare, vault, token):
    """Near the end of all renewals, and where there are none."""
    vault.role_token = token
    backend = prepare()
    backend.start(*flags(backend, vault))
    wait_until(lambda: vault.count(LOGIN) >= 3, within=15, what="two more logins")
    assert metrics(backend).sum("backend_vault_failures_total") == 0
    backend.stop()


def test_token_that_was_revoked_is_followed_by_another_login(prepare, vault):
    backend = prepare()
    backend.start(*flags(backend, vault, "--vault-refresh", "1s"))
    vault.tokens.clear()
    wait_until(lambda: vault.count(LOGIN) == 2, within=5, what="another login")
    reads = vault.count(READ)
    wait_until(lambda: vault.count(READ) > reads, within=5, what="it goes on")
    assert metrics(backend).sum("backend_vault_failures_total") == 0
    backend.stop()


def test_given_token_is_renewed_and_its_file_is_read_again(prepare, vault):
    first = vault.token(ttl=6)
    backend = prepare()
    backend.start(*flags(backend, vault, "--vault-refresh", "1s", token=first))
    assert vault.requests[:2] == [LOOKUP, READ]
    wait_until(lambda: vault.count(RENEW) >= 2, within=20, what="two renewals")
    assert vault.count(LOOKUP) == 1
    # What an agent does when the old token ends.
    backend.write("keys/vault-token", vault.token(ttl=3600), mode=0o600)
    wait_until(lambda: vault.count(LOOKUP) == 2, within=5, what="the new token is looked at")
    del vault.tokens[first]
    reads = vault.count(READ)
    wait_until(lambda: vault.count(READ) > reads + 1, within=5, what="it goes on")
    assert metrics(backend).sum("backend_vault_failures_total") == 0
    assert vault.count(LOGIN) == 0
    backend.stop()


def test_token_that_others_can_read_is_not_used(prepare, vault):
    backend = prepare()
    known = flags(backend, vault, token=vault.token())
    (backend.folder / "keys/vault-token").chmod(0o644)
    backend.start(*known)
    refusal_to_sign(log_in(backend))
    assert "only its owner may read it" in backend.log
    assert metrics(backend).sum("backend_vault_failures_total", reason="credentials") >= 1
    assert vault.requests == []
    backend.stop()


# -- rotation

def test_rotation_in_the_vault_reaches_every_backend(prepare, vault):
    backends = [prepare(), prepare()]
    for backend in backends:
        known = flags(backend, vault, "--vault-refresh", "1s")
        backend.start(*known)
    active, following = kids(backends[0])
    before = backends[0].login()["access_token"]
    early = rotate(backend, known, "--key-set-max-age", "1h")
    assert early.returncode == 1 and "the next key has been in the vault for less than 3600 seconds" in early.stderr
    time.sleep(1)
    result = rotate(backend, known)
    assert result.returncode == 0, result.stderr
    for backend in backends:
        wait_until(lambda backend=backend: kids(backend)[0] == following, within=5, what="the next key signs")
        assert kids(backend)[2:] == [active]
        assert data(backend, before) == 200
        assert metrics(backend).sum("backend_signing_key_age_seconds") < 60
    after = backends[1].login()["access_token"]
    assert jwt.get_unverified_header(after)["kid"] == following
    assert data(backends[0], after) == 200
    # The version of before has the retired key: nothing is kept here.
    backends[0].stop()
    backends[0].start(*flags(backends[0], vault))
    assert kids(backends[0])[2:] == [active]
    assert data(backends[0], before) == 200
    assert vault.count(f"{READ}?version=1") >= 2
    for backend in backends:
        backend.stop()


def test_key_of_the_vault_is_rotated_by_age(prepare, vault):
    backend = prepare()
    backend.start(*flags(backend, vault, "--key-rotation", "3s", "--vault-refresh", "1s"))
    first, second = kids(backend)
    wait_until(lambda: kids(backend)[0] == second, within=10, what="the key is rotated")
    assert first in kids(backend)[2:]
    assert vault.count(WRITE) == 1
    backend.stop()


def test_deleted_version_is_no_retired_key(prepare, vaults):
    """After a leak the operator destroys the version: its tokens are refused."""
    vault = vaults()
    leaked = private_key("ES256")
    vault.put(private_key=pem(leaked))
    vault.delete()
    vault.put(private_key=pem(private_key("ES256")), next_private_key=pem(private_key("ES256")))
    backend = prepare()
    backend.start(*flags(backend, vault))
    assert len(kids(backend)) == 2
    assert data(backend, backend.login()["access_token"]) == 200
    backend.stop()


# -- settings

@pytest.mark.parametrize("more, sentence", [
    (["--vault-address", "http://vault.example.com:8200"], "vault_address must be https://HOST:PORT, or http to this machine"),
    (["--vault-address", "https://vault.example.com/v1"], "vault_address must be"),
    (["--vault-key-max-age", "25h"], "vault_key_max_age must be a time from 1s to 24h"),
    (["--vault-path", "../sys"], "vault_path must be a path"),
    (["--vault-mount", "a?b"], "vault_mount must be a path"),
    (["--vault-token-file", "x"], "either the setting vault_token_file or vault_role_id with vault_secret_id_file"),
    (["--vault-ca", "missing.pem"], "missing.pem: the certificates cannot be read"),
    (["--hs256-secrets", "x"], "the keys come from the vault or from hs256_secrets, not from both"),
])
def test_settings_of_the_vault_are_checked_at_the_start(prepare, vault, more, sentence):
    backend = prepare()
    known = flags(backend, vault, address=f"https://127.0.0.1:{take_port()}")
    assert sentence in backend.refuses_to_start(*known, *more)
    assert vault.requests == []
