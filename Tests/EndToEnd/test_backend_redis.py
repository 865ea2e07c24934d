"""Several backends with one Redis are one: what one of them did the others know. And Redis that is away, or back."""

import ipaddress
import itertools
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from harness.backend import Backend, backend_key, bearer, problem  # noqa: F401
from harness.raw import get
from harness.revocations import RedisServer
from harness.shared_store import SharedBackend
from harness.waiting import wait_until

GATEWAY = """
error_log stderr notice;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider main jwt {
    issuer https://localhost:8443;
    audience gateway-demo;
    jwks http://127.0.0.1:@auth_service_port@/.well-known/jwks.json;
}
revocation logouts { redis @redis@ channel=revocations; }
server {
    listen 127.0.0.1:@port@;
    auth main;
    revocation logouts;
    location / { return 200 "in"; }
}
"""


@pytest.fixture
def servers(tmp_path):
    """Makes Redis servers: `servers(password=…, certificate=…, durable=…)`."""
    made: list[RedisServer] = []

    def make(**options) -> RedisServer:
        folder = tmp_path / f"redis-{len(made)}"
        folder.mkdir()
        made.append(RedisServer(folder, **options))
        return made[-1]

    yield make
    for server in made:
        if server.process:
            server.process.send_signal(signal.SIGCONT)
        server.kill()


@pytest.fixture
def fleet(tmp_path, backend_key):
    """Makes backends with one Redis, not yet started: `fleet(redis, *flags, count=2, url=…)`."""
    made: list[SharedBackend] = []

    def make(redis: RedisServer, *flags: str, count: int = 2, **options) -> list[SharedBackend]:
        for _ in range(count):
            made.append(SharedBackend(tmp_path / f"backend-{len(made)}", backend_key, redis, *flags, **options))
        return made[-count:]

    yield make
    for backend in made:
        backend.close()


def started(backends: list[SharedBackend]) -> list[SharedBackend]:
    for backend in backends:
        backend.start()
    return backends


def stop(*backends: SharedBackend) -> None:
    for backend in backends:
        backend.stop()


def unavailable(answer) -> None:
    problem(answer, 503, "storage_unavailable")
    assert int(answer.headers["retry-after"]) >= 1


def change_users(backend: SharedBackend, changes: dict[str, dict]) -> None:
    """Changes users in secrets.json and waits until the backend has read it."""
    # The first start has replaced plain passwords in it, and reads it once more for that.
    wait_until(lambda: "users and roles were re-read" in backend.log, 5, what="the file is re-read")
    count = backend.log.count("users and roles were re-read")
    users = json.loads(backend.read("keys/secrets.json"))
    for user in users["users"]:
        user.update(changes.get(user["name"], {}))
    backend.write("keys/secrets.json", json.dumps(users), mode=0o600)
    wait_until(lambda: backend.log.count("users and roles were re-read") > count, 5, what="the file is re-read")


@pytest.mark.parametrize("way", ["plain", "password in the address", "user and password file", "tls"])
def test_login_at_one_and_refresh_at_the_other(way, servers, fleet, authority, tmp_path):
    secret, flags, url = "p@ss/w0rd:x", [], None
    match way:
        case "plain": redis = servers()
        case "password in the address": redis = servers(password=secret)
        case "user and password file":
            redis = servers()
            redis.ask("ACL", "SETUSER", "backend", "on", f">{secret}", "~backend:*", "&revocations",
                      "+@all", "-@dangerous", "-@admin")
            redis.ask("ACL", "SETUSER", "default", "off")
            file = tmp_path / "redis-password"
            file.write_text(secret + "\n")
            file.chmod(0o600)
            flags, url = ["--redis-password-file", str(file)], f"redis://backend@127.0.0.1:{redis.port}/0"
        case "tls":
            redis = servers(password=secret, certificate=authority.issue("localhost"))
            flags = ["--redis-ca", str(authority.file)]
            url = f"rediss://:{secret}@localhost:{redis.tls_port}/2"
    one, other = started(fleet(redis, *flags, url=url))
    login = one.login()
    renewed = other.refresh(login["refresh_token"])
    assert renewed.status_code == 200, renewed.text
    assert other.claims(renewed.json()["access_token"])["sid"] == one.claims(login["access_token"])["sid"]
    assert one.refresh(renewed.json()["refresh_token"]).status_code == 200
    assert one.validate(renewed.json()["access_token"]) == "Valid"
    stop(one, other)
    assert secret not in one.log + other.log


