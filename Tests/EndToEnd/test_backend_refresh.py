"""Refresh tokens: rotation, the grace for two tabs and lost answers, reuse, expiry, and what a crash leaves."""

import base64
import contextlib
import hashlib
import json
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from harness.backend import backend, backend_key, bearer, module_backend, prepare, problem  # noqa: F401
from harness.waiting import wait_until


def database(backend):
    return contextlib.closing(sqlite3.connect(backend.folder / "run/backend.sqlite"))


@pytest.mark.parametrize("path", ["/api/v1/auth/refresh", "/auth/refresh", "/refresh"])
def test_rotation(backend, path):
    login = backend.login()
    answer = backend.auth.post(path, json={"refresh_token": login["refresh_token"]})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert answer.json()["refresh_token"] != login["refresh_token"]
    before, after = backend.claims(login["access_token"]), backend.claims(answer.json()["access_token"])
    assert after["sid"] == before["sid"]
    assert after["jti"] != before["jti"]
    assert backend.get("/api/protected/data", answer.json()["access_token"]).status_code == 200


def test_a_chain_of_rotations_lives_on(backend):
    token = backend.login()["refresh_token"]
    seen = {token}
    for _ in range(10):
        token = backend.refresh(token).json()["refresh_token"]
        assert token not in seen
        seen.add(token)


def test_B04_replay_inside_the_grace_gets_the_same_successor(backend):
    login = backend.login()
    first = backend.refresh(login["refresh_token"]).json()
    second = backend.refresh(login["refresh_token"]).json()
    assert second["refresh_token"] == first["refresh_token"]
    assert backend.claims(second["access_token"])["jti"] != backend.claims(first["access_token"])["jti"]
    assert backend.refresh(first["refresh_token"]).status_code == 200


def test_B04_fifty_parallel_refreshes_get_one_successor(backend):
    token = backend.login()["refresh_token"]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: backend.refresh(token), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    assert backend.refresh(successor).status_code == 200


def test_B03_reuse_after_the_grace_ends_the_session(prepare):
    backend = prepare().start("--refresh-grace", "1s")
    other_session = backend.login()["refresh_token"]
    stolen = backend.login()["refresh_token"]
    current = backend.refresh(stolen).json()["refresh_token"]
    time.sleep(1.1)
    problem(backend.refresh(stolen), 401, "refresh_reused")
    # Both holders are out, thief and owner.
    problem(backend.refresh(current), 401, "refresh_revoked")
    problem(backend.refresh(stolen), 401, "refresh_revoked")
    assert backend.refresh(other_session).status_code == 200
    assert "event=refresh_reused" in backend.log
    backend.stop()


def test_the_grace_does_not_extend(prepare):
    backend = prepare().start("--refresh-grace", "2s")
    token = backend.login()["refresh_token"]
    assert backend.refresh(token).status_code == 200
    time.sleep(1.2)
    assert backend.refresh(token).status_code == 200
    time.sleep(1.2)
    problem(backend.refresh(token), 401, "refresh_reused")
    backend.stop()


def test_without_a_grace_a_second_use_is_reuse(prepare):
    backend = prepare().start("--refresh-grace", "0s")
    token = backend.login()["refresh_token"]
    assert backend.refresh(token).status_code == 200
    problem(backend.refresh(token), 401, "refresh_reused")
    backend.stop()


def test_an_idle_token_expires(prepare):
    backend = prepare().start("--refresh-token-idle", "3s")
    token = backend.login()["refresh_token"]
    for _ in range(4):
        time.sleep(1)
        token = backend.refresh(token).json()["refresh_token"]
    time.sleep(3.1)
    problem(backend.refresh(token), 401, "refresh_expired")
    backend.stop()


def test_a_session_expires_however_busy_it_is(prepare):
    backend = prepare().start("--refresh-token-lifetime", "4s", "--refresh-token-idle", "3s")
    token = backend.login()["refresh_token"]
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        token = backend.refresh(token).json()["refresh_token"]
        time.sleep(0.2)
    time.sleep(1.6)
    problem(backend.refresh(token), 401, "refresh_expired")
    backend.stop()


def test_an_access_token_says_that_its_session_has_expired(prepare):
    backend = prepare().start("--refresh-token-lifetime", "2s")
    login = backend.login()
    assert backend.validate(login["access_token"]) == "Valid"
    wait_until(lambda: backend.validate(login["access_token"]) != "Valid", within=5, what="the session expires")
    assert backend.validate(login["access_token"]) == "Expired"
    answer = backend.auth.post("/api/v1/auth/api-key", json={"name": "x"}, headers=bearer(login))
    problem(answer, 401, "session_expired")
    problem(backend.auth.post("/logout", headers=bearer(login)), 401, "session_expired")
    problem(backend.refresh(login["refresh_token"]), 401, "refresh_expired")
    again = backend.login()
    assert backend.auth.post("/logout", headers=bearer(again)).status_code == 204
    problem(backend.auth.post("/logout", headers=bearer(again)), 401, "token_revoked")
    backend.stop()


