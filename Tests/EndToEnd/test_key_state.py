"""Keys that outlive the process: `state_dir`, restarts while a source is down, files that are not to be believed."""

import signal
import hashlib
import json
import os
import stat
import threading
import time

import pytest

from harness.gateway import Gateway
from harness.jwks import KeyServer
from harness.raw import Client, get
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 2;
state_dir @state@;
error_log stderr info;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{
    issuer {ISSUER}; audience {AUDIENCE}; jwks @jwks@; jwks_refresh 10s; stale_if_error @stale@;
}}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture
def key_server(rsa_key):
    server = KeyServer(key_set(rsa_key))
    yield server
    server.close()


@pytest.fixture
def run(start, key_server, tmp_path):
    """Starts a gateway that keeps its state in the test's folder."""

    def run_gateway(**values) -> Gateway:
        return start(CONFIGURATION, state=tmp_path / "state", jwks=key_server.url, **{"stale": "1h", **values})

    return run_gateway


def status(gateway, key) -> int:
    return gateway.request(get("/x", bearer(key.token()))).status


def kept(tmp_path) -> list:
    return sorted((tmp_path / "state").glob("*.keys"))


def keep(run, tmp_path, rsa_key):
    """Runs a gateway until it has kept its keys; returns the file."""
    gateway = run()
    wait_until(lambda: status(gateway, rsa_key) == 200)
    wait_until(lambda: kept(tmp_path))
    gateway.stop()
    return kept(tmp_path)[0]


def age_file(file, provider: str, issuer: str, url: str, seconds: int) -> None:
    """Has the file say that its keys were fetched so long ago."""
    document = file.read_bytes().split(b"\n", 1)[1]
    fetched = int(time.time()) - seconds
    subject = "".join(f"{part}\0" for part in (provider, issuer, "jwks", url, fetched)).encode()
    line = f"gateway-keys-1 {fetched} {hashlib.sha256(subject + document).hexdigest()}\n"
    file.write_bytes(line.encode() + document)


def test_restart_while_the_source_is_down(run, key_server, rsa_key, tmp_path):
    file = keep(run, tmp_path, rsa_key)
    key_server.mode = "fail"
    age_file(file, "main", ISSUER, key_server.url, 500)
    gateway = run()
    assert status(gateway, rsa_key) == 200, "from the first request on"
    gateway.wait_for_notice("1 kept keys of provider \"main\"")
    wait_until(lambda: gateway.metrics().sum("gateway_jwks_stale", provider="main") == 1)
    assert 500 <= gateway.metrics().sum("gateway_jwks_age_seconds", provider="main") < 560
    with Client(gateway.admin_port) as client:
        assert client.request(get("/readyz")).status == 200
    key_server.mode = "ok"
    wait_until(lambda: gateway.metrics().sum("gateway_jwks_stale", provider="main") == 0, 10)
    assert gateway.metrics().sum("gateway_jwks_age_seconds", provider="main") < 30


def test_their_age_counts_on(run, key_server, rsa_key, tmp_path):
    file = keep(run, tmp_path, rsa_key)
    key_server.mode = "fail"
    age_file(file, "main", ISSUER, key_server.url, 3601 + 10 - 4)
    gateway = run()
    assert status(gateway, rsa_key) == 200
    wait_until(lambda: status(gateway, rsa_key) == 503, 8, what="they are withdrawn")


def test_too_old_keys_are_not_used(run, key_server, rsa_key, tmp_path):
    file = keep(run, tmp_path, rsa_key)
    key_server.mode = "fail"
    age_file(file, "main", ISSUER, key_server.url, 3600 + 11)
    gateway = run()
    gateway.wait_for_notice("are not used: they are 36")
    assert status(gateway, rsa_key) == 503


def damage(file) -> None:
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("how", ["damaged", "cut", "empty", "writable", "other_issuer", "other_url", "link"])
def test_files_that_are_not_believed(run, key_server, rsa_key, tmp_path, how):
    file = keep(run, tmp_path, rsa_key)
    key_server.mode = "fail"
    match how:
        case "damaged":
            damage(file)
        case "cut":
            file.write_bytes(file.read_bytes()[:-1])
        case "empty":
            file.write_bytes(b"")
        case "writable":
            file.chmod(0o666)
        case "other_issuer":
            age_file(file, "main", "https://evil.example.com", key_server.url, 1)
        case "other_url":
            age_file(file, "main", ISSUER, "https://evil.example.com/jwks", 1)
        case "link":
            target = file.rename(tmp_path / "elsewhere")
            file.symlink_to(target)
    gateway = run()
    gateway.wait_for_notice("[warn] kept keys of provider \"main\"")
    assert status(gateway, rsa_key) == 503
    key_server.mode = "ok"
    wait_until(lambda: status(gateway, rsa_key) == 200)


def test_files_are_private(run, key_server, rsa_key, tmp_path):
    (tmp_path / "state").mkdir(mode=0o777)
    (tmp_path / "state").chmod(0o777)
    file = keep(run, tmp_path, rsa_key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "state").iterdir()] == [file.name]


