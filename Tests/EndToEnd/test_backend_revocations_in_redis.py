"""The feed of several backends with one Redis: whoever listens to one of them hears what happened at the others."""

import time

import httpx
import pytest

from harness.backend import backend_key, bearer, problem  # noqa: F401
from harness.revocations import RedisServer
from harness.shared_store import SharedBackend
from harness.waiting import wait_until

SECRET = "a-secret-of-a-listener-for-tests-only"
CLIENTS = [{"id": "gateway", "secret": SECRET, "rights": ["revocations"]}]
GATEWAY = """
error_log stderr notice;
auth_provider main jwt {
    issuer https://localhost:8443;
    audience gateway-demo;
    jwks http://127.0.0.1:@auth_service_port@/.well-known/jwks.json;
}
revocation logouts { feed http://127.0.0.1:@auth_service_port@/revocations; client_id gateway; client_secret @secret@; }
server {
    listen 127.0.0.1:@port@;
    auth main;
    revocation logouts;
    location / { return 200 "in"; }
}
"""


@pytest.fixture
def redis(tmp_path):
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def pair(tmp_path, backend_key, redis):
    """Two backends, started."""
    made = [SharedBackend(tmp_path / f"backend-{i}", backend_key, redis) for i in range(2)]
    try:
        for backend in made:
            backend.know(*CLIENTS).start()
        yield made
        for backend in made:
            backend.stop()
    finally:
        for backend in made:
            backend.close()


def poll(backend, since: str | None = None, wait: int = 0) -> httpx.Response:
    query = {"wait": wait} | ({} if since is None else {"since": since})
    return backend.auth.get("/revocations", params=query, auth=("gateway", SECRET))


def log_out(backend, login: dict) -> None:
    assert backend.auth.post("/api/v1/auth/logout", headers=bearer(login["access_token"])).status_code == 204


def test_a_cursor_counts_at_every_backend(pair):
    first, second = pair
    login = first.login()
    claims = first.claims(login["access_token"])
    cursor = poll(first).json()["cursor"]
    log_out(first, login)
    pages = [poll(backend, cursor).json() for backend in pair]
    assert pages[0] == pages[1]
    assert {entry["value"] for entry in pages[0]["revocations"]} == {claims["sid"], claims["jti"]}
    assert poll(second, pages[0]["cursor"]).json() == {"cursor": pages[0]["cursor"], "revocations": []}
    name, number = pages[0]["cursor"].split("-")
    problem(poll(first, f"{name}-{int(number) + 1}"), 410, "cursor_unknown")


def test_a_logout_at_one_is_known_at_the_gateways_of_all_within_a_second(pair, start):
    gateways = [start(GATEWAY, auth_service_port=backend.auth_port, secret=SECRET) for backend in pair]
    for backend in pair:
        wait_until(lambda backend=backend: "backend_revocation_listeners 1\n" in backend.auth.get("/metrics").text,
                   what="each gateway listens to its backend")
    login, other = pair[0].login(), pair[0].login()

    def statuses(login: dict) -> list[int]:
        return [httpx.get(f"http://127.0.0.1:{gateway.port}/", headers=bearer(login["access_token"])).status_code
                for gateway in gateways]

    assert statuses(login) == [200, 200]
    log_out(pair[0], login)
    wait_until(lambda: statuses(login) == [401, 401], within=1, what="both gateways refuse the token")
    assert statuses(other) == [200, 200]


def test_redis_that_is_away_is_no_empty_page_and_one_that_lost_all_another_feed(pair, redis):
    log_out(pair[0], pair[0].login())
    page = poll(pair[0]).json()
    assert page["revocations"]
    redis.kill()
    problem(poll(pair[0], page["cursor"]), 503, "storage_unavailable")
    redis.start()
    wait_until(lambda: poll(pair[0]).status_code == 200, within=10, what="the backend has found Redis again")
    problem(poll(pair[0], page["cursor"]), 410, "cursor_unknown")
    started = time.monotonic()
    page = poll(pair[1], wait=20).json()
    assert page["revocations"] == [] and time.monotonic() - started < 5