@pytest.mark.parametrize("token", ["x", "A" * 43, "A" * 42, "A" * 44, "!" * 43, "é" * 20, "' OR 1=1 --"])
def test_what_nobody_was_given_is_refused(backend, token):
    problem(backend.refresh(token), 401, "refresh_invalid")


def test_B05_an_access_token_does_not_refresh(backend):
    problem(backend.refresh(backend.login()["access_token"]), 401, "refresh_invalid")


def test_B05_a_refresh_token_opens_nothing(backend):
    problem(backend.get("/api/protected/data", backend.login()["refresh_token"]), 401, "token_malformed")


@pytest.mark.parametrize("body", ['{"refresh_token": null}', '{"refresh_token": 1}', '{"refresh_token": ""}',
                                  '{"refresh_token": "' + "A" * 9000 + '"}'])
def test_body_is_read_strictly(backend, body):
    answer = backend.auth.post("/refresh", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer, 400, "invalid_request")["member"] == "refresh_token"
    problem(backend.auth.post("/refresh", content=body), 415, "unsupported_media_type")


def test_B11_refresh_reads_roles_and_permissions_anew(prepare):
    backend = prepare().start()
    login = backend.login("admin", "battery staple")
    assert backend.get("/api/admin/stats", login["access_token"]).status_code == 200
    backend.stop()
    users = json.loads(backend.read("keys/secrets.json"))
    users["users"][1]["roles"] = ["user"]
    backend.write("keys/secrets.json", json.dumps(users), mode=0o600)
    backend.start()
    renewed = backend.refresh(login["refresh_token"]).json()
    assert backend.claims(renewed["access_token"])["permissions"] == ["read:data"]
    assert backend.claims(renewed["access_token"])["roles"] == ["user"]
    problem(backend.get("/api/admin/stats", renewed["access_token"]), 403, "insufficient_scope")
    backend.stop()


@pytest.mark.parametrize("change", ["disable", "remove", "password"])
def test_B11_user_who_is_changed_loses_his_sessions(prepare, change):
    backend = prepare().start()
    token, unchanged = backend.login()["refresh_token"], backend.login("admin", "battery staple")["refresh_token"]
    backend.stop()
    users = json.loads(backend.read("keys/secrets.json"))
    match change:
        case "disable": users["users"][0]["disabled"] = True
        case "remove": del users["users"][0]
        case "password":
            del users["users"][0]["password_hash"]
            users["users"][0]["password"] = "another one"
    backend.write("keys/secrets.json", json.dumps(users), mode=0o600)
    backend.start()
    problem(backend.refresh(token), 401, "refresh_revoked")
    problem(backend.auth.post("/login", json={"username": "alice", "password": "correct horse"}), 401,
            "invalid_credentials")
    assert backend.refresh(unchanged).status_code == 200
    if change == "password":
        assert backend.login("alice", "another one")
    backend.stop()


def test_restart_keeps_sessions(prepare):
    backend = prepare().start()
    token = backend.login()["refresh_token"]
    backend.stop()
    assert (backend.folder / "run/backend.sqlite-wal").stat().st_size == 0, "the journal was not written back"
    backend.start()
    assert backend.refresh(token).status_code == 200
    backend.stop()


def test_kill_9_keeps_what_was_acknowledged(prepare):
    backend = prepare().start()
    for _ in range(5):
        acknowledged = backend.login()["refresh_token"]
        rotated = backend.refresh(backend.login()["refresh_token"]).json()["refresh_token"]
        backend.process.send_signal(signal.SIGKILL)
        backend.process.wait()
        backend.start()
        assert backend.refresh(acknowledged).status_code == 200
        assert backend.refresh(rotated).status_code == 200
    backend.stop()


def test_kill_9_under_load_keeps_what_was_acknowledged(prepare):
    backend = prepare().start()
    tokens = [backend.login()["refresh_token"] for _ in range(4)]

    def rotate_until_it_dies(token: str) -> str:
        """The last token that was acknowledged."""
        with contextlib.suppress(Exception):
            while True:
                token = backend.refresh(token).json()["refresh_token"]
        return token

    with ThreadPoolExecutor(4) as pool:
        last = [pool.submit(rotate_until_it_dies, token) for token in tokens]
        time.sleep(0.7)
        backend.process.send_signal(signal.SIGKILL)
        backend.process.wait()
        acknowledged = [future.result() for future in last]
    assert not set(acknowledged) & set(tokens), "no rotation happened before the kill"
    backend.start()
    for token in acknowledged:
        # The last one may have been spent by a request whose answer died: that is what the grace is for.
        assert backend.refresh(token).status_code == 200
    backend.stop()


