"""Sources of keys that lie, lead elsewhere or disagree (security rows J41, J70, U09): several of them, discovery, redirects."""

import json
import socket
import time
from pathlib import Path

import pytest

from harness.jwks import KeyServer
from harness.ports import take_port
from harness.raw import Client, get
from harness.refusals import check_invalid_token
from harness.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 2;
error_log stderr info;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; @sources@ jwks_refresh 10s; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture
def key_servers():
    """Starts key servers: `key_servers(document)`."""
    started = []

    def start_server(document: dict, *options) -> KeyServer:
        started.append(KeyServer(document, *options))
        return started[-1]

    yield start_server
    for server in started:
        server.close()


def ask(gateway, key: SigningKey):
    return gateway.request(get("/x", bearer(key.token())))


def wait_for_status(gateway, key: SigningKey, wanted: int, within: float = 5.0) -> None:
    wait_until(
        lambda: all(ask(gateway, key).status == wanted for _ in range(6)), within, 0.05, f"status {wanted} everywhere"
    )


def errors(gateway, reason: str) -> float:
    return gateway.metrics().sum("gateway_jwks_fetch_errors_total", provider="main", reason=reason)


# -- J41: each hostile answer has one reason in log and metric, and the old keys stay

HOSTILE = {
    "fail": ("status", "status 500 instead of 200"),
    "html": ("not_key_set", "not a usable key set"),
    "empty": ("no_usable_key", "holds no usable key"),
    "huge": ("too_large", "more than 262144 bytes"),
    "endless": ("too_large", "more than 262144 bytes"),
    "gzip": ("compressed", "compressed"),
    "bomb": ("compressed", "compressed"),
    "many": ("too_many_keys", "at most 64 keys"),
    "cut": ("invalid_http", "cut short"),
}


@pytest.mark.parametrize("mode", HOSTILE)
def test_J41_hostile_answers_leave_the_old_keys(start, key_servers, rsa_key, origin, mode):
    reason, sentence = HOSTILE[mode]
    server = key_servers(key_set(rsa_key))
    gateway = start(CONFIGURATION, sources=f"jwks {server.url};")
    wait_for_status(gateway, rsa_key, 200)
    before = gateway.resident_bytes()
    assert errors(gateway, reason) == 0
    server.mode = mode
    refresh(gateway)
    assert errors(gateway, reason) >= 1
    metrics = gateway.metrics()
    assert metrics.sum("gateway_jwks_fetch_errors_total") == metrics.sum(
        "gateway_jwks_fetch_errors_total", reason=reason
    ), "one reason each"
    gateway.wait_for_notice(sentence)
    assert gateway.resident_bytes() - before < 16 << 20
    wait_for_status(gateway, rsa_key, 200)
    assert metrics.sum("gateway_jwks_keys", provider="main") == 1


def test_sources_that_cannot_be_reached(start, key_servers, authority, rsa_key):
    """Nobody listens, nobody is called so, and a certificate of somebody who is not trusted."""
    secure = key_servers(key_set(rsa_key), authority.server_context())
    urls = f"http://127.0.0.1:{take_port()}/ https://nobody.invalid/ {secure.url}"
    gateway = start(CONFIGURATION, sources=f"jwks {urls};")
    for reason in ("unreachable", "unknown_host", "tls"):
        wait_until(lambda reason=reason: errors(gateway, reason) >= 1, 8, what=reason)
    for sentence in ("Connection refused", "nobody.invalid has no address", "certificate: "):
        gateway.wait_for_notice(sentence)
    assert ask(gateway, rsa_key).status == 503 and not secure.hits


def test_J41_slow_answers_end(start, key_servers, rsa_key):
    """A byte now and then, or nothing at all: after ten seconds it is over."""
    slow, stalled = key_servers(key_set(rsa_key)), key_servers(key_set(rsa_key))
    slow.mode, stalled.mode = "slow", "stall"
    gateway = start(CONFIGURATION, sources=f"jwks {slow.url} {stalled.url};")
    wait_until(lambda: errors(gateway, "timeout") >= 2, 13, 0.1, "both fetches end")
    assert gateway.log.count("timed out") >= 2
    assert ask(gateway, rsa_key).status == 503


LOCATIONS = {
    "http://127.0.0.1:1/keys": "another port of this machine",
    "http://169.254.169.254/latest/meta-data/": "metadata",
    "https://id.example.com/keys": "another host",
    "//localhost:@other@/keys": "another name",
    "http://127.0.0.1:@other@/keys": "another server",
    "": "nowhere",
}


@pytest.mark.parametrize("location", LOCATIONS)
def test_J41_redirects_to_elsewhere_are_not_followed(start, key_servers, rsa_key, location):
    server, other = key_servers(key_set(rsa_key)), key_servers(key_set(rsa_key))
    server.mode, server.location = "redirect", location.replace("@other@", str(other.port))
    gateway = start(CONFIGURATION, sources=f"jwks {server.url};")
    wait_until(lambda: errors(gateway, "redirect") >= 1)
    gateway.wait_for_notice("it redirects to ")
    assert ask(gateway, rsa_key).status == 503
    assert not other.hits