def test_a_folder_that_cannot_be_used_ends_the_start(start, key_server, tmp_path):
    (tmp_path / "state").write_text("a file")
    gateway = start(CONFIGURATION, state=tmp_path / "state", jwks=key_server.url, stale="1h", ready=False)
    assert gateway.process.wait(5) == 1
    assert "state_dir cannot be used" in gateway.log


def test_what_cannot_be_kept_is_said(run, key_server, rsa_key, tmp_path):
    """Whoever may write everywhere is stopped by a folder that stands where the file would."""
    file = keep(run, tmp_path, rsa_key)
    file.unlink()
    file.mkdir()
    gateway = run()
    gateway.wait_for_notice("cannot be kept in state_dir")
    wait_until(lambda: status(gateway, rsa_key) == 200)


def test_without_state_dir_nothing_is_kept(start, key_server, rsa_key, tmp_path):
    text = CONFIGURATION.replace("state_dir @state@;", "")
    gateway = start(text, jwks=key_server.url, stale="1h")
    wait_until(lambda: status(gateway, rsa_key) == 200)
    gateway.stop()
    key_server.mode = "fail"
    assert status(start(text, jwks=key_server.url, stale="1h"), rsa_key) == 503


def test_a_reload_takes_a_folder_into_use(start, key_server, rsa_key, tmp_path):
    text = CONFIGURATION.replace("state_dir @state@;", "")
    gateway = start(text, state=tmp_path / "state", jwks=key_server.url, stale="1h")
    wait_until(lambda: status(gateway, rsa_key) == 200)
    gateway.configure(CONFIGURATION)
    gateway.send_signal(signal.SIGHUP)
    gateway.wait_for_notice("configuration reloaded")
    wait_until(lambda: kept(tmp_path), 11, what="the next fetch is kept")


# -- what operators ask for


def act(gateway, path: str, *fields: str, method: str = "POST"):
    with Client(gateway.admin_port) as client:
        return client.request(get(path, *fields, method=method), 15)


def test_refresh_by_the_admin_address(run, key_server, rsa_key, ec_key, tmp_path):
    gateway = run()
    wait_until(lambda: status(gateway, rsa_key) == 200)
    key_server.document = key_set(rsa_key, ec_key)
    response = act(gateway, "/jwks/main/refresh", "Gateway-Admin: 1")
    assert response.status == 200 and b"2 keys" in response.body
    wait_until(lambda: status(gateway, ec_key) == 200, 1)
    key_server.mode = "fail"
    response = act(gateway, "/jwks/main/refresh", "Gateway-Admin: 1")
    assert response.status == 502 and b"status 500 instead of 200" in response.body
    assert status(gateway, rsa_key) == 200


def test_purge_by_the_admin_address(run, key_server, rsa_key, tmp_path):
    """Keys that are no longer to be believed go at once, cached tokens and the copy on disk with them."""
    gateway = run()
    wait_until(lambda: status(gateway, rsa_key) == 200)
    wait_until(lambda: kept(tmp_path))
    key_server.mode = "fail"
    assert act(gateway, "/jwks/main/purge", "Gateway-Admin: 1").status == 502
    wait_until(lambda: not kept(tmp_path), 2)
    wait_until(lambda: all(status(gateway, rsa_key) == 503 for _ in range(6)), 2)
    assert gateway.metrics().sum("gateway_jwks_keys", provider="main") == 0
    key_server.mode = "ok"
    assert act(gateway, "/jwks/main/purge", "Gateway-Admin: 1").status == 200
    wait_until(lambda: status(gateway, rsa_key) == 200, 1)
    wait_until(lambda: kept(tmp_path))


def test_a_purge_does_not_take_what_was_on_its_way(run, key_server, rsa_key, ec_key):
    """A fetch that had begun before may bring the very keys that are to be forgotten."""
    gateway = run()
    wait_until(lambda: status(gateway, rsa_key) == 200)
    key_server.delay, hits = 0.5, len(key_server.hits)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(act(gateway, "/jwks/main/refresh", "Gateway-Admin: 1")))
    thread.start()
    wait_until(lambda: len(key_server.hits) > hits)
    key_server.replies = [json.dumps(key_set(rsa_key)).encode()]
    key_server.document = key_set(ec_key)
    response = act(gateway, "/jwks/main/purge", "Gateway-Admin: 1")
    thread.join(5)
    assert response.status == 200 and response.body.count(b"1 keys") == 1
    assert len(key_server.hits) == hits + 2
    wait_until(lambda: status(gateway, ec_key) == 200, 1)
    assert status(gateway, rsa_key) == 401


