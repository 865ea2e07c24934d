"""Revocations over Redis, on three gateways at once, and a million of them."""

import hashlib
import json
import os
import socket
import statistics
import struct
import threading
import time

import pytest

from harness.raw import get
from harness.revocations import FeedServer, RedisServer, entry, revoke
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 2;
error_log stderr info;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
revocation logouts {{ @sources@ }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    revocation logouts;
    location / {{ return 200 "in"; }}
}}
"""
GATEWAYS = 3
REVOCATIONS = int(os.environ.get("REVOCATIONS", 200))


@pytest.fixture
def redis(tmp_path):
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def feed():
    server = FeedServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def keys(ec_key, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    file.write_text(json.dumps(key_set(ec_key)))
    return file


def statuses(gateway, token: str, times: int = 6) -> set[int]:
    return {gateway.request(get("/x", bearer(token))).status for _ in range(times)}


def test_redis(start, redis, keys, ec_key):
    gateway = start(CONFIGURATION, keys=keys, sources=f"redis {redis.url} channel=revocations;")
    redis.wait_for_subscribers("revocations", 1)
    tokens = [ec_key.token(jti=f"redis-{i}") for i in range(3)]
    assert [statuses(gateway, token) for token in tokens] == [{200}] * 3
    redis.publish("other", entry("jti", "redis-0"))
    redis.publish("revocations", entry("jti", "redis-1"))
    redis.publish("revocations", [entry("jti", "redis-2"), entry("device", "x")])
    for token in tokens[1:]:
        wait_until(lambda token=token: statuses(gateway, token) == {401}, 3)
    assert statuses(gateway, tokens[0]) == {200}
    metrics = gateway.metrics()
    assert metrics.sum("gateway_revocation_received_total", source="redis") == 2
    assert metrics.sum("gateway_revocation_skipped_total") == 1


def test_redis_with_a_password(start, tmp_path, keys, ec_key):
    redis = RedisServer(tmp_path, password="p@ss:w0rd")
    try:
        source = f'redis "{redis.url}/3" channel=a;'
        gateway = start(CONFIGURATION, keys=keys, sources=source)
        redis.wait_for_subscribers("a", 1)
        redis.publish("a", entry("jti", "secret"))
        wait_until(lambda: statuses(gateway, ec_key.token(jti="secret")) == {401}, 3)
        wrong = start(CONFIGURATION, keys=keys, sources=source.replace("p@ss", "pass"))
        wrong.wait_for_notice("refused: WRONGPASS")
        assert "w0rd" not in wrong.log and "w0rd" not in gateway.log
    finally:
        redis.kill()


def test_redis_over_tls(start, tmp_path, keys, ec_key, authority):
    redis = RedisServer(tmp_path, certificate=authority.issue())
    try:
        sources = f"redis rediss://127.0.0.1:{redis.tls_port} channel=a;"
        gateway = start(CONFIGURATION, keys=keys, sources=sources, environment={"SSL_CERT_FILE": str(authority.file)})
        redis.wait_for_subscribers("a", 1)
        redis.publish("a", entry("jti", "sealed"))
        wait_until(lambda: statuses(gateway, ec_key.token(jti="sealed")) == {401}, 3)
        named = start(CONFIGURATION, keys=keys, sources=f"{sources} ca {authority.file};")
        redis.wait_for_subscribers("a", 2)
        redis.publish("a", entry("jti", "closed"))
        wait_until(lambda: statuses(named, ec_key.token(jti="closed")) == {401}, 3)
        stranger = start(CONFIGURATION, keys=keys, sources=sources)
        stranger.wait_for_notice("certificate: ")
    finally:
        redis.kill()


def test_feed_over_tls(start, keys, ec_key, authority):
    feed = FeedServer(tls=authority.server_context())
    try:
        feed.add(entry("jti", "sealed"))
        sources = f"feed {feed.url};"
        gateway = start(CONFIGURATION, keys=keys, sources=sources, environment={"SSL_CERT_FILE": str(authority.file)})
        wait_until(lambda: statuses(gateway, ec_key.token(jti="sealed")) == {401}, 3)
        named = start(CONFIGURATION, keys=keys, sources=f"{sources} ca {authority.file};")
        wait_until(lambda: statuses(named, ec_key.token(jti="sealed")) == {401}, 3)
        stranger = start(CONFIGURATION, keys=keys, sources=sources)
        stranger.wait_for_notice("certificate: ")
        assert statuses(stranger, ec_key.token(jti="sealed")) == {200}
    finally:
        feed.close()


@pytest.mark.parametrize("message", ["", "null", "[[", "{}", "x" * 100_000, "\x00\x01", '{"issuer":1}'])
def test_messages_that_are_none(start, redis, keys, ec_key, message):
    gateway = start(CONFIGURATION, keys=keys, sources=f"redis {redis.url} channel=a;")
    redis.wait_for_subscribers("a", 1)
    redis.publish("a", message)
    redis.publish("a", entry("jti", "behind"))
    wait_until(lambda: statuses(gateway, ec_key.token(jti="behind")) == {401}, 3)
    gateway.wait_for_notice("a message cannot be used")
    assert gateway.metrics().sum("gateway_revocation_errors_total", source="redis") == 1


def test_redis_goes_and_comes_back(start, redis, feed, keys, ec_key):
    """What was published meanwhile comes over the feed; afterwards the channel works again."""
    sources = f"redis {redis.url} channel=a; feed {feed.url}; on_stale deny max_age=3s;"
    gateway = start(CONFIGURATION, keys=keys, sources=sources)
    redis.wait_for_subscribers("a", 1)
    redis.kill()
    gateway.wait_for_notice("the server closed the connection")
    feed.add(entry("jti", "meanwhile"))
    wait_until(lambda: statuses(gateway, ec_key.token(jti="meanwhile")) == {401}, 3)
    time.sleep(4)
    assert statuses(gateway, ec_key.token(jti="x")) == {200}, "the feed is heard"
    redis.start()
    redis.wait_for_subscribers("a", 1, 20)
    gateway.wait_for_notice("are heard again")
    redis.publish("a", entry("jti", "again"))
    wait_until(lambda: statuses(gateway, ec_key.token(jti="again")) == {401}, 3)


def test_redis_alone_is_stale_when_it_is_gone(start, redis, keys, ec_key):
    gateway = start(CONFIGURATION, keys=keys, sources=f"redis {redis.url} channel=a; on_stale deny max_age=2s;")
    token = ec_key.token()
    wait_until(lambda: statuses(gateway, token) == {200}, 5)
    time.sleep(3)
    assert statuses(gateway, token) == {200}, "a quiet channel is not a dead one"
    redis.kill()
    wait_until(lambda: statuses(gateway, token) == {503}, 6, 0.1)
    redis.start()
    wait_until(lambda: statuses(gateway, token) == {200}, 12, 0.1)


def test_something_else_than_redis(start, feed, keys, ec_key):
    """A server of another protocol, and what a peer may claim about the size of its lists."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answers = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*2000000000\r\n", b"$2000000000\r\n" + b"x" * (6 << 20)]

        def serve() -> None:
            for answer in answers:
                link, _ = server.accept()
                with link:
                    link.recv(1000)
                    try:
                        link.sendall(answer)
                        link.settimeout(5)
                        link.recv(1000)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        gateway = start(CONFIGURATION, keys=keys, sources=f"redis redis://127.0.0.1:{port} channel=a;")
        memory = gateway.resident_bytes()
        thread.join(20)
        assert not thread.is_alive()
        wait_until(lambda: gateway.metrics().sum("gateway_revocation_errors_total", source="redis") >= 3, 5)
        assert gateway.resident_bytes() < memory + (32 << 20)
        assert statuses(gateway, ec_key.token()) == {200}