def test_B09_the_store_holds_no_live_token(prepare):
    backend = prepare().start("--refresh-grace", "1s")
    first = backend.login()["refresh_token"]
    second = backend.refresh(first).json()["refresh_token"]
    with database(backend) as connection:
        dump = "\n".join(connection.iterdump())
        sealed = connection.execute("SELECT count(*) FROM refresh_tokens WHERE successor IS NOT NULL").fetchone()[0]
    assert sealed == 1
    files = b"".join(path.read_bytes() for path in (backend.folder / "run").iterdir())
    for token in (first, second):
        assert token not in dump
        assert token.encode() not in files
    # The sweep runs every five seconds.
    time.sleep(6.5)
    with database(backend) as connection:
        sealed = connection.execute("SELECT count(*) FROM refresh_tokens WHERE successor IS NOT NULL").fetchone()[0]
    assert sealed == 0
    backend.stop()


def test_the_database_is_durable_and_private(backend):
    with database(backend) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    for path in (backend.folder / "run").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_B09_dump_of_everything_on_disk_has_no_secret(prepare):
    """Whoever steals database, journal and account file, at the worst moment, holds nothing that opens anything."""
    backend = prepare().start()
    login = backend.login()
    bearer = {"Authorization": f"Bearer {login['access_token']}"}
    api_key = backend.auth.post("/api/v1/auth/api-key", headers=bearer, json={"name": "k"}).json()["api_key"]
    # Inside the grace: the successor must lie somewhere.
    successor = backend.refresh(login["refresh_token"]).json()["refresh_token"]
    files = [path for folder in ("run", "keys") for path in (backend.folder / folder).rglob("*") if path.is_file()]
    dump = b"".join(path.read_bytes() for path in files if path.name != "private_key.pem")
    secrets = [login["refresh_token"], successor, api_key, api_key.rsplit("_", 1)[1], "correct horse", "battery staple"]
    for secret in secrets:
        assert secret.encode() not in dump
    for token in (login["refresh_token"], successor):
        assert base64.urlsafe_b64decode(token + "=") not in dump
    with database(backend) as connection:
        stored = {row[0] for row in connection.execute("SELECT hash FROM refresh_tokens")}
        assert stored == {hashlib.sha256(token.encode()).digest() for token in (login["refresh_token"], successor)}
        assert connection.execute("SELECT hash FROM api_keys").fetchone()[0] == hashlib.sha256(api_key.encode()).digest()
        sealed = connection.execute("SELECT successor FROM refresh_tokens WHERE successor IS NOT NULL").fetchone()[0]
        for (hash_,) in connection.execute("SELECT password_hash FROM users"):
            assert hash_.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    # With the spent token, which is not in the dump, and with nothing else the successor comes out.
    key = HKDF(hashes.SHA256(), 32, salt=None, info=b"refresh-grace").derive(login["refresh_token"].encode())
    spent_hash = hashlib.sha256(login["refresh_token"].encode()).digest()
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], spent_hash).decode() == successor
    backend.stop()


def test_kill_9_among_many_rotations_keeps_every_one_that_was_answered(prepare):
    """Rotations that come together share a commit; none is answered before it is on disk."""
    backend = prepare().start("--refresh-grace", "60s")
    held = [backend.login()["refresh_token"] for _ in range(16)]
    stop = threading.Event()

    def renew(index: int) -> int:
        count = 0
        with httpx.Client(base_url=backend.auth.base_url, timeout=20) as client:
            while not stop.is_set():
                try:
                    answer = client.post("/refresh", json={"refresh_token": held[index]})
                except httpx.TransportError:
                    break
                assert answer.status_code == 200, answer.text
                held[index] = answer.json()["refresh_token"]
                count += 1
        return count

    with ThreadPoolExecutor(len(held)) as pool:
        renewals = [pool.submit(renew, index) for index in range(len(held))]
        time.sleep(1.5)
        backend.kill()
        stop.set()
        assert all(renewal.result() > 0 for renewal in renewals)
    backend.start("--refresh-grace", "60s")
    for token in held:
        answer = backend.refresh(token)
        assert answer.status_code == 200, answer.text
        assert backend.refresh(answer.json()["refresh_token"]).status_code == 200
    backend.stop()


def test_successors_are_deleted_after_the_grace(prepare):
    backend = prepare().start("--refresh-grace", "1s")
    for _ in range(3):
        assert backend.refresh(backend.login()["refresh_token"]).status_code == 200

    def sealed() -> int:
        with database(backend) as connection:
            return connection.execute("SELECT count(*) FROM refresh_tokens WHERE successor IS NOT NULL").fetchone()[0]

    # The sweep comes every five seconds.
    wait_until(lambda: sealed() == 0, within=15, what="the successors are gone")
    backend.stop()


def test_one_token_has_one_spelling(backend):
    token = backend.login()["refresh_token"]
    symbols = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 32 bytes in 43 symbols: two bits of the last one are of no use and must be zero.
    value = symbols.index(token[-1])
    assert value % 4 == 0
    for other in (1, 2, 3):
        problem(backend.refresh(token[:-1] + symbols[value + other]), 401, "refresh_invalid")
    for stranger in (token + "=", token + "A", token[:-1] + "+", token[:-1] + "/", " " + token[1:]):
        problem(backend.refresh(stranger), 401, "refresh_invalid")
    assert backend.refresh(token).status_code == 200