@pytest.mark.parametrize(
    "path, method, fields, wanted",
    [
        ("/jwks/main/refresh", "POST", (), 403),
        ("/jwks/main/refresh", "POST", ("Gateway-Admin: 0",), 403),
        ("/jwks/main/refresh", "POST", ("Gateway-Admin: 1", "Origin: https://evil.example.com"), 403),
        ("/jwks/main/refresh", "POST", ("Gateway-Admin: 1", "Origin: null"), 403),
        ("/jwks/main/refresh", "POST", ("Gateway-Admin: 1", "Sec-Fetch-Site: cross-site"), 403),
        ("/jwks/main/refresh", "POST", ("Gateway-Admin: 1", "Sec-Fetch-Site: same-origin"), 403),
        ("/jwks/main/purge", "POST", (), 403),
        ("/jwks/main/refresh", "GET", ("Gateway-Admin: 1",), 404),
        ("/jwks/main/refresh", "OPTIONS", ("Access-Control-Request-Headers: gateway-admin",), 405),
        ("/jwks/main/refresh", "PUT", ("Gateway-Admin: 1",), 405),
        ("/jwks/nobody/refresh", "POST", ("Gateway-Admin: 1",), 404),
        ("/jwks/main/else", "POST", ("Gateway-Admin: 1",), 404),
        ("/jwks/main/refresh/", "POST", ("Gateway-Admin: 1",), 404),
        ("/jwks//refresh", "POST", ("Gateway-Admin: 1",), 404),
        ("/metrics", "POST", ("Gateway-Admin: 1",), 405),
        ("/x", "POST", ("Gateway-Admin: 1",), 404),
    ],
)
def test_what_else_is_asked_for_is_refused(run, key_server, rsa_key, path, method, fields, wanted):
    gateway = run()
    wait_until(lambda: status(gateway, rsa_key) == 200)
    response = act(gateway, path, *fields, method=method)
    assert response.status == wanted, response.body
    assert not response.all("access-control-allow-origin")
    assert len(key_server.hits) == 1 and status(gateway, rsa_key) == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else_is_not_believed(run, key_server, rsa_key, ec_key, tmp_path):
    """Its checksum, which anybody can make, is right: what counts is who wrote it."""
    file = keep(run, tmp_path, rsa_key)
    key_server.mode = "fail"
    file.write_bytes(b"\n" + json.dumps(key_set(ec_key)).encode())
    age_file(file, "main", ISSUER, key_server.url, 1)
    os.chown(file, 65534, -1)
    gateway = run()
    gateway.wait_for_notice("it belongs to somebody else, or others may write it")
    assert status(gateway, ec_key) == status(gateway, rsa_key) == 503
    gateway.stop()
    os.chown(file, os.geteuid(), -1)
    gateway = run()
    assert status(gateway, ec_key) == 200, "the same file of our own"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_somebody_else_ends_the_start(start, key_server, tmp_path):
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 65534, -1)
    gateway = start(CONFIGURATION, state=tmp_path / "state", jwks=key_server.url, stale="1h", ready=False)
    assert gateway.process.wait(5) == 1
    assert "state_dir cannot be used: it belongs to somebody else" in gateway.log


# -- fail_start

NEEDED = CONFIGURATION.replace("jwks_refresh 10s;", "jwks_refresh 10s; fail_start on;")


def test_without_keys_no_start_if_told_so(start, key_server, tmp_path):
    key_server.mode = "fail"
    gateway = start(NEEDED, state=tmp_path / "state", jwks=key_server.url, stale="1h", ready=False)
    assert gateway.process.wait(12) == 1
    assert f'error: keys of provider "main" cannot be had from {key_server.url}: ' in gateway.log
    assert "listening on" not in gateway.log


def test_with_keys_the_first_request_is_judged(start, key_server, rsa_key, tmp_path):
    key_server.delay = 0.5
    gateway = start(NEEDED, state=tmp_path / "state", jwks=key_server.url, stale="1h")
    assert status(gateway, rsa_key) == 200
    assert len(key_server.hits) == 1
    assert gateway.metrics().sum("gateway_jwks_fetches_total", provider="main") == 1


def test_kept_keys_are_enough_for_a_start(start, run, key_server, rsa_key, tmp_path):
    keep(run, tmp_path, rsa_key)
    key_server.mode = "fail"
    gateway = start(NEEDED, state=tmp_path / "state", jwks=key_server.url, stale="1h")
    assert status(gateway, rsa_key) == 200


def test_a_start_that_waits_for_keys_can_be_ended(start, key_server, tmp_path):
    key_server.delay = 8
    gateway = start(NEEDED, state=tmp_path / "state", jwks=key_server.url, stale="1h", ready=False)
    wait_until(lambda: key_server.hits)
    gateway.send_signal(signal.SIGTERM)
    assert gateway.process.wait(3) == 1
    assert "told to stop before its keys were here" in gateway.log


def test_a_source_that_fails_later_ends_nothing(start, key_server, rsa_key, tmp_path):
    gateway = start(NEEDED, state=tmp_path / "state", jwks=key_server.url, stale="1h")
    key_server.mode = "fail"
    gateway.send_signal(signal.SIGHUP)
    gateway.wait_for_notice("configuration reloaded")
    assert status(gateway, rsa_key) == 200