def time_to_401(gateways, tokens, revoke_one) -> list[float]:
    """Seconds from each revocation until the last gateway has refused the token."""
    clients = [gateway.connect() for gateway in gateways]
    times = []
    for number, token in enumerate(tokens):
        request = get("/x", bearer(token))
        assert {client.request(request).status for client in clients} == {200}
        begun = time.monotonic()
        revoke_one(number)
        for client in clients:
            while client.request(request).status == 200:
                assert time.monotonic() - begun < 5, f"revocation {number} is not obeyed"
        times.append(time.monotonic() - begun)
    for client in clients:
        client.close()
    return times


@pytest.mark.parametrize("way", ["redis", "feed"])
def test_J62_three_gateways_within_a_second(start, redis, feed, keys, ec_key, way, record_property):
    source = f"redis {redis.url} channel=fleet;" if way == "redis" else f"feed {feed.url};"
    gateways = [start(CONFIGURATION, keys=keys, sources=source) for _ in range(GATEWAYS)]
    if way == "redis":
        redis.wait_for_subscribers("fleet", GATEWAYS)
    else:
        wait_until(lambda: len(feed.requests) >= 2 * GATEWAYS)
    tokens = [ec_key.token(jti=f"fleet-{i}") for i in range(REVOCATIONS)]

    def revoke_one(i: int) -> None:
        made = entry("jti", f"fleet-{i}")
        if way == "redis":
            redis.publish("fleet", made)
        else:
            feed.add(made)

    times = sorted(time_to_401(gateways, tokens, revoke_one))
    p99 = times[int(len(times) * 0.99) - 1]
    summary = f"{way}: median {statistics.median(times) * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms"
    record_property("time_to_401", summary)
    print(summary)
    assert p99 < 1, summary


