"""Signing keys: next, active and retired; rotation by command, by age and under load; what of them is published."""

import os
import subprocess
import threading
import time

import httpx
import jwt
import pytest

from harness.backend import BINARY, backend_key, prepare, private_key, private_pem, public_pem  # noqa: F401
from harness.prometheus import Metrics, parse
from harness.waiting import wait_until

CONFIGURATION = """
error_log stderr notice;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider main jwt {
    issuer https://localhost:8443;
    audience gateway-demo;
    jwks http://127.0.0.1:@auth_service_port@/.well-known/jwks.json;
    unknown_kid refetch wait=2s cooldown=1s;
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


def rotate(backend, *flags: str) -> subprocess.CompletedProcess:
    return subprocess.run([BINARY, "keys", "rotate", *flags], cwd=backend.folder, capture_output=True, text=True,
                          timeout=20, env={n: v for n, v in os.environ.items() if not n.startswith("BACKEND_")})


def metrics(backend) -> Metrics:
    return parse(backend.auth.get("/metrics").text)


def kids(backend) -> list[str]:
    return [key["kid"] for key in backend.key_set()]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_B16_the_next_key_is_published_ahead_of_use(prepare, algorithm):
    backend = prepare(key=private_key(algorithm)).start("--key-set-max-age", "30s")
    answer = backend.auth.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=30"
    active, following = answer.json()["keys"]
    assert active["alg"] == following["alg"] == algorithm
    members = {"RS256": {"n", "e"}, "ES256": {"crv", "x", "y"}, "EdDSA": {"crv", "x"}}[algorithm]
    assert set(active) == set(following) == {"kty", "alg", "use", "kid"} | members
    for name, mode in {"next": 0o700, "next/private_key.pem": 0o600}.items():
        assert (backend.folder / "keys" / name).stat().st_mode & 0o777 == mode

    early = rotate(backend, "--key-set-max-age", "30s")
    assert early.returncode == 1
    assert "the next key has been published for" in early.stderr
    assert kids(backend) == [active["kid"], following["kid"]]

    before = backend.login()["access_token"]
    assert rotate(backend, "--force").returncode == 0
    wait_until(lambda: kids(backend)[0] == following["kid"], within=5, what="the next key signs")
    assert kids(backend)[2] == active["kid"] and len(kids(backend)) == 3
    assert backend.get("/api/protected/data", before).status_code == 200
    assert backend.get("/api/protected/data", backend.login()["access_token"]).status_code == 200
    assert "PRIVATE" not in "".join(p.read_text() for p in (backend.folder / "keys/retired").iterdir())
    backend.stop()
    backend.start()
    assert kids(backend)[0] == following["kid"]
    assert backend.get("/api/protected/data", before).status_code == 200
    backend.stop()


def test_B16_a_retired_key_is_published_until_its_last_token_has_expired(prepare):
    backend = prepare().start("--access-token-lifetime", "90s")
    assert rotate(backend, "--force", "--access-token-lifetime", "90s").returncode == 0
    (retired,) = (backend.folder / "keys/retired").iterdir()
    until, kid, _ = retired.name.split(".")
    assert 90 <= int(until) - time.time() <= 90 + 61
    wait_until(lambda: kids(backend)[2:] == [kid], within=5, what="the old key is retired")
    token = backend.forge(header={"kid": kid})
    assert backend.get("/api/protected/data", token).status_code == 200
    retired.rename(retired.with_name(f"{int(time.time()) + 3}.{kid}.pem"))
    wait_until(lambda: len(kids(backend)) == 2, within=8, what="the old key is gone")
    assert backend.get("/api/protected/data", token).json()["code"] == "key_unknown"
    wait_until(lambda: not list((backend.folder / "keys/retired").iterdir()), within=3, what="its file is gone")
    backend.stop()


def test_key_is_rotated_by_age(prepare):
    backend = prepare(key=private_key("ES256")).start("--key-rotation", "3s", "--key-set-max-age", "1s")
    first = kids(backend)[0]
    wait_until(lambda: kids(backend)[0] != first, within=10, what="the key is rotated")
    second = kids(backend)[0]
    assert first in kids(backend)[2:]
    wait_until(lambda: kids(backend)[0] not in (first, second), within=10, what="and again")
    backend.stop()


def test_rotation_by_age_waits_until_the_next_key_has_been_published_long_enough(prepare):
    """A refused attempt is followed by another, although no file has changed meanwhile; it is logged once."""
    backend = prepare(key=private_key("ES256")).start("--key-rotation", "1s", "--key-set-max-age", "5s")
    first, second = kids(backend)
    wait_until(lambda: "cannot be rotated yet" in backend.log, within=5, what="a refused attempt")
    wait_until(lambda: kids(backend)[0] == second, within=12, what="the attempt after it")
    refused = [line for line in backend.log.split("event=key_rotated")[0].splitlines() if "cannot be rotated yet" in line]
    assert len(refused) == 1, refused
    assert "published for less than 5 seconds" in refused[0]
    assert first in kids(backend)[2:]
    backend.stop()


def test_metrics_tell_state_and_age_of_the_keys(prepare):
    backend = prepare()
    file = backend.folder / "keys/private_key.pem"
    os.utime(file, (time.time() - 1000, time.time() - 1000))
    backend.start("--key-rotation", "900s", "--key-set-max-age", "1h")
    found = metrics(backend)
    states = {state: found.sum("backend_signing_keys", state=state) for state in ("active", "next", "retired")}
    assert states == {"active": 1, "next": 1, "retired": 0}
    assert 1000 <= found.sum("backend_signing_key_age_seconds") < 1060
    assert 100 <= found.sum("backend_signing_key_overdue_seconds") < 160
    assert found.sum("backend_signing_available") == 1
    wait_until(lambda: metrics(backend).sum("backend_signing_key_failures_total", action="rotate") >= 1, within=5,
               what="a refused rotation is counted")
    assert rotate(backend, "--force").returncode == 0
    wait_until(lambda: metrics(backend).sum("backend_signing_keys", state="retired") == 1, within=5,
               what="the old key is retired")
    found = metrics(backend)
    assert found.sum("backend_signing_key_age_seconds") < 60
    assert found.sum("backend_signing_key_overdue_seconds") == 0
    backend.stop()


def test_metrics_tell_that_the_keys_cannot_be_read(prepare):
    backend = prepare().start()
    text = backend.read("keys/private_key.pem")
    assert metrics(backend).sum("backend_signing_key_source_failing_seconds") == 0
    backend.write("keys/private_key.pem", "broken", mode=0o600)
    wait_until(lambda: metrics(backend).sum("backend_signing_key_source_failing_seconds") > 1, within=5, what="an alarm")
    found = metrics(backend)
    assert found.sum("backend_signing_key_failures_total", action="read") >= 1
    assert found.sum("backend_signing_available") == 1
    backend.write("keys/private_key.pem", text, mode=0o600)
    wait_until(lambda: metrics(backend).sum("backend_signing_key_source_failing_seconds") == 0, within=5,
               what="the alarm ends")
    backend.stop()


def test_rotation_that_a_crash_cut_in_two_is_finished(prepare):
    backend = prepare()
    folder = backend.folder / "keys"
    key = private_key()
    (folder / "next").mkdir()
    backend.write("keys/private_key.pem", private_pem(key), mode=0o600)
    backend.write("keys/next/public_key.pem", public_pem(key))
    backend.start()
    assert backend.read("keys/public_key.pem").encode() == public_pem(key)
    assert len(kids(backend)) == 2
    assert backend.get("/api/protected/data", backend.login()["access_token"]).status_code == 200
    backend.stop()


def test_keys_that_cannot_be_read_do_not_replace_those_that_run(prepare):
    backend = prepare().start()
    before = kids(backend)
    backend.write("keys/private_key.pem", "broken", mode=0o600)
    wait_until(lambda: "the keys cannot be read" in backend.log, within=5, what="an error in the log")
    assert kids(backend) == before
    assert backend.get("/api/protected/data", backend.login()["access_token"]).status_code == 200
    backend.stop()


def test_keys_are_read_again_until_they_can_be_read(prepare):
    """A mode is not part of what tells that a file has changed, so nothing but trying again finds it mended."""
    backend = prepare().start()
    key = private_key("ES256")
    folder = backend.folder / "keys"
    backend.write("keys/new.pem", public_pem(key))
    backend.write("keys/private_key.pem", private_pem(key), mode=0o644)
    (folder / "new.pem").rename(folder / "public_key.pem")
    wait_until(lambda: "only its owner may read it" in backend.log, within=5, what="an error in the log")
    time.sleep(2.5)
    assert backend.log.count("only its owner may read it") == 1
    (folder / "private_key.pem").chmod(0o600)
    wait_until(lambda: backend.key_set()[0]["alg"] == "ES256", within=5, what="the new key signs")
    assert backend.get("/api/protected/data", backend.login()["access_token"]).status_code == 200
    backend.stop()


def test_B16_rotations_under_load_fail_no_request(prepare, start):
    backend = prepare(key=private_key("ES256")).start("--key-set-max-age", "1s")
    gateway = start(CONFIGURATION, auth_service_port=backend.auth_port, resource_port=backend.resource_port)
    origin = f"http://127.0.0.1:{gateway.port}"
    wrong: list[str] = []
    seen: set[str] = set()
    passed = [0, 0, 0]
    done = threading.Event()

    def session(index: int) -> None:
        """Refreshes for a new token again and again, and uses the new and the first one."""
        try:
            with httpx.Client(base_url=origin, timeout=20) as client:
                answer = client.post("/api/v1/auth/login", json={"username": "alice", "password": "correct horse"})
                first = answer.json()["access_token"]
                while not done.is_set():
                    answer = client.post("/api/v1/auth/refresh", json={"refresh_token": answer.json()["refresh_token"]})
                    for token in (answer.json()["access_token"], first):
                        seen.add(jwt.get_unverified_header(token)["kid"])
                        used = client.get("/api/protected/data", headers={"Authorization": f"Bearer {token}"})
                        passed[index] += 1
                        if used.status_code != 200:
                            wrong.append(used.text)
        except Exception as error:  # noqa: BLE001 — whatever it was, the request failed
            wrong.append(repr(error))

    threads = [threading.Thread(target=session, args=[index]) for index in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            before = kids(backend)[0]
            time.sleep(1.5)
            result = rotate(backend, "--key-set-max-age", "1s")
            assert result.returncode == 0, result.stderr
            wait_until(lambda before=before: kids(backend)[0] != before, within=5, what="the next key signs")
        time.sleep(1)
    finally:
        done.set()
        for thread in threads:
            thread.join(30)
    assert not wrong, wrong[:5]
    assert len(seen) == 5, "tokens of five keys were used"
    assert min(passed) > 20, passed
    backend.stop()
