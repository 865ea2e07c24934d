"""Tokens whose key is not here: the first ones of a new key pass, floods of invented ones cost nothing (row J35, J67)."""

import signal
import threading
import time

import pytest

from harness.jwks import KeyServer
from harness.raw import get
from harness.refusals import check_invalid_token, expect_only_good_at
from harness.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 2;
error_log stderr error;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; jwks @jwks@; @policy@ }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture
def key_server(ec_key):
    server = KeyServer(key_set(ec_key))
    yield server
    server.close()


@pytest.fixture
def run(start, key_server, ec_key):
    """Starts a gateway and waits until it has its keys; `ready=False`: does not wait."""

    def run_gateway(policy: str = "", ready: bool = True):
        gateway = start(CONFIGURATION, jwks=key_server.url, policy=policy)
        if ready:
            wait_until(lambda: all(ask(gateway, ec_key).status == 200 for _ in range(6)))
        return gateway

    return run_gateway


def ask(gateway, key: SigningKey, **claims):
    return gateway.request(get("/x", bearer(key.token(**claims))))


def invented(number: int, key: SigningKey) -> str:
    """A token of a key that nobody has."""
    return key.token({"kid": f"invented-{number}"})


def test_the_first_token_of_a_new_key_passes(run, key_server, ec_key):
    gateway = run()
    assert len(key_server.hits) == 1
    new, before = SigningKey("ES256", "new"), gateway.metrics().sum("gateway_jwt_key_waits_total")
    key_server.document = key_set(ec_key, new)
    assert ask(gateway, new).status == 200
    assert len(key_server.hits) == 2
    assert ask(gateway, ec_key).status == 200
    assert gateway.metrics().sum("gateway_jwt_key_waits_total") == before + 1


def test_all_who_wait_share_one_fetch(run, key_server, ec_key):
    gateway = run("unknown_kid refetch wait=5s;")
    new = SigningKey("ES256", "new")
    key_server.document, key_server.delay = key_set(new), 0.5
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda i=i: statuses.append(ask(gateway, new, sub=f"user {i}").status))
        for i in range(40)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: gateway.metrics().sum("gateway_jwt_requests_waiting") == 40, 2)
    for thread in threads:
        thread.join(10)
    assert statuses == [200] * 40
    assert len(key_server.hits) == 2
    assert gateway.metrics().sum("gateway_jwt_requests_waiting") == 0