def journal_line(text: str) -> bytes:
    return f"{text} {struct.unpack('<I', hashlib.sha256(text.encode()).digest()[:4])[0]:08x}\n".encode()


def write_journal(file, count: int, block: str, until: int) -> None:
    """As the gateway writes it; the last entries are those of the tokens `million-0` and so on."""

    def words(data: bytes) -> tuple[int, int]:
        return struct.unpack("<QQ", hashlib.sha256(data).digest()[:16])

    name = block.encode()
    scope = words(struct.pack("<I", len(name)) + name + b"\0")
    issuer = ISSUER.encode()
    prefix = struct.pack("<I", len(issuer)) + issuer + b"\1"
    with open(file, "wb") as journal:
        journal.write(b"gateway revocations 1\n")
        for i in range(count):
            high, low = words(prefix + b"million-%d" % i)
            journal.write(journal_line(f"e {high ^ scope[0]:016x}{low ^ scope[1]:016x} {until:08x} 00000000"))


@pytest.mark.timeout(300)
def test_a_million_revocations(start, keys, ec_key, tmp_path):
    """They are all obeyed after a restart, and take what is promised: 48 MiB for each worker, and once more for the whole."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    count = int(os.environ.get("MANY_REVOCATIONS", 1_000_000))
    write_journal(state / "revocations", count, "logouts", int(time.time()) + 3600)
    (state / "revocations").chmod(0o600)
    text = "state_dir @state@;" + CONFIGURATION
    empty = start(CONFIGURATION, keys=keys, sources="")
    base = empty.resident_bytes()
    gateway = start(text, keys=keys, sources="", state=state, ready=False)
    gateway.wait_until_ready(200)
    for i in (0, 1, count // 2, count - 1):
        assert statuses(gateway, ec_key.token(jti=f"million-{i}")) == {401}, i
    assert statuses(gateway, ec_key.token(jti=f"million-{count}")) == {200}
    assert gateway.metrics().sum("gateway_revocation_entries") == count
    # Two workers and the control thread; what loading took besides is given back or small.
    wait_until(lambda: gateway.resident_bytes() - base < 3 * (48 << 20) + (96 << 20), 30, 0.5, "bounded memory")
    token = ec_key.token(jti="one-more")
    assert statuses(gateway, token) == {200}
    assert revoke(gateway, entry("jti", "one-more")).status == 200
    wait_until(lambda: statuses(gateway, token) == {401}, 3)
