"""The wall clock moves while the gateway runs (security row J68): tokens follow it, timeouts do not."""

import json
import time

import pytest

from harness.clock import MovedClock
from harness.raw import Client, get
from harness.refusals import check_invalid_token
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; leeway 0s; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    client_header_timeout 30s;
    location / {{ proxy_read_timeout 30s; proxy_pass http://@origin@; }}
}}
"""
HOUR = 3600


@pytest.fixture
def moved(start, rsa_key, tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps(key_set(rsa_key)))
    clock = MovedClock(tmp_path)
    return start(CONFIGURATION, keys=tmp_path / "keys.json", environment=clock.environment), clock


def status(gateway, token: str) -> tuple[int, str | None]:
    response = gateway.request(get("/x", bearer(token)))
    return response.status, response.code if response.status >= 400 else None


def test_J68_cached_tokens_follow_the_wall_clock(moved, rsa_key):
    gateway, clock = moved
    now = int(time.time())
    token = rsa_key.token(exp=now + 600, iat=now - 5, nbf=now - 5)
    assert status(gateway, token) == (200, None)
    clock.move(HOUR)
    response = gateway.request(get("/x", bearer(token)))
    check_invalid_token(response, "token_expired")
    clock.move(0)
    assert status(gateway, token) == (200, None)
    clock.move(-HOUR)
    assert status(gateway, token) == (401, "token_not_yet_valid")
    clock.move(0)
    assert status(gateway, token) == (200, None)


def test_J68_an_expired_token_is_not_brought_back_by_a_cache(moved, rsa_key):
    gateway, clock = moved
    now = int(time.time())
    token = rsa_key.token(exp=now + 600, iat=None, nbf=None)
    clock.move(HOUR)
    assert status(gateway, token) == (401, "token_expired")
    clock.move(2 * HOUR)
    assert status(gateway, token) == (401, "token_expired")
    # Where the clock went wrong and is right again, the token is as good as it says.
    clock.move(0)
    assert status(gateway, token) == (200, None)


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_J68_timeouts_do_not_follow_the_wall_clock(moved, rsa_key, origin, seconds):
    gateway, clock = moved
    now = int(time.time())
    token = rsa_key.token(exp=now + 2 * HOUR, iat=now - 2 * HOUR, nbf=None)
    released = []

    def script(connection):
        connection.read_request()
        wait_until(lambda: released, 10, what="the clock to have moved")
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.wait_for_end()

    origin.serve(script)
    with Client(gateway.port) as slow, Client(gateway.port) as trickling:
        slow.send(get("/slow", bearer(token)))
        whole = get("/x", bearer(token))
        trickling.send(whole[:20])
        origin.wait_for(1)
        clock.move(seconds)
        time.sleep(0.5)
        trickling.send(whole[20:])
        released.append(True)
        assert slow.read_response().status == 200
        assert trickling.read_response().status == 200