def test_B04_replay_inside_the_grace_gets_the_same_successor_everywhere(servers, fleet):
    backends = started(fleet(servers()))
    token = backends[0].login()["refresh_token"]
    first = backends[0].refresh(token).json()
    second = backends[1].refresh(token).json()
    assert second["refresh_token"] == first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert backends[1].refresh(first["refresh_token"]).status_code == 200
    stop(*backends)


def test_B04_fifty_parallel_refreshes_over_two_backends_get_one_successor(servers, fleet):
    backends = started(fleet(servers()))
    token = backends[0].login()["refresh_token"]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda i: backends[i % 2].refresh(token), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    assert backends[1].refresh(successor).status_code == 200
    stop(*backends)


def test_B03_replay_after_the_grace_ends_the_family_on_all_and_is_published(servers, fleet):
    redis = servers()
    one, other = started(fleet(redis, "--refresh-grace", "1s"))
    news = redis.subscribe("revocations")
    login, bystander = one.login(), one.login()
    current = one.refresh(login["refresh_token"]).json()
    time.sleep(1.1)
    problem(other.refresh(login["refresh_token"]), 401, "refresh_reused")
    problem(one.refresh(current["refresh_token"]), 401, "refresh_revoked")
    assert one.validate(current["access_token"]) == "Invalid"
    claims = one.claims(login["access_token"])
    entry = json.loads(next(news))
    assert (entry["issuer"], entry["kind"], entry["value"]) == (claims["iss"], "sid", claims["sid"])
    assert entry["until"] > claims["exp"] + 30
    assert [entry | {"before": None}] == other.revocations
    assert other.refresh(bystander["refresh_token"]).status_code == 200
    stop(one, other)


def test_B09_redis_holds_no_live_token(servers, fleet):
    redis = servers(durable=True)
    (backend,) = started(fleet(redis, "--refresh-grace", "1s", count=1))
    first = backend.login()["refresh_token"]
    second = backend.refresh(first).json()["refresh_token"]
    assert len(redis.ask("KEYS", "backend:grace:*")) == 1
    files = b"".join(path.read_bytes() for path in redis.folder.rglob("*") if path.is_file())
    # The file has every command that changed something: it would show a token that was ever there.
    assert b"backend:token:" in files
    for token in (first, second):
        assert token.encode() not in files
    wait_until(lambda: redis.ask("KEYS", "backend:grace:*") == [], 3, what="the successor is forgotten")
    stop(backend)


def test_logout_at_one_is_felt_at_the_other_and_at_a_gateway(servers, fleet, start):
    redis = servers()
    one, other = started(fleet(redis))
    gateway = start(GATEWAY, auth_service_port=one.auth_port, redis=redis.url)
    redis.wait_for_subscribers("revocations", 1)

    def status(token: str) -> int:
        return gateway.request(get("/", f"Authorization: Bearer {token}")).status

    login, kept = one.login(), one.login()
    assert status(login["access_token"]) == status(kept["access_token"]) == 200
    assert other.auth.post("/logout", headers=bearer(login["access_token"])).status_code == 204
    wait_until(lambda: status(login["access_token"]) == 401, 1, what="the gateway refuses it")
    assert status(kept["access_token"]) == 200
    problem(one.refresh(login["refresh_token"]), 401, "refresh_revoked")
    assert one.validate(login["access_token"]) == "Invalid"
    stop(one, other)


