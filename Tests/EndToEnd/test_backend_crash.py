"""kill -9, again and again under load: what was acknowledged is there afterwards, and what was revoked stays dead."""

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import jwt
import pytest

from harness.backend import Backend, backend_key, bearer, prepare, problem  # noqa: F401
from harness.revocations import RedisServer
from harness.shared_store import SharedBackend
from harness.waiting import wait_until

KILLS = int(os.environ.get("KILLS", 100))
API_KEYS = "/api/v1/auth/api-key"


@dataclass
class Acknowledged:
    """What clients were told is done. Each list has one writer."""

    #: Chains of refresh tokens: the last one of each.
    chains: list[str] = field(default_factory=list)
    #: Refresh tokens of logins that nobody has used yet.
    logins: list[str] = field(default_factory=list)
    #: Refresh tokens of sessions that were logged out, with their `sid`.
    ended: list[tuple[str, str]] = field(default_factory=list)
    #: API keys that were made, those that were revoked, and the one whose revocation may be under way.
    made: set[str] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    revoking: str = ""


class Load:
    """Clients that go on until the server dies under them."""

    def __init__(self, backend: Backend, done: Acknowledged, access_token: str):
        self.backend, self.done, self.fields = backend, done, bearer(access_token)
        self.counts = Counter()
        self.failures: list[AssertionError] = []
        self.halt = threading.Event()
        self.threads = [threading.Thread(target=self._until_it_dies, args=work) for work in (
            (self._rotate, 0), (self._rotate, 1), (self._rotate, 2), (self._log_in,), (self._log_in_and_out,),
            (self._make_and_revoke_api_keys,))]
        for thread in self.threads:
            thread.start()

    def run(self, operations: int, *kinds: str) -> None:
        """Goes on until so many were acknowledged, of these kinds too, and a moment longer."""
        wait_until(lambda: self.failures or self.counts.total() >= operations and all(map(self.counts.get, kinds)), 20,
                   what=f"{operations} operations are done")
        time.sleep(random.uniform(0, 0.05))

    def wait(self) -> None:
        self.halt.set()
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def _until_it_dies(self, work, *arguments) -> None:
        try:
            with httpx.Client(base_url=self.backend.auth.base_url, timeout=20) as client:
                while not self.halt.is_set():
                    work(client, *arguments)
        except httpx.TransportError:
            pass
        except AssertionError as failure:
            self.failures.append(failure)

    def _post(self, client: httpx.Client, path: str, body: dict | None = None, **options) -> httpx.Response | None:
        """None for what the backend could not do because Redis was gone."""
        answer = client.post(path, json=body, **options)
        if answer.status_code == 503:
            time.sleep(0.01)
            return None
        assert answer.is_success, answer.text
        return answer

    def _rotate(self, client: httpx.Client, chain: int) -> None:
        if answer := self._post(client, "/refresh", {"refresh_token": self.done.chains[chain]}):
            self.done.chains[chain] = answer.json()["refresh_token"]
            self.counts["refresh"] += 1

    def _log_in(self, client: httpx.Client) -> None:
        if answer := self._post(client, "/login", {"username": "alice", "password": "correct horse"}):
            self.done.logins.append(answer.json()["refresh_token"])
            self.counts["login"] += 1

    def _log_in_and_out(self, client: httpx.Client) -> None:
        if answer := self._post(client, "/login", {"username": "alice", "password": "correct horse"}):
            token, session = answer.json()["refresh_token"], session_of(answer.json()["access_token"])
            if self._post(client, "/logout", {"refresh_token": token}):
                self.done.ended.append((token, session))
                self.counts["logout"] += 1

    def _make_and_revoke_api_keys(self, client: httpx.Client) -> None:
        alive = sorted(self.done.made - self.done.revoked)
        if len(alive) < 10:
            if answer := self._post(client, API_KEYS, {"name": "k"}, headers=self.fields):
                self.done.made.add(answer.json()["id"])
                self.counts["API key made"] += 1
            return
        self.done.revoking = alive[0]
        answer = client.delete(f"{API_KEYS}/{alive[0]}", headers=self.fields)
        if answer.status_code != 503:
            # 404: it was revoked by a request whose answer died.
            assert answer.status_code in (204, 404), answer.text
            self.done.revoked.add(alive[0])
            self.counts["API key revoked"] += 1


