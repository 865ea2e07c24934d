"""The life of a key set that is fetched: late, failing, changed, withdrawn, over HTTPS (security rows J66, J67)."""

import time

import pytest

from harness.certificates import Authority
from harness.jwks import KeyServer
from harness.ports import take_port
from harness.raw import get
from harness.refusals import check_invalid_token
from harness.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; jwks @jwks@; jwks_refresh 10s; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture
def key_server(rsa_key):
    server = KeyServer(key_set(rsa_key))
    yield server
    server.close()


def status(gateway, token: str) -> int:
    return gateway.request(get("/x", bearer(token))).status


def wait_for_status(gateway, token: str, wanted: int, within: float = 13.0) -> None:
    """Every worker answers so (asked several times over new connections)."""
    wait_until(lambda: all(status(gateway, token) == wanted for _ in range(6)), within, 0.05, f"status {wanted}")


def test_keys_arrive_by_themselves(start, key_server, rsa_key):
    gateway = start(CONFIGURATION, jwks=key_server.url)
    wait_for_status(gateway, rsa_key.token(), 200, 2)


def test_J67_no_keys_at_start_then_recovery(start, rsa_key, key_server):
    key_server.mode = "fail"
    gateway = start(CONFIGURATION, jwks=key_server.url)
    token = rsa_key.token()
    wait_until(lambda: key_server.hits, what="the key server is asked")
    before = gateway.rejected("keys_unavailable")
    response = gateway.request(get("/x", bearer(token)))
    assert response.status == 503 and response.code == "keys_unavailable"
    assert 1 <= int(response.get("retry-after")) <= 5
    assert response.get("www-authenticate") is None and response.get("gateway-error") == "keys_unavailable"
    assert response.get("cache-control") == "no-store"
    wait_until(lambda: gateway.rejected("keys_unavailable") == before + 1, 2)
    gateway.wait_for_log_line(lambda line: "keys_unavailable" in (line.get("auth_reason"), line.get("parse_reason")))
    assert gateway.request(get("/x")).status == 401, "no token is still 401"
    assert gateway.request(get("/good")).status == 200
    key_server.mode = "ok"
    wait_for_status(gateway, token, 200)


def test_J67_nobody_listens(start, rsa_key):
    port = take_port()
    gateway = start(CONFIGURATION, jwks=f"http://127.0.0.1:{port}/keys")
    assert status(gateway, rsa_key.token()) == 503
    assert gateway.request(get("/good")).status == 200


@pytest.mark.parametrize("mode", ["garbage", "stall", "empty"])
def test_J67_useless_answers(start, rsa_key, key_server, mode):
    key_server.mode = mode
    gateway = start(CONFIGURATION, jwks=key_server.url)
    wait_until(lambda: key_server.hits)
    time.sleep(0.1)
    assert status(gateway, rsa_key.token()) == 503


MODES = ("fail", "garbage", "stall")
FOUR = (
    "worker_processes 2; error_log stderr info;"
    + "".join(
        f"auth_provider {mode} jwt {{ issuer {ISSUER}; audience {AUDIENCE}; jwks @{mode}@; jwks_refresh 10s; }}\n"
        for mode in MODES
    )
    + "server { listen 127.0.0.1:@port@; auth off;"
    + "".join(f"location /{mode}/ {{ auth {mode}; proxy_pass http://@origin@; }}\n" for mode in MODES)
    + "}"
)


def test_last_good_keys_are_kept(start, rsa_key):
    """One provider for each way in which a source can be down."""
    servers = {mode: KeyServer(key_set(rsa_key)) for mode in MODES}
    try:
        gateway = start(FOUR, **{mode: server.url for mode, server in servers.items()})
        for mode in MODES:
            wait_until(lambda: gateway.request(get(f"/{mode}/", bearer(rsa_key.token()))).status == 200)
        counts = {mode: len(server.hits) for mode, server in servers.items()}
        for mode, server in servers.items():
            server.mode = mode
        wait_until(
            lambda: all(len(server.hits) > counts[mode] for mode, server in servers.items()), 13, what="refreshes"
        )
        time.sleep(0.3)
        for mode in MODES:
            for _ in range(6):
                assert gateway.request(get(f"/{mode}/", bearer(rsa_key.token()))).status == 200, mode
    finally:
        for server in servers.values():
            server.close()


def test_new_key_is_picked_up(start, rsa_key, key_server):
    gateway = start(CONFIGURATION, jwks=key_server.url)
    wait_for_status(gateway, rsa_key.token(), 200)
    new = SigningKey("ES256", "new")
    check_invalid_token(gateway.request(get("/x", bearer(new.token()))), "key_unknown")
    key_server.document = key_set(rsa_key, new)
    wait_for_status(gateway, new.token(), 200)
    assert status(gateway, rsa_key.token()) == 200