def test_logout_at_one_is_told_by_the_feed_of_the_other_at_once(servers, fleet):
    redis, secret = servers(), "s" * 40
    one, other = fleet(redis)
    other.know({"id": "gateway", "secret": secret, "rights": ["revocations"]})
    started([one, other])

    def poll(**query) -> dict:
        answer = other.auth.get("/revocations", params=query, auth=("gateway", secret))
        assert answer.status_code == 200, answer.text
        return answer.json()

    first = poll()
    login = one.login()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(poll, since=first["cursor"], wait=15)
        time.sleep(0.5)
        assert not waiting.done()
        assert one.auth.post("/logout", headers=bearer(login["access_token"])).status_code == 204
        page = waiting.result(timeout=1)
    values = {(entry["kind"], entry["value"]) for entry in page["revocations"]}
    assert ("sid", one.claims(login["access_token"])["sid"]) in values
    # A gateway that comes later is told the same.
    assert page["revocations"][0] in poll()["revocations"]
    # And one that knows a Redis that is no more is told to begin anew.
    redis.ask("FLUSHALL")
    gone = other.auth.get("/revocations", params={"since": page["cursor"]}, auth=("gateway", secret))
    assert gone.status_code in (404, 410), gone.text
    stop(one, other)


def test_logout_everywhere_at_one_ends_what_the_other_began(servers, fleet):
    one, other = started(fleet(servers()))
    logins = [one.login(), other.login()]
    bystander = other.login("admin", "battery staple")
    assert one.auth.post("/logout-all", headers=bearer(logins[0]["access_token"])).status_code == 204
    again = other.login()
    for backend in (one, other):
        for login in logins:
            assert backend.validate(login["access_token"]) == "Invalid"
            problem(backend.refresh(login["refresh_token"]), 401, "refresh_revoked")
        assert backend.validate(again["access_token"]) == "Valid"
        assert backend.validate(bystander["access_token"]) == "Valid"
    # Twice in one second: what was made between ends, too.
    assert one.auth.post("/logout-all", headers=bearer(again["access_token"])).status_code == 204
    assert other.validate(again["access_token"]) == "Invalid"
    claims = one.claims(again["access_token"])
    dead = {(entry["kind"], entry["value"]) for entry in one.revocations
            if entry["before"] is None or claims["iat"] < entry["before"]}
    assert ("sid", claims["sid"]) in dead or ("sub", "alice") in dead
    stop(one, other)


def test_B02_failures_at_both_lock_at_both(servers, fleet):
    backends = started(fleet(servers()))

    def attempt(backend: SharedBackend, password: str, address: str = "203.0.113.1"):
        return backend.auth.post("/login", json={"username": "alice", "password": password},
                                 headers={"X-Forwarded-For": address, "X-Forwarded-Proto": "https"})

    for count in range(9):
        problem(attempt(backends[count % 2], "wrong"), 401, "invalid_credentials")
    # The owner's own mistakes are forgotten once he knows the password again.
    assert attempt(backends[0], "correct horse").status_code == 200
    for count in range(10):
        problem(attempt(backends[count % 2], "wrong"), 401, "invalid_credentials")
    for backend in backends:
        answer = attempt(backend, "correct horse")
        problem(answer, 429, "account_locked")
        assert 25 <= int(answer.headers["retry-after"]) <= 30
        assert attempt(backend, "correct horse", "203.0.113.2").status_code == 200
    stop(*backends)


