"""Requests broken at random (seeded): whatever comes, each request at the origin has exactly one answer at the client."""

import os
import random
import time

import pytest

from harness.raw import MalformedAnswer, TruncatedAnswer, chunked, get, post
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
client_header_timeout 200ms;
client_body_timeout 200ms;
keepalive_timeout 200ms;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; proxy_read_timeout 2s; }
}
"""

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "150"))
SMUGGLED = get("/smuggled")
SEEDS = [
    get("/x", "Accept: */*", "Cookie: a=b"),
    post("/x", SMUGGLED),
    chunked("/x", b"hello", SMUGGLED),
    get("/x") + post("/y", b"hello") + get("/z"),
    chunked("/x", b"hello", trailers=b"X-A: b\r\n") + get("/y"),
    get("http://localhost/x?y", "Connection: close"),
    b"POST /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello" + get("/y"),
]
WORDS = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"chunked", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length: 5, 5\r\n",
    b"Host: b\r\n", b"Connection: close\r\n", b"Connection: Content-Length\r\n", b"Expect: 100-continue\r\n",
    b"HTTP/1.0", b"0\r\n\r\n", b"\r\n\r\n", b"5\r\n", b"ffffffffffffffff", b"%2e%2e/", b"/../", b"//", b"%00", b"\xff",
    b"X_Y: z\r\n", b" HTTP/1.1", b"GET ", b"-1", b"+", b"0x",
]  # fmt: skip


def broken(seed: int) -> bytes:
    """One of the good byte streams with one to three changes."""
    chance = random.Random(seed)
    data = chance.choice(SEEDS)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) + 1)
        change = chance.randrange(5)
        if change <= 1:
            data = data[:at] + chance.choice(WORDS) + data[at:]
        elif change == 2:
            data = data[:at] + data[at + chance.randint(1, 12) :]
        elif change == 3:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        else:
            end = at + chance.randint(1, 40)
            data = data[:end] + data[at:]
    return data


def answers_to(gateway, data: bytes, seed: int) -> list[int]:
    """The statuses of all answers; a malformed one fails, and only an unfinished request may end without one."""
    statuses = []
    with gateway.connect() as client:
        if seed % 3:
            client.send(data)
        else:
            client.send_in_pieces(data, 1 + seed % 7, 0.0002)
        try:
            while True:
                statuses.append(client.read_response(within=4).status)
        except MalformedAnswer as error:
            if "HEAD" not in repr(data):
                raise AssertionError(f"seed {seed}: {error}") from None
        except (TruncatedAnswer, ConnectionResetError, BrokenPipeError):
            pass
        except TimeoutError:
            raise AssertionError(f"seed {seed}: neither answer nor end: {data!r}") from None
    return statuses


@pytest.mark.parametrize("part", range(4))
def test_random_requests(gateway, origin, part):
    for seed in range(part * ROUNDS, (part + 1) * ROUNDS):
        origin.forget()
        data = broken(seed)
        statuses = answers_to(gateway, data, seed)
        time.sleep(0.001)
        seen = [request.target for request in origin.requests]
        assert len(seen) <= statuses.count(200) + sum(status in (400, 408, 502) for status in statuses), (
            f"seed {seed}: {data!r} gave {statuses} and the origin saw {seen}"
        )
        assert statuses.count(200) <= len(seen), f"seed {seed}: {data!r} gave {statuses}, the origin saw {seen}"
        assert gateway.alive, f"seed {seed}: {data!r}\n{gateway.log}"
    wait_until(lambda: gateway.metrics().sum("gateway_connections_active") == 0, 5, what="everything drains")