@pytest.mark.parametrize("location", ["/moved", "moved", "@origin@/moved"])
def test_redirects_within_the_origin_are_followed(start, key_servers, rsa_key, location):
    server = key_servers(key_set(rsa_key))
    target = location.replace("@origin@", server.origin)
    server.scripts["/.well-known/jwks.json"] = (302, {"Location": target}, b"")
    gateway = start(CONFIGURATION, sources=f"jwks {server.url};")
    wait_for_status(gateway, rsa_key, 200)
    assert server.paths[:2] == ["/.well-known/jwks.json", "/.well-known/moved" if location == "moved" else "/moved"]


def test_J41_redirects_end(start, key_servers, rsa_key):
    server = key_servers(key_set(rsa_key))
    server.mode, server.location = "redirect", "/again"
    gateway = start(CONFIGURATION, sources=f"jwks {server.url};")
    gateway.wait_for_notice("it redirects more than 3 times")
    assert server.paths[:4] == ["/.well-known/jwks.json", "/again", "/again", "/again"]
    assert errors(gateway, "redirect") >= 1 and ask(gateway, rsa_key).status == 503


# -- U09: names that lead to this machine


def name_of_this_machine() -> str | None:
    """A name other than localhost that leads to loopback, as the hosts file of every system has one."""
    for line in Path("/etc/hosts").read_text().splitlines():
        address, *names = line.split("#")[0].split() or [""]
        for name in names:
            if address.startswith("127.") and name != "localhost" and leads_to_loopback(name):
                return name
    return next((name for name in ("ip6-localhost", "localhost.localdomain") if leads_to_loopback(name)), None)


def leads_to_loopback(name: str) -> bool:
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)}
    except OSError:
        return False
    return all(address == "::1" or address.startswith("127.") for address in found)


def test_U09_names_that_lead_to_this_machine(start, key_servers, authority, rsa_key, tmp_path):
    name = name_of_this_machine()
    if not name:
        pytest.skip("no name but localhost leads to this machine")
    server = key_servers(key_set(rsa_key), authority.server_context(name))
    url = server.url.replace("127.0.0.1", name)
    environment = {"SSL_CERT_FILE": str(authority.file)}
    refused = start(CONFIGURATION, sources=f"jwks {url};", environment=environment)
    wait_until(lambda: errors(refused, "forbidden_address") >= 1)
    refused.wait_for_notice(f"{name} leads to ")
    assert not server.hits and ask(refused, rsa_key).status == 503
    meant = start(CONFIGURATION, sources=f"jwks {url}; insecure on;", environment=environment)
    wait_for_status(meant, rsa_key, 200)


def test_U09_an_address_that_a_document_names_is_not_configured(start, key_servers, rsa_key):
    """Metadata may not send us to this machine, to its link, or over plain http, unless they came from there."""
    server, victim = key_servers(key_set(rsa_key)), key_servers(key_set(rsa_key))
    # localhost and 127.0.0.1 are two hosts: the document was asked for at the one and names the other.
    uris = {
        "https://169.254.169.254/keys": "forbidden_address",
        f"https://localhost:{victim.port}/keys": "forbidden_address",
        f"https://127.0.0.2:{victim.port}/keys": "forbidden_address",
        f"http://127.0.0.2:{victim.port}/keys": "not_metadata",
        "http://id.example.com/keys": "not_metadata",
        "file:///etc/passwd": "not_metadata",
    }
    server.metadata = {"issuer": ISSUER, "jwks_uri": "x:"}
    gateway = start(CONFIGURATION, sources=f"discovery {server.origin};")
    wait_until(lambda: errors(gateway, "not_metadata") >= 1)
    for uri, reason in uris.items():
        server.metadata = {"issuer": ISSUER, "jwks_uri": uri}
        before = errors(gateway, reason)
        refresh(gateway)
        assert errors(gateway, reason) == before + 1, uri
    assert not victim.hits and ask(gateway, rsa_key).status == 503


# -- discovery


def refresh(gateway) -> int:
    """Has the keys fetched now and waits for the end of it; the status says whether all went well."""
    with Client(gateway.admin_port) as client:
        return client.request(get("/jwks/main/refresh", "Gateway-Admin: 1", method="POST"), 15).status


def test_discovery_finds_the_keys(start, key_servers, rsa_key):
    server = key_servers(key_set(rsa_key))
    server.metadata = {"issuer": ISSUER, "jwks_uri": f"{server.origin}/keys", "scopes_supported": ["openid"]}
    gateway = start(CONFIGURATION, sources=f"discovery {server.origin};")
    wait_for_status(gateway, rsa_key, 200)
    assert server.paths[:2] == ["/.well-known/openid-configuration", "/keys"]


def test_discovery_of_rfc_8414(start, key_servers, rsa_key):
    server = key_servers(key_set(rsa_key))
    path = "/.well-known/oauth-authorization-server/tenant"
    metadata = {"issuer": ISSUER, "jwks_uri": f"{server.origin}/keys"}
    server.scripts[path] = (200, {}, json.dumps(metadata).encode())
    gateway = start(CONFIGURATION, sources=f"discovery {server.origin}{path};")
    wait_for_status(gateway, rsa_key, 200)
    assert server.paths[:2] == [path, "/keys"]