def test_B11_changed_account_at_one_ends_its_sessions_at_both(servers, fleet):
    redis = servers()
    one, other = started(fleet(redis))
    disabled, demoted = other.login(), other.login("admin", "battery staple")
    change_users(one, {"alice": {"disabled": True}, "admin": {"roles": ["user"]}})
    assert sorted((entry["kind"], entry["value"]) for entry in one.revocations) == [("sub", "admin"), ("sub", "alice")]
    problem(other.refresh(disabled["refresh_token"]), 401, "refresh_revoked")
    for backend in (one, other):
        assert backend.validate(disabled["access_token"]) == "Invalid"
        assert backend.validate(demoted["access_token"]) == "Invalid"
    renewed = one.refresh(demoted["refresh_token"])
    assert renewed.status_code == 200, renewed.text
    assert one.claims(renewed.json()["access_token"])["roles"] == ["user"]
    assert one.validate(renewed.json()["access_token"]) == "Valid"
    stop(one, other)


def test_redis_away_and_back(servers, fleet):
    redis = servers(durable=True)
    one, other = started(fleet(redis))
    login, ended = one.login(), one.login()
    made = one.auth.post("/api/v1/auth/api-key", headers=bearer(login["access_token"]), json={"name": "k"}).json()
    # A second one: its user is changed while Redis is away.
    demoted = other.login("admin", "battery staple")
    assert one.auth.post("/logout", headers=bearer(ended["access_token"])).status_code == 204
    redis.kill()

    start = time.monotonic()
    unavailable(one.auth.post("/login", json={"username": "alice", "password": "correct horse"}))
    unavailable(one.refresh(login["refresh_token"]))
    unavailable(one.validation(login["access_token"]))
    unavailable(one.auth.post("/logout", json={"refresh_token": login["refresh_token"]}))
    unavailable(one.auth.post("/logout-all", headers=bearer(login["access_token"])))
    unavailable(one.auth.get("/readyz"))
    assert time.monotonic() - start < 5
    assert one.auth.get("/healthz").status_code == 200
    assert one.auth.get("/.well-known/jwks.json").status_code == 200
    # Resources need nothing but the key.
    assert one.get("/api/protected/data", login["access_token"]).status_code == 200
    assert one.resource.get("/readyz").status_code == 200
    assert "backend_redis_up 0" in one.auth.get("/metrics").text

    assert one.log.count("Redis cannot be used") == 1

    # What is ended meanwhile in the database waits, even over a crash.
    change_users(one, {"admin": {"roles": ["user"]}})
    one.kill()
    one.launch("--auth-listen", f"127.0.0.1:{one.auth_port}", "--resource-listen", f"127.0.0.1:{one.resource_port}")
    wait_until(lambda: one.ready(one.resource), 20, what="it starts without Redis")

    redis.start()
    news = redis.subscribe("revocations")
    wait_until(lambda: one.ready(one.auth) and other.ready(other.auth), 5, what="both have found Redis again")
    wait_until(lambda: ("sub", "admin") in [(entry["kind"], entry["value"]) for entry in one.revocations], 5)
    for backend in (one, other):
        assert backend.validate(demoted["access_token"]) == "Invalid"
        assert backend.validate(ended["access_token"]) == "Invalid"
        problem(backend.refresh(ended["refresh_token"]), 401, "refresh_revoked")
        assert backend.validate(login["access_token"]) == "Valid"
    assert other.refresh(login["refresh_token"]).status_code == 200
    deleted = one.auth.delete(f"/api/v1/auth/api-key/{made['id']}", headers=bearer(login["access_token"]))
    assert deleted.status_code == 204
    entry = next(entry for entry in map(json.loads, news) if entry["kind"] == "api_key")
    assert entry["value"] == made["id"]
    assert "Redis answers again" in one.log
    stop(one, other)


def test_redis_that_hangs_is_given_up_and_found_again(servers, fleet):
    redis = servers()
    (backend,) = started(fleet(redis, "--redis-timeout", "1s", count=1))
    token = backend.login()["refresh_token"]
    os.kill(redis.process.pid, signal.SIGSTOP)
    start = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        for answer in pool.map(lambda _: backend.refresh(token), range(20)):
            unavailable(answer)
    assert time.monotonic() - start < 5
    os.kill(redis.process.pid, signal.SIGCONT)
    wait_until(lambda: backend.ready(backend.auth), 5, what="Redis is found again")
    # It may have carried out what nobody waited for: then this is a replay inside the grace.
    assert backend.refresh(token).status_code == 200
    stop(backend)