def test_rotation_under_load_without_a_failed_request(run, key_server, ec_key):
    """Clients that never pause change to a key that the issuer published at the same moment."""
    gateway = run("unknown_kid refetch wait=2s cooldown=1s;")
    current, ended, statuses = [ec_key], threading.Event(), []

    def client() -> None:
        with gateway.connect() as connection:
            while not ended.is_set():
                statuses.append(connection.request(get("/x", bearer(current[0].token()))).status)

    threads = [threading.Thread(target=client, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(3):
        time.sleep(1.5)
        old, new = current[0], SigningKey("ES256", f"rotated-{number}")
        key_server.document = key_set(old, new)
        current[0] = new
    time.sleep(1)
    ended.set()
    for thread in threads:
        thread.join(5)
    assert len(statuses) > 100 and set(statuses) == {200}
    assert len(key_server.hits) == 4


def test_J35_a_flood_of_invented_keys_is_one_fetch(run, key_server, ec_key, origin):
    """10 000 of them, as fast as they go: one fetch within the cooldown, and answers at once."""
    gateway = run()
    stranger = SigningKey("EdDSA", "stranger")
    tokens = [invented(i, stranger) for i in range(10_000)]
    origin.reset()
    before = len(key_server.hits)
    check_invalid_token(gateway.request(get("/x", bearer(tokens[0]))), "key_unknown")
    slowest = [0.0] * 4

    def client(number: int) -> None:
        with gateway.connect() as connection:
            for token in tokens[number::4]:
                started = time.monotonic()
                response = connection.request(get("/x", bearer(token)))
                slowest[number] = max(slowest[number], time.monotonic() - started)
                assert response.status == 401 and response.code == "key_unknown"

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(0 < pause < 0.4 for pause in slowest), "nobody waited"
    assert len(key_server.hits) == before + 1
    assert gateway.rejected("key_unknown") >= 10_001 - 4
    assert ask(gateway, ec_key).status == 200
    assert all(request.target == "/x" for request in origin.requests) and len(origin.requests) == 1


def test_J35_one_fetch_for_each_cooldown(run, key_server, ec_key):
    gateway = run("unknown_kid refetch wait=500ms cooldown=2s;")
    stranger, count, end = SigningKey("EdDSA", "stranger"), 0, time.monotonic() + 5
    while time.monotonic() < end:
        count += 1
        check_invalid_token(gateway.request(get("/x", bearer(invented(count, stranger)))), "key_unknown")
    assert count > 50
    assert 3 <= len(key_server.hits) <= 4, "the first, and one for each two seconds"


def test_J35_a_key_that_was_looked_for_is_not_looked_for_again(run, key_server, ec_key):
    """Whoever goes on with an old token causes no fetch after each cooldown."""
    gateway = run("unknown_kid refetch wait=500ms cooldown=1s;")
    token = SigningKey("ES256", "retired").token()
    for _ in range(4):
        # The workers share nothing: each may have to learn it once.
        for _ in range(8):
            check_invalid_token(gateway.request(get("/x", bearer(token))), "key_unknown")
        time.sleep(1.1)
    assert len(key_server.hits) <= 1 + 2


def test_J35_names_that_no_key_can_have_are_not_looked_for(run, key_server, ec_key):
    gateway = run()
    for kid in ("x" * 300, 5, ["a"]):
        token = ec_key.token({"kid": kid})
        check_invalid_token(gateway.request(get("/x", bearer(token))), "key_unknown")
    assert len(key_server.hits) == 1


def test_reject_looks_for_nothing(run, key_server, ec_key):
    gateway = run("unknown_kid reject;")
    new = SigningKey("ES256", "new")
    key_server.document = key_set(ec_key, new)
    check_invalid_token(ask(gateway, new), "key_unknown")
    assert len(key_server.hits) == 1
    assert gateway.metrics().sum("gateway_jwt_key_waits_total") == 0, "not at the start either"


def test_a_source_that_stalls_holds_nobody_for_long(run, key_server, ec_key, origin):
    """The wait is bounded; who comes later does not wait for the same fetch in turn."""
    gateway = run("unknown_kid refetch wait=700ms cooldown=30s;")
    key_server.mode = "stall"
    origin.reset()
    stranger, started = SigningKey("ES256", "stranger"), time.monotonic()
    check_invalid_token(ask(gateway, stranger), "key_unknown")
    assert 0.6 < time.monotonic() - started < 1.5
    time.sleep(0.3)
    started = time.monotonic()
    for number in range(20):
        check_invalid_token(gateway.request(get("/x", bearer(invented(number, stranger)))), "key_unknown")
    assert time.monotonic() - started < 1.0
    assert ask(gateway, ec_key).status == 200
    assert len(origin.requests) == 1


def test_J67_requests_at_the_start_wait_for_the_keys(run, key_server, ec_key):
    key_server.delay = 0.6
    gateway = run("unknown_kid refetch wait=5s;", ready=False)
    assert ask(gateway, ec_key).status == 200
    assert len(key_server.hits) == 1


def test_J67_and_then_get_503(run, key_server, ec_key, origin):
    key_server.mode = "stall"
    origin.reset()
    gateway = run("", ready=False)
    started = time.monotonic()
    response = ask(gateway, ec_key)
    assert time.monotonic() - started < 1.2
    assert response.status == 503 and response.code == "keys_unavailable"
    assert 1 <= int(response.get("retry-after")) <= 5 and response.get("www-authenticate") is None
    assert gateway.request(get("/good")).status == 200
    expect_only_good_at(origin)


def test_a_client_that_leaves_while_it_waits(run, key_server, ec_key):
    gateway = run("unknown_kid refetch wait=5s;")
    new = SigningKey("ES256", "new")
    key_server.document, key_server.delay = key_set(ec_key, new), 1.0
    for i in range(5):
        client = gateway.connect()
        client.send(get("/x", bearer(new.token(sub=f"user {i}"))))
        time.sleep(0.05)
        client.close()
    wait_until(lambda: gateway.metrics().sum("gateway_jwt_requests_waiting") == 0, 7)
    wait_until(lambda: ask(gateway, new).status == 200, 7)


def test_a_reload_while_requests_wait(run, key_server, ec_key):
    gateway = run("unknown_kid refetch wait=5s;")
    new, statuses = SigningKey("ES256", "new"), []
    key_server.document, key_server.delay = key_set(ec_key, new), 1.0
    thread = threading.Thread(target=lambda: statuses.append(ask(gateway, new).status))
    thread.start()
    wait_until(lambda: gateway.metrics().sum("gateway_jwt_requests_waiting") == 1, 2)
    gateway.send_signal(signal.SIGHUP)
    thread.join(10)
    assert statuses == [200]
    assert ask(gateway, new).status == 200


def test_of_two_sources_the_slower_one_may_have_the_key(start, key_server, ec_key, ed_key):
    """Keys that come first and are not the wanted ones do not end the wait."""
    other = KeyServer(key_set(ed_key))
    try:
        gateway = start(CONFIGURATION, jwks=f"{key_server.url} {other.url}", policy="unknown_kid refetch wait=5s;")
        wait_until(lambda: all(ask(gateway, key).status == 200 for key in (ec_key, ed_key) * 3))
        new, quick = SigningKey("ES256", "new"), SigningKey("ES256", "quick")
        key_server.document = key_set(ec_key, quick)
        other.document, other.delay = key_set(ed_key, new), 0.5
        assert ask(gateway, new).status == 200
        assert ask(gateway, quick).status == 200
        assert len(key_server.hits) == len(other.hits) == 2
    finally:
        other.close()