@pytest.mark.parametrize("issuer", ["https://evil.example.com", ISSUER + "/", ISSUER.upper(), "", None, 1])
def test_J70_metadata_of_another_issuer_are_refused(start, key_servers, rsa_key, issuer):
    server, stranger = key_servers(key_set(rsa_key)), SigningKey("ES256", "stranger")
    server.metadata = {"issuer": ISSUER, "jwks_uri": f"{server.origin}/keys"}
    gateway = start(CONFIGURATION, sources=f"discovery {server.origin};")
    wait_for_status(gateway, rsa_key, 200)
    server.document = key_set(stranger)
    server.metadata = {"issuer": issuer, "jwks_uri": f"{server.origin}/evil"}
    reason = "issuer_mismatch" if isinstance(issuer, str) else "not_metadata"
    assert refresh(gateway) == 502
    assert errors(gateway, reason) >= 1
    wait_for_status(gateway, rsa_key, 200)
    assert "/evil" not in server.paths
    check_invalid_token(ask(gateway, stranger), "key_unknown")


def test_J70_metadata_of_another_issuer_at_the_start(start, key_servers, rsa_key):
    server = key_servers(key_set(rsa_key))
    server.metadata = {"issuer": "https://evil.example.com", "jwks_uri": f"{server.origin}/keys"}
    gateway = start(CONFIGURATION, sources=f"discovery {server.origin};")
    gateway.wait_for_notice("the metadata are of another issuer")
    assert ask(gateway, rsa_key).status == 503 and "/keys" not in server.paths


# -- several sources


def test_three_sources_are_one_set(start, key_servers, rsa_key, ec_key, ed_key):
    keys = (rsa_key, ec_key, ed_key)
    servers = [key_servers(key_set(key)) for key in keys]
    gateway = start(CONFIGURATION, sources=f"jwks {' '.join(server.url for server in servers)};")
    for key in keys:
        wait_for_status(gateway, key, 200)
    metrics = gateway.metrics()
    assert metrics.sum("gateway_jwks_keys", provider="main") == 3
    assert metrics.sum("gateway_jwks_fetches_total", provider="main") == 3


def test_a_source_that_fails_keeps_its_own_keys(start, key_servers, rsa_key, ec_key, ed_key):
    broken, changing = key_servers(key_set(rsa_key)), key_servers(key_set(ec_key))
    gateway = start(CONFIGURATION, sources=f"jwks {broken.url} {changing.url};")
    for key in (rsa_key, ec_key):
        wait_for_status(gateway, key, 200)
    broken.mode = "fail"
    changing.document = key_set(ed_key)
    assert refresh(gateway) == 502
    wait_for_status(gateway, ed_key, 200)
    wait_for_status(gateway, rsa_key, 200)
    check_invalid_token(ask(gateway, ec_key), "key_unknown")


def test_J67_a_source_that_never_answered_may_have_the_key(start, key_servers, rsa_key, ec_key):
    """Tokens of the keys that are here are judged; of others nobody can say that they are bad."""
    good, missing = key_servers(key_set(rsa_key)), key_servers(key_set(ec_key))
    missing.mode = "fail"
    gateway = start(CONFIGURATION, sources=f"jwks {good.url} {missing.url};")
    wait_for_status(gateway, rsa_key, 200)
    response = ask(gateway, ec_key)
    assert response.status == 503 and response.code == "keys_unavailable"
    missing.mode = "ok"
    wait_for_status(gateway, ec_key, 200)


def test_stale_if_error_counts_for_each_source(start, key_servers, rsa_key, ec_key):
    dying, living = key_servers(key_set(rsa_key)), key_servers(key_set(ec_key))
    gateway = start(CONFIGURATION, sources=f"jwks {dying.url} {living.url}; stale_if_error 1s;")
    for key in (rsa_key, ec_key):
        wait_for_status(gateway, key, 200)
    dying.mode = "fail"
    wait_until(lambda: gateway.metrics().sum("gateway_jwks_stale", provider="main") == 1, 14, 0.05, "keys are stale")
    wait_until(lambda: ask(gateway, rsa_key).status == 503, 4, 0.05, "they are withdrawn")
    assert ask(gateway, ec_key).status == 200
    assert gateway.metrics().sum("gateway_jwks_stale", provider="main") == 0
    dying.mode = "ok"
    assert refresh(gateway) == 200
    wait_for_status(gateway, rsa_key, 200)


# -- Cache-Control


@pytest.mark.parametrize("control, fetches", [("max-age=86400", 1), ("no-store", 1), ("max-age=60", 1), (None, 2)])
def test_cache_control_moves_the_life_of_keys(start, key_servers, rsa_key, control, fetches):
    """Within ten seconds they are fetched again, but for what the server says, which is a minute at least."""
    server = key_servers(key_set(rsa_key))
    server.cache_control = control
    gateway = start(CONFIGURATION, sources=f"jwks {server.url};")
    wait_for_status(gateway, rsa_key, 200)
    time.sleep(9)
    assert len(server.hits) == fetches