def test_redis_under_load_goes_and_comes_and_no_rotation_is_lost(servers, fleet):
    redis = servers(durable=True)
    backends = started(fleet(redis))
    last = [backends[0].login()["refresh_token"] for _ in range(8)]
    done, rotations, refused = threading.Event(), itertools.count(), itertools.count()

    def rotate(index: int) -> None:
        for backend in itertools.cycle(backends):
            if done.is_set():
                return
            answer = backend.refresh(last[index])
            if answer.status_code == 200:
                last[index] = answer.json()["refresh_token"]
                next(rotations)
            else:
                unavailable(answer)
                next(refused)
                time.sleep(0.02)

    with ThreadPoolExecutor(len(last)) as pool:
        running = [pool.submit(rotate, index) for index in range(len(last))]
        for _ in range(5):
            time.sleep(0.4)
            redis.kill()
            time.sleep(0.1)
            redis.start()
        time.sleep(1.2)
        done.set()
        for one in running:
            one.result()
    assert next(rotations) > 50 and next(refused) > 0
    for token in last:
        assert backends[0].refresh(token).status_code == 200
    stop(*backends)


def test_what_has_ended_is_forgotten(servers, fleet):
    redis = servers()
    (backend,) = started(fleet(redis, "--refresh-token-lifetime", "2s", "--access-token-lifetime", "1s", count=1))
    for _ in range(3):
        backend.login()
    assert redis.ask("ZCARD", "backend:sessions") == redis.ask("ZCARD", "backend:user:alice") == 3
    admin = backend.login("admin", "battery staple")
    answer = backend.get("/api/admin/stats", admin["access_token"])
    assert (answer.json()["sessions"], answer.json()["users"]) == (4, 2)
    wait_until(lambda: redis.ask("ZCARD", "backend:sessions") == 0, 9, what="expired sessions are forgotten")
    assert redis.ask("EXISTS", "backend:user:alice", "backend:session_ends") == 0
    # The rest goes by itself, a day later, so that it is still told what it was.
    for key in redis.ask("KEYS", "backend:session:*") + redis.ask("KEYS", "backend:token:*"):
        assert 86_000 < redis.ask("TTL", key) <= 86_402, key
    stop(backend)


def test_redis_that_may_lose_something_is_warned_of(servers, fleet):
    for durable in (False, True):
        redis = servers(durable=durable)
        redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction" if durable else "allkeys-lru")
        (backend,) = started(fleet(redis, count=1))
        backend.login()
        stop(backend)
        said = backend.log.count("Redis may lose what it acknowledged")
        if durable:
            assert said == 0, backend.log
        else:
            assert said == 3 - (redis.ask("CONFIG", "GET", "appendfsync")[1] == "always")
            assert "appendonly is no" in backend.log and "maxmemory-policy is allkeys-lru" in backend.log


@pytest.mark.parametrize("wrong", ["password", "authority", "name"])
def test_redis_that_is_not_to_be_trusted_is_not_used(wrong, servers, fleet, authority, tmp_path_factory):
    # In its certificate the name alone, and not the address that is connected to.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis.example")])
    certificate = authority.issue_to(subject, [x509.DNSName("redis.example")], "redis")
    redis = servers(password="right", certificate=certificate)
    ca, name, password = authority.file, "redis.example", "right"
    match wrong:
        case "password": password = "wr0ng"
        case "authority": ca = type(authority)(tmp_path_factory.mktemp("other")).file
        case "name": name = "other.example"
    url = f"rediss://:{password}@127.0.0.1:{redis.tls_port}"
    (backend,) = fleet(redis, "--redis-ca", str(ca), "--redis-server-name", name, count=1, url=url)
    backend.launch("--auth-listen", f"127.0.0.1:{backend.auth_port}",
                   "--resource-listen", f"127.0.0.1:{backend.resource_port}")
    wait_until(lambda: backend.ready(backend.resource), 20, what="it starts")
    unavailable(backend.auth.post("/login", json={"username": "alice", "password": "correct horse"}))
    assert "Redis cannot be used" in backend.log
    assert password not in backend.log
    stop(backend)
    # With everything right it works: the refusal above was about what is wrong.
    (backend,) = started(fleet(redis, "--redis-ca", str(authority.file), "--redis-server-name", "redis.example",
                               count=1, url=f"rediss://:right@127.0.0.1:{redis.tls_port}"))
    backend.login()
    stop(backend)