def session_of(access_token: str) -> str:
    return jwt.decode(access_token, options={"verify_signature": False})["sid"]


def told(backend: Backend, kind: str) -> set[str]:
    """What gateways are told of this kind."""
    return {entry["value"] for entry in backend.revocations if entry["kind"] == kind}


def check(backend: Backend, done: Acknowledged, operator: str) -> None:
    """All that was acknowledged holds; the tokens that this spends are replaced by their successors."""
    for index, token in enumerate(done.chains):
        # The last one may have been spent by a request whose answer died: that is what the grace is for.
        answer = backend.refresh(token)
        assert answer.status_code == 200, answer.text
        done.chains[index] = answer.json()["refresh_token"]
    for token in done.logins:
        assert backend.refresh(token).status_code == 200
    done.logins.clear()
    for token, _ in done.ended[-3:]:
        problem(backend.refresh(token), 401, "refresh_revoked")
    assert {session for _, session in done.ended} <= told(backend, "sid")
    listed = backend.auth.get(API_KEYS, headers=bearer(operator))
    assert listed.status_code == 200, listed.text
    keys = {key["id"] for key in listed.json()["api_keys"]}
    assert done.made - done.revoked - keys <= {done.revoking}
    assert not done.revoked & keys
    wait_until(lambda: done.revoked <= told(backend, "api_key"), 2, what="gateways are told of each revoked key")
    # One may have been made by a request whose answer died.
    for key in keys - done.made:
        assert backend.auth.delete(f"{API_KEYS}/{key}", headers=bearer(operator)).status_code == 204


def run(backend: Backend, kills: int, kill_and_start) -> None:
    operator = backend.login("admin", "battery staple")["access_token"]
    done = Acknowledged(chains=[backend.login()["refresh_token"] for _ in range(3)])
    counts = Counter()
    for number in range(kills):
        load = Load(backend, done, operator)
        # A password takes longer to check than everything else: some lives last until one was.
        load.run(random.randrange(1, 25), *(("login", "logout") if number % 4 == 0 else ()))
        kill_and_start(number, load)
        counts += load.counts
        check(backend, done, operator)
    for token, _ in done.ended:
        problem(backend.refresh(token), 401, "refresh_revoked")
    # Else it was no load.
    assert counts.total() > 5 * kills and min(counts.values()) > kills / 10 and len(counts) >= 4, counts
    backend.stop()


@pytest.mark.timeout(900)
def test_a_hundred_kills_lose_nothing_that_was_acknowledged(prepare):
    backend = prepare().start()

    def kill_and_start(_, load: Load) -> None:
        backend.kill()
        load.wait()
        backend.start()

    run(backend, KILLS, kill_and_start)
    with contextlib.closing(sqlite3.connect(backend.folder / "run/backend.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.timeout(600)
def test_kills_of_redis_and_of_the_backend_lose_nothing_that_was_acknowledged(tmp_path, backend_key):
    """Redis writes each answer to the disk first (appendfsync always)."""
    folder = tmp_path / "redis"
    folder.mkdir()
    redis = RedisServer(folder, durable=True)
    backend = SharedBackend(tmp_path / "it", backend_key, redis)

    def kill_and_start(number: int, load: Load) -> None:
        if number % 2:
            backend.kill()
            load.wait()
            backend.start()
            return
        redis.kill()
        time.sleep(0.05)
        redis.start()
        # It goes on, without a restart.
        wait_until(lambda: backend.ready(backend.auth), 5, what="the backend has found Redis again")
        load.wait()

    try:
        backend.start()
        run(backend, max(1, KILLS // 4), kill_and_start)
    finally:
        backend.close()
        redis.kill()
