"""Limits of logins: locks per name and address, the rate of an address, what a flood costs, and what is counted."""

import concurrent.futures
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from harness.backend import backend, backend_key, module_backend, prepare, problem  # noqa: F401
from harness.waiting import wait_until


def attempt(backend, name: str, password: str = "wrong", address: str = "203.0.113.1"):
    return backend.auth.post("/login", json={"username": name, "password": password},
                             headers={"X-Forwarded-For": address, "X-Forwarded-Proto": "https"})


def metric(backend, row: str) -> float:
    for line in backend.auth.get("/metrics").text.splitlines():
        if line.startswith(row + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no row {row}")


def locked(answer) -> int:
    problem(answer, 429, "account_locked")
    return int(answer.headers["retry-after"])


@pytest.mark.parametrize("name", ["alice", "nobody-at-all"])
def test_B02_ten_failures_lock_the_name_from_this_address(prepare, name):
    backend = prepare().start()
    for _ in range(10):
        problem(attempt(backend, name), 401, "invalid_credentials")
    assert 25 <= locked(attempt(backend, name)) <= 30
    # The right password changes nothing: it is not looked at.
    assert 25 <= locked(attempt(backend, name, "correct horse")) <= 30
    # From elsewhere the name is as open as before.
    elsewhere = attempt(backend, name, "correct horse", "203.0.113.2")
    assert elsewhere.status_code == (200 if name == "alice" else 401)
    backend.stop()


def test_B02_known_and_unknown_names_are_locked_by_the_same_answer(prepare):
    backend = prepare().start()
    answers = []
    for name in ("alice", "nobody"):
        for _ in range(11):
            answer = attempt(backend, name)
        locked(answer)
        answers.append(answer.content)
    assert answers[0] == answers[1]
    backend.stop()


def test_B02_fifty_failures_lock_the_name_everywhere(prepare):
    backend = prepare().start()
    for number in range(50):
        problem(attempt(backend, "alice", address=f"198.51.100.{number}"), 401, "invalid_credentials")
    locked(attempt(backend, "alice", "correct horse", "192.0.2.77"))
    assert attempt(backend, "admin", "battery staple", "192.0.2.77").status_code == 200
    backend.stop()


def test_B02_pause_doubles_and_survives_a_restart(prepare):
    backend = prepare().start()

    def end_of_pause() -> None:
        """As if the time had passed: nobody waits half a minute for a test."""
        with closing(sqlite3.connect(backend.folder / "run/backend.sqlite")) as database, database:
            database.execute("UPDATE login_failures SET locked_until_ms = 0")

    for _ in range(10):
        attempt(backend, "alice")
    pauses = [locked(attempt(backend, "alice"))]
    for _ in range(2):
        end_of_pause()
        problem(attempt(backend, "alice"), 401, "invalid_credentials")
        pauses.append(locked(attempt(backend, "alice")))
    assert 25 <= pauses[0] <= 30 and 55 <= pauses[1] <= 60 and 115 <= pauses[2] <= 120
    backend.kill()
    backend.start()
    assert locked(attempt(backend, "alice", "correct horse")) > 60
    end_of_pause()
    assert attempt(backend, "alice", "correct horse").status_code == 200
    problem(attempt(backend, "alice"), 401, "invalid_credentials")
    assert attempt(backend, "alice", "correct horse").status_code == 200
    backend.stop()


def test_B02_many_guesses_at_once_get_no_more_answers_than_one_by_one(prepare):
    backend = prepare().start()
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: attempt(backend, "alice"), range(40)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 30
    backend.stop()


def test_B02_lock_is_audited_and_counted_without_secrets(prepare):
    backend = prepare().start()
    for _ in range(11):
        attempt(backend, "typed-my-password-here", "hunter2-secret")
    attempt(backend, "alice", "correct horse")
    assert metric(backend, 'backend_logins_total{result="refused"}') == 10
    assert metric(backend, 'backend_logins_total{result="locked"}') == 1
    assert metric(backend, 'backend_logins_total{result="ok"}') == 1
    assert metric(backend, 'backend_audit_events_total{event="login_locked"}') == 1
    audit = [line for line in backend.log.splitlines() if "log=audit" in line]
    assert sum("event=login_refused" in line and "address=203.0.113.1" in line for line in audit) == 10
    assert sum("event=login_locked" in line for line in audit) == 1
    assert sum("event=login " in line + " " and "sub=alice" in line for line in audit) == 1
    assert "typed-my-password-here" not in backend.log and "hunter2" not in backend.log
    backend.stop()


def test_forwarded_address_is_believed_from_configured_peers_only(prepare):
    backend = prepare().start("--trusted-proxies", "192.0.2.1")
    for number in range(10):
        attempt(backend, "alice", address=f"198.51.100.{number}")
    # All ten came from one peer, whatever they said.
    locked(attempt(backend, "alice", address="198.51.100.99"))
    backend.stop()


def test_only_the_last_forwarded_address_counts(prepare):
    backend = prepare().start()
    for number in range(10):
        attempt(backend, "alice", address=f"198.51.100.{number}, 203.0.113.9, 127.0.0.1")
    locked(attempt(backend, "alice", address="203.0.113.9"))
    backend.stop()


def test_rate_of_an_address_is_limited(prepare):
    backend = prepare().start("--login-rate", "1")

    def ask(address: str):
        """Without a password, which would take longer than the bucket takes to fill again."""
        return backend.auth.post("/login", json={},
                                 headers={"X-Forwarded-For": address, "X-Forwarded-Proto": "https"})

    answers = [ask("203.0.113.1") for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and all(answer.status_code == 400 for answer in answers[:10])
    problem(refused[0], 429, "rate_limited")
    assert refused[0].headers["retry-after"] == "1"
    assert attempt(backend, "alice", "correct horse", "203.0.113.2").status_code == 200
    # A /64 of IPv6 is one customer.
    for number in range(20):
        last = ask(f"2001:db8::{number:x}")
    problem(last, 429, "rate_limited")
    assert attempt(backend, "alice", "correct horse", "2001:db8:0:1::1").status_code == 200
    assert metric(backend, 'backend_logins_total{result="rate_limited"}') >= 2
    backend.stop()


@pytest.mark.parametrize("flag,value", [("--trusted-proxies", "localhost"), ("--trusted-proxies", "127.0.0.1,"),
                                        ("--login-rate", "0"), ("--login-rate", "many")])
def test_bad_limits_are_refused_at_the_start(prepare, flag, value):
    said = prepare().refuses_to_start(flag, value)
    assert flag[2:].replace("-", "_") in said and value in said


def test_flood_of_logins_takes_no_memory_and_blocks_nobody(prepare):
    backend = prepare().start()
    token = backend.login()["access_token"]

    def resident_bytes() -> int:
        rows = Path(f"/proc/{backend.process.pid}/status").read_text().splitlines()
        return 1024 * next(int(row.split()[1]) for row in rows if row.startswith("VmHWM"))

    before = resident_bytes()
    slowest = 0.0
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        flood = [pool.submit(attempt, backend, f"flood-{number}") for number in range(400)]
        wait_until(lambda: metric(backend, "backend_password_hashes_waiting") > 10, within=10, what="hashes wait")
        while not all(one.done() for one in flood):
            start = time.monotonic()
            assert backend.get("/api/protected/data", token).status_code == 200
            slowest = max(slowest, time.monotonic() - start)
            time.sleep(0.02)
    assert {one.result().status_code for one in flood} <= {401, 503}
    # Two hashes of 19 MiB each at a time; sixty would be more than a gigabyte.
    assert resident_bytes() - before < 120 << 20
    assert slowest < 1, slowest
    backend.stop()


def test_both_services_tell_their_metrics(backend):
    for service in (backend.auth, backend.resource):
        answer = service.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "# TYPE backend_logins_total counter" in answer.text
        assert json.dumps("ok") in answer.text