@pytest.mark.parametrize("names, name, trusted", [
    (["127.0.0.1"], "localhost", False), (["127.0.0.1", "other.example"], "localhost", False),
    (["127.0.0.1"], None, True), (["LOCALHOST"], "localhost", True), (["redis.example"], "redis.example.", True),
    (["*.redis.example"], "one.redis.example", True), (["*.redis.example"], "redis.example", False),
    (["*.redis.example"], "a.b.redis.example", False), (["*.example"], "redis.example", False),
])
def test_certificate_must_have_the_name_and_not_the_address_alone(names, name, trusted, servers, fleet, authority):
    """Redis answers at 127.0.0.1; without another name to look for, that is what its certificate must say."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    certificate = authority.issue_to(
        subject, [x509.IPAddress(ipaddress.ip_address(text)) if text[0].isdigit() else x509.DNSName(text)
                  for text in names], "redis")
    redis = servers(password="right", certificate=certificate)
    flags = ["--redis-ca", str(authority.file)] + (["--redis-server-name", name] if name else [])
    (backend,) = fleet(redis, *flags, count=1, url=f"rediss://:right@127.0.0.1:{redis.tls_port}")
    backend.launch("--auth-listen", f"127.0.0.1:{backend.auth_port}",
                   "--resource-listen", f"127.0.0.1:{backend.resource_port}")
    wait_until(lambda: backend.ready(backend.resource), 20, what="it starts")
    if trusted:
        backend.login()
    else:
        unavailable(backend.auth.post("/login", json={"username": "alice", "password": "correct horse"}))
        assert "Redis cannot be used" in backend.log
    stop(backend)


@pytest.mark.parametrize("flags, words", [
    (["--redis", "http://127.0.0.1"], "the setting redis must be redis://"),
    (["--redis", "redis://:s3cret@127.0.0.1:port"], "the setting redis must be redis://"),
    (["--redis", "redis://127.0.0.1/x"], "the setting redis must be redis://"),
    (["--redis", "redis://me@127.0.0.1"], "a user without a password"),
    (["--redis", "redis://:s3cret@127.0.0.1", "--redis-password-file", "x"], "not in both"),
    (["--redis", "redis://127.0.0.1", "--redis-password-file", "absent"], "absent: the file does not exist"),
    (["--redis", "redis://127.0.0.1", "--redis-password-file", "keys/permissions.json"], "only its owner may read it"),
    (["--redis", "rediss://127.0.0.1", "--redis-ca", "keys/permissions.json"], "keys/permissions.json"),
    (["--redis", "redis://127.0.0.1", "--redis-timeout", "0s"], "the setting redis_timeout"),
    (["--redis", "redis://127.0.0.1", "--redis-prefix", "a b"], "the setting redis_prefix"),
    (["--redis", "redis://127.0.0.1", "--redis-channel", ""], "the setting redis_channel"),
])
def test_settings_of_redis_are_checked_at_the_start(flags, words, tmp_path, backend_key):
    backend = Backend(tmp_path / "it", backend_key)
    try:
        said = backend.refuses_to_start(*flags)
        assert words in said and "s3cret" not in said, said
    finally:
        backend.close()
