"""The feed of revocations: who may listen, what a poll answers, and that every gateway follows within a second."""

import base64
import contextlib
import json
import socket
import sqlite3
import subprocess
import threading
import time

import httpx
import pytest

from harness.backend import BINARY, backend_key, bearer, prepare, problem, running  # noqa: F401
from harness.example import Example
from harness.gateway import Gateway
from harness.waiting import wait_until

SECRET = "a-secret-of-a-listener-for-tests-only"
CLIENTS = [{"id": "gateway", "secret": SECRET, "rights": ["revocations"]},
           {"id": "asker", "secret": "q" * 40, "rights": ["introspect", "tokens"]}]


def poll(backend, since: str | None = None, wait: float | None = None, **options) -> httpx.Response:
    query = {name: value for name, value in (("since", since), ("wait", wait)) if value is not None}
    options.setdefault("auth", ("gateway", SECRET))
    return backend.auth.get("/revocations", params=query, **options)


def page(backend, since: str | None = None, wait: float | None = None) -> tuple[str, list[dict]]:
    answer = poll(backend, since, wait)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"cursor", "revocations"}
    return answer.json()["cursor"], answer.json()["revocations"]


def end(backend) -> str:
    """The cursor behind everything."""
    cursor, entries = page(backend)
    while entries:
        cursor, entries = page(backend, cursor)
    return cursor


def log_out(backend, login: dict) -> None:
    assert backend.auth.post("/api/v1/auth/logout", headers=bearer(login)).status_code == 204


def database(backend):
    return contextlib.closing(sqlite3.connect(backend.folder / "run/backend.sqlite", timeout=10))


def insert(backend, *rows: tuple) -> None:
    """Entries of another process: issuer, kind, value, until."""
    with database(backend) as connection, connection:
        connection.executemany("INSERT INTO revocations (issuer, kind, value, until) VALUES (?, ?, ?, ?)", rows)


@pytest.mark.parametrize("authorization", [
    None, ("gateway", "wrong" * 8), ("nobody", SECRET), ("gateway", ""), ("", ""), "Bearer x", "Basic !", "Basic"])
def test_B17_401_without_authentication(running, authorization):
    options = {"auth": None} if authorization is None else {"auth": authorization}
    if isinstance(authorization, str):
        options = {"auth": None, "headers": {"Authorization": authorization}}
    answer = poll(running, **options)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_B17_403_without_the_right_and_no_secret_in_the_address(running):
    answer = poll(running, auth=("asker", "q" * 40))
    assert (answer.status_code, answer.json()["error"]) == (403, "unauthorized_client")
    answer = running.auth.get("/revocations", params={"client_id": "gateway", "client_secret": SECRET})
    assert answer.status_code == 401
    answer = running.auth.get("/revocations", headers=bearer(running.login("admin", "battery staple")))
    assert answer.status_code == 401


def test_B17_other_client_endpoints_want_authentication(running):
    for path in ("/oauth/introspect", "/oauth/revoke", "/oauth/token"):
        assert running.auth.post(path, data={"token": "x"}).status_code == 401


def test_entries_as_gateways_read_them(running):
    cursor = end(running)
    login = running.login()
    claims = running.claims(login["access_token"])
    assert page(running, cursor) == (cursor, [])
    log_out(running, login)
    following, entries = page(running, cursor)
    assert following != cursor
    assert {(entry["kind"], entry["value"]) for entry in entries} == {("sid", claims["sid"]), ("jti", claims["jti"])}
    for entry in entries:
        assert set(entry) == {"issuer", "kind", "value", "until"}
        assert entry["issuer"] == claims["iss"] and claims["exp"] + 30 < entry["until"] < claims["exp"] + 300
    assert page(running, following) == (following, [])
    assert running.auth.post("/logout-all", headers=bearer(running.login())).status_code == 204
    (entry,) = page(running, following)[1]
    assert (entry["kind"], entry["value"]) == ("sub", "alice") and entry["before"] >= claims["iat"]
    # From the beginning everything that is still needed comes again.
    assert {entry["value"] for entry in page(running)[1]} >= {claims["sid"], claims["jti"], "alice"}


def test_an_api_key_is_told_too(running):
    login, cursor = running.login(), end(running)
    made = running.auth.post("/api/v1/auth/api-key", json={"name": "x"}, headers=bearer(login)).json()
    assert running.auth.delete(f"/api/v1/auth/api-key/{made['id']}", headers=bearer(login)).status_code == 204
    (entry,) = page(running, cursor)[1]
    assert (entry["issuer"], entry["kind"], entry["value"]) == ("https://localhost:8443", "api_key", made["id"])