def test_J66_withdrawn_key_kills_cached_tokens(start, rsa_key, ec_key, key_server):
    key_server.document = key_set(rsa_key, ec_key)
    gateway = start(CONFIGURATION, jwks=key_server.url)
    token, other = rsa_key.token(), ec_key.token()
    wait_for_status(gateway, token, 200)
    wait_for_status(gateway, other, 200)
    key_server.document = key_set(ec_key)
    wait_for_status(gateway, token, 401)
    check_invalid_token(gateway.request(get("/x", bearer(token))), "key_unknown")
    assert status(gateway, other) == 200


def test_J66_key_replaced_under_the_same_kid(start, rsa_key, key_server):
    gateway = start(CONFIGURATION, jwks=key_server.url)
    old = rsa_key.token()
    wait_for_status(gateway, old, 200)
    replaced = SigningKey("RS256", rsa_key.kid)
    key_server.document = key_set(replaced)
    wait_for_status(gateway, replaced.token(), 200)
    assert status(gateway, old) == 401


def test_one_fetch_for_all_workers(start, key_server, rsa_key):
    gateway = start(CONFIGURATION.replace("jwks_refresh 10s", "jwks_refresh 10m"), jwks=key_server.url)
    wait_for_status(gateway, rsa_key.token(), 200)
    assert len(key_server.hits) == 1


def test_age_of_the_keys_is_a_metric(start, key_server, rsa_key):
    gateway = start(CONFIGURATION, jwks=key_server.url)
    wait_for_status(gateway, rsa_key.token(), 200)
    metrics = gateway.metrics()
    assert metrics.has("gateway_jwks_age_seconds")
    assert 0 <= metrics.sum("gateway_jwks_age_seconds", provider="main") < 30


def test_https_with_a_private_authority(start, authority, rsa_key):
    server = KeyServer(key_set(rsa_key), authority.server_context())
    try:
        gateway = start(CONFIGURATION, jwks=server.url, environment={"SSL_CERT_FILE": str(authority.file)})
        wait_for_status(gateway, rsa_key.token(), 200)
    finally:
        server.close()


def test_https_by_name(start, authority, rsa_key):
    server = KeyServer(key_set(rsa_key), authority.server_context())
    try:
        url = server.url.replace("127.0.0.1", "localhost")
        gateway = start(CONFIGURATION, jwks=url, environment={"SSL_CERT_FILE": str(authority.file)})
        wait_for_status(gateway, rsa_key.token(), 200)
    finally:
        server.close()


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_https_certificate_that_is_not_trusted(start, authority, rsa_key, tmp_path, wrong):
    name = "localhost" if wrong == "authority" else "elsewhere"
    trusted = authority
    if wrong == "authority":
        (tmp_path / "stranger").mkdir()
        trusted = Authority(tmp_path / "stranger")
    server = KeyServer(key_set(rsa_key), authority.server_context(name))
    try:
        url = server.url if wrong == "authority" else server.url.replace("127.0.0.1", "localhost")
        gateway = start(CONFIGURATION, jwks=url, environment={"SSL_CERT_FILE": str(trusted.file)})
        time.sleep(0.5)
        assert status(gateway, rsa_key.token()) == 503
        assert not server.hits
    finally:
        server.close()


def test_an_authority_of_the_configuration(start, authority, rsa_key, tmp_path):
    """`ca`: that one is believed, and the system's are not."""
    (tmp_path / "stranger").mkdir()
    stranger = Authority(tmp_path / "stranger")
    server = KeyServer(key_set(rsa_key), authority.server_context())
    server.metadata = {"issuer": ISSUER, "jwks_uri": server.url}
    try:
        for source in (f"jwks {server.url};", f"discovery {server.origin};"):
            text = CONFIGURATION.replace("jwks @jwks@;", f"{source} ca @ca@;")
            gateway = start(text, ca=authority.file)
            wait_for_status(gateway, rsa_key.token(), 200)
        asked = len(server.hits)
        gateway = start(text, ca=stranger.file, environment={"SSL_CERT_FILE": str(authority.file)})
        gateway.wait_for_notice("certificate: ")
        assert status(gateway, rsa_key.token()) == 503 and len(server.hits) == asked
    finally:
        server.close()


def test_an_authority_that_is_none_ends_the_start(start, tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    text = CONFIGURATION.replace("jwks @jwks@;", "jwks https://127.0.0.1:1/; ca @ca@;")
    gateway = start(text, ca=file, ready=False)
    assert gateway.process.wait(5) == 1
    assert f"{file} is not usable: it holds no certificates, or damaged ones" in gateway.log