def test_poll_waits_for_the_next_commit(running):
    cursor, login = end(running), running.login()
    answers: list[tuple] = []

    def listen() -> None:
        with httpx.Client(base_url=running.auth.base_url, auth=("gateway", SECRET), timeout=20) as client:
            answer = client.get("/revocations", params={"since": cursor, "wait": 10}).json()
            answers.append((time.monotonic(), answer["cursor"], len(answer["revocations"])))

    threads = [threading.Thread(target=listen) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert answers == []
    started = time.monotonic()
    log_out(running, login)
    for thread in threads:
        thread.join(5)
    assert len(answers) == 5 and len({answer[1:] for answer in answers}) == 1
    # At once, not at the next look of the loop that sees other processes.
    assert min(answer[0] for answer in answers) - started < 0.2, answers
    assert max(answer[0] for answer in answers) - started < 1


def test_poll_sees_the_commit_of_another_process(running):
    cursor = end(running)
    timer = threading.Timer(0.5, insert, [running, ("i", "jti", "by-hand", int(time.time()) + 60)])
    timer.start()
    started = time.monotonic()
    _, entries = page(running, cursor, wait=10)
    assert 0.4 < time.monotonic() - started < 1.5
    assert [entry["value"] for entry in entries] == ["by-hand"]
    timer.join()


def test_poll_ends_after_the_wait(running):
    cursor = end(running)
    started = time.monotonic()
    assert page(running, cursor, wait=1) == (cursor, [])
    assert 0.9 < time.monotonic() - started < 2
    started = time.monotonic()
    page(running, wait=10)
    assert time.monotonic() - started < 1, "without a cursor the answer comes at once"


@pytest.mark.parametrize("wait", ["-1", "61", "x", "1.5", ""])
def test_wait_is_a_number_of_seconds(running, wait):
    assert problem(poll(running, wait=wait), 400, "invalid_request")["member"] == "wait"


@pytest.mark.parametrize("cursor", ["x", "1-4711", "-", "", "%", "\u0000", "'; DROP TABLE revocations; --", "x" * 300])
def test_cursor_of_another_feed_is_gone(running, cursor):
    problem(poll(running, cursor, wait=10), 410, "cursor_unknown")


def test_cursor_of_the_future_is_gone(running):
    """A backup was restored: what was told after it is undone, and its numbers will be given again."""
    name, number = end(running).split("-")
    problem(poll(running, f"{name}-{int(number) + 1}", wait=10), 410, "cursor_unknown")
    problem(poll(running, f"{name}-{2 ** 63}"), 410, "cursor_unknown")
    problem(poll(running, f"{name}--1"), 410, "cursor_unknown")
    page(running, f"{name}-0")


def test_cursor_outlives_a_restart_and_the_sweep_of_its_entry(prepare):
    backend = prepare().know(*CLIENTS).start()
    first = backend.login()
    log_out(backend, first)
    cursor = end(backend)
    with database(backend) as connection, connection:
        connection.execute("UPDATE revocations SET until = 1")
    insert(backend, ("i", "jti", "alive", int(time.time()) + 600))

    def rows() -> list[str]:
        with database(backend) as connection:
            return [row[0] for row in connection.execute("SELECT value FROM revocations")]

    wait_until(lambda: rows() == ["alive"], within=15, what="the expired entries are swept")
    assert [entry["value"] for entry in page(backend, cursor)[1]] == ["alive"]
    backend.stop()
    backend.start()
    assert [entry["value"] for entry in page(backend, cursor)[1]] == ["alive"]
    with database(backend) as connection, connection:
        connection.execute("DELETE FROM revocations")
    log_out(backend, backend.login())
    _, entries = page(backend, cursor)
    assert {entry["kind"] for entry in entries} == {"sid", "jti"}, "a number is never given twice"
    backend.stop()


def test_cursor_is_gone_after_a_backup_was_put_back(prepare):
    """Although as many entries were committed since: their numbers stand for others."""
    backend = prepare().know(*CLIENTS).start()
    command = [BINARY, "backup", "copy.sqlite"]
    assert subprocess.run(command, cwd=backend.folder, timeout=20).returncode == 0
    log_out(backend, backend.login())
    cursor = end(backend)
    backend.stop()
    for file in (backend.folder / "run").glob("backend.sqlite*"):
        file.unlink()
    (backend.folder / "copy.sqlite").rename(backend.folder / "run/backend.sqlite")
    backend.start()
    log_out(backend, backend.login())
    problem(poll(backend, cursor), 410, "cursor_unknown")
    assert end(backend).split("-")[1] == cursor.split("-")[1]
    backend.stop()


def test_pages(prepare):
    backend = prepare().know(*CLIENTS).start()
    insert(backend, *[("i", "jti", f"n{i}", int(time.time()) + 600) for i in range(10_001)])
    cursor, entries = page(backend)
    assert [entry["value"] for entry in entries] == [f"n{i}" for i in range(10_000)]
    last, entries = page(backend, cursor)
    assert [entry["value"] for entry in entries] == ["n10000"]
    assert page(backend, last) == (last, [])
    backend.stop()


def open_polls(backend, cursor: str, count: int) -> list[socket.socket]:
    pair = base64.b64encode(f"gateway:{SECRET}".encode()).decode()
    request = (f"GET /revocations?since={cursor}&wait=30 HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: Basic {pair}\r\n\r\n").encode()
    sockets = []
    for _ in range(count):
        sockets.append(socket.create_connection(("127.0.0.1", backend.auth_port), 10))
        sockets[-1].sendall(request)
    return sockets


def waiting(backend) -> int:
    (line,) = [line for line in backend.auth.get("/metrics").text.splitlines()
               if line.startswith("backend_revocation_listeners ")]
    return int(line.split()[1])


def test_listeners_are_bounded_and_never_refused(prepare):
    """One more than may wait is answered at once, as are all when the backend stops."""
    backend = prepare().know(*CLIENTS).start()
    cursor = end(backend)
    sockets = open_polls(backend, cursor, 1000)
    try:
        wait_until(lambda: waiting(backend) == 1000, within=30, what="a thousand wait")
        started = time.monotonic()
        assert page(backend, cursor, wait=20) == (cursor, [])
        assert time.monotonic() - started < 5
        assert waiting(backend) == 1000, "the others wait on"
        assert backend.stop() < 5
        for link in (sockets[0], sockets[999]):
            assert link.recv(65536).startswith(b"HTTP/1.1 200")
    finally:
        for link in sockets:
            link.close()


# The gateways of gateway.conf.example


@pytest.fixture(scope="module")
def fleet(backend_key, authority, tmp_path_factory):
    gateways: list[Gateway] = []

    def start(configuration: str, **values) -> Gateway:
        gateways.append(Gateway(configuration, tmp_path_factory.mktemp("gateway"), **values))
        return gateways[-1]

    example = Example(tmp_path_factory.mktemp("fleet"), backend_key, authority)
    try:
        example.start_backend()
        yield example, [example.start_gateway(start) for _ in range(2)]
        for gateway in gateways:
            gateway.stop()
        example.backend.stop()
    finally:
        for gateway in gateways:
            gateway.kill()
        example.backend.close()


def ask(gateway, path: str = "/api/protected/data", method: str = "GET", **options) -> httpx.Response:
    return httpx.request(method, f"http://127.0.0.1:{gateway.port}{path}", timeout=20, **options)


def refused_within_a_second(gateways, code: str, headers: dict[str, str]) -> None:
    deadline = time.monotonic() + 1
    for gateway in gateways:
        wait_until(lambda gateway=gateway: ask(gateway, headers=headers).status_code == 401,
                   within=max(0.01, deadline - time.monotonic()), what=f"{code} everywhere")
        assert ask(gateway, headers=headers).json()["code"] == code


@pytest.mark.parametrize("path", ["/metrics", "/revocations", "/oauth/introspect", "/oauth/other"])
def test_B17_404_through_the_example_gateway(fleet, path):
    example, gateways = fleet
    admin = bearer(example.backend.login("admin", "battery staple"))
    for options in ({}, {"headers": admin}, {"auth": ("gateway", example.secret)}):
        for method in ("GET", "POST"):
            answer = ask(gateways[0], path, method, **options)
            assert answer.status_code == 404, (method, options, answer.text)
    assert example.backend.auth.get("/metrics").status_code == 200, "it is there"


def test_clients_reach_what_the_metadata_names(fleet):
    example, gateways = fleet
    for path in ("/oauth/token", "/oauth/revoke"):
        answer = ask(gateways[0], path, "POST", data={"grant_type": "refresh_token", "refresh_token": "x", "token": "x"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_logout_at_one_gateway_is_known_at_all_within_a_second(fleet):
    example, gateways = fleet
    login, other = example.backend.login(), example.backend.login()
    for gateway in gateways:
        assert ask(gateway, headers=bearer(login)).status_code == 200
    assert ask(gateways[0], "/api/v1/auth/logout", "POST", headers=bearer(login)).status_code == 204
    refused_within_a_second(gateways, "token_revoked", bearer(login))
    for gateway in gateways:
        assert ask(gateway, headers=bearer(other)).status_code == 200


def test_logout_everywhere_is_known_at_all_within_a_second(fleet):
    example, gateways = fleet
    logins = [example.backend.login("admin", "battery staple") for _ in range(2)]
    for gateway in gateways:
        assert [ask(gateway, headers=bearer(login)).status_code for login in logins] == [200, 200]
    assert ask(gateways[1], "/api/v1/auth/logout-all", "POST", headers=bearer(logins[0])).status_code == 204
    for login in logins:
        refused_within_a_second(gateways, "token_revoked", bearer(login))
    again = example.backend.login("admin", "battery staple")
    for gateway in gateways:
        assert ask(gateway, headers=bearer(again)).status_code == 200


def test_api_key_that_is_revoked_is_known_at_all_within_a_second(fleet):
    example, gateways = fleet
    login = example.backend.login()
    made, other = [ask(gateways[0], "/api/v1/auth/api-key", "POST", headers=bearer(login), json={"name": name}).json()
                   for name in ("one", "two")]
    key, still = {"X-API-Key": made["api_key"]}, {"X-API-Key": other["api_key"]}
    for gateway in gateways:
        answer = ask(gateway, headers=key)
        assert (answer.status_code, answer.json()["subject"]) == (200, "alice")
        assert ask(gateway, headers=still).status_code == 200
    answer = ask(gateways[0], f"/api/v1/auth/api-key/{made['id']}", "DELETE", headers=bearer(login))
    assert answer.status_code == 204
    refused_within_a_second(gateways, "api_key_revoked", key)
    for gateway in gateways:
        assert ask(gateway, headers=still).status_code == 200


def test_B03_reuse_of_a_refresh_token_is_known_at_all_within_a_second(start, backend_key, authority, tmp_path):
    example = Example(tmp_path / "example", backend_key, authority)
    try:
        example.start_backend("--refresh-grace", "0s")
        gateways = [example.start_gateway(start) for _ in range(2)]
        login = example.backend.login()
        renewed = example.backend.refresh(login["refresh_token"]).json()
        for gateway in gateways:
            assert ask(gateway, headers=bearer(renewed)).status_code == 200
        body = {"refresh_token": login["refresh_token"]}
        answer = ask(gateways[0], "/api/v1/auth/refresh", "POST", json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "refresh_reused")
        refused_within_a_second(gateways, "token_revoked", bearer(renewed))
        for gateway in gateways:
            gateway.stop()
        example.backend.stop()
    finally:
        example.backend.close()


def test_gateway_that_was_away_is_told_what_it_missed(start, backend_key, authority, tmp_path):
    """The backend goes and comes back, its database is replaced: the gateway follows without a restart."""
    example = Example(tmp_path / "example", backend_key, authority)
    backend = example.backend
    try:
        example.start_backend()
        gateway = example.start_gateway(start)
        first, second = backend.login(), backend.login()
        assert [ask(gateway, headers=bearer(login)).status_code for login in (first, second)] == [200, 200]
        log_out(backend, first)
        backend.stop()
        refused_within_a_second([gateway], "token_revoked", bearer(first))
        for file in (backend.folder / "run").glob("backend.sqlite*"):
            file.unlink()
        insert_later = ("https://localhost:8443", "sid", backend_claims(second)["sid"], int(time.time()) + 600)
        example.start_backend()
        insert(backend, insert_later)
        wait_until(lambda: ask(gateway, headers=bearer(second)).status_code == 401, within=10,
                   what="the new feed is read from its beginning")
        assert ask(gateway, headers=bearer(first)).json()["code"] == "token_revoked", "what was told stays told"
        gateway.stop()
        backend.stop()
    finally:
        backend.close()


def backend_claims(login: dict) -> dict:
    payload = login["access_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_secret_stands_in_no_log(fleet):
    example, gateways = fleet
    pair = base64.b64encode(f"gateway:{example.secret}".encode()).decode()
    for text in [gateway.log for gateway in gateways] + [example.backend.log]:
        assert example.secret not in text and pair not in text
