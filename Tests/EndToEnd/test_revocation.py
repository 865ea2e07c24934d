"""Tokens that are dead before they expire (security rows J62, J71): what is revoked, by whom, and what survives."""

import json
import signal
import tempfile
import time

import pytest

from harness.gateway import Gateway
from harness.raw import Client, get, post
from harness.refusals import check_answer, check_invalid_token
from harness.revocations import FeedServer, entry, revoke
from harness.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set
from harness.waiting import wait_until

OTHER = "https://other.example.com"
CONFIGURATION = f"""
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @folder@/keys.json; }}
auth_provider other jwt {{ issuer {OTHER}; audience {AUDIENCE}; key_file @folder@/keys.json; }}
auth_provider anyone jwt {{ issuer off; audience off; required_claims none; max_lifetime off; key_file @folder@/keys.json; }}
revocation logouts {{ }}
revocation partners {{ }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    revocation logouts;
    location / {{ proxy_pass http://@origin@; }}
    location /other/ {{ auth other; proxy_pass http://@origin@; }}
    location /anyone/ {{ auth anyone; proxy_pass http://@origin@; }}
    location /partners/ {{ revocation partners; proxy_pass http://@origin@; }}
    location /never/ {{ revocation off; proxy_pass http://@origin@; }}
    location /admin/ {{ require permission read:admin_panel; proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def module_gateway(module_origin, rsa_key, tmp_path_factory):
    folder = tmp_path_factory.mktemp("revocation")
    (folder / "keys.json").write_text(json.dumps(key_set(rsa_key)))
    gateway = Gateway(CONFIGURATION, folder, origin=module_origin.address)
    try:
        yield gateway
        gateway.stop()
    finally:
        gateway.kill()


def statuses(gateway, token: str, path: str = "/x", times: int = 6) -> set[int]:
    """Asked over new connections, so that each worker answers."""
    return {gateway.request(get(path, bearer(token))).status for _ in range(times)}


def expect_revoked(gateway, origin, token: str, path: str = "/x") -> None:
    """Every worker refuses the token as RFC 6750 wants it, and the origin sees nothing."""
    wait_until(lambda: statuses(gateway, token, path) == {401}, 3, what="401 from every worker")
    origin.reset()
    before = gateway.rejected("token_revoked")
    response = gateway.request(get(path, bearer(token)))
    check_invalid_token(response, "token_revoked")
    assert origin.received == b""
    wait_until(lambda: gateway.rejected("token_revoked") == before + 1, 2)
    gateway.wait_for_log_line(lambda line: line.get("auth_reason") == "token_revoked")


KINDS = {
    "jti": {"jti": "t-1"},
    "sid": {"sid": "s-1"},
    "sub": {"sub": "mallory"},
    "client": {"client_id": "c-1"},
    "kid": {},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seen", [True, False], ids=["cached", "new"])
def test_J62_each_kind(start, module_origin, kind, seen):
    """A token that was let in before, and one that nobody has seen."""
    key, bystander_key = SigningKey("ES256", "k-1"), SigningKey("ES256", "k-2")
    keys = key_set(key, bystander_key)
    gateway = start_with(start, keys)
    token = key.token(**KINDS[kind])
    bystander = bystander_key.token(jti="t-2", sid="s-2", sub="alice", client_id="c-2")
    if seen:
        assert statuses(gateway, token) == {200}
    assert statuses(gateway, bystander) == {200}
    value = "k-1" if kind == "kid" else next(iter(KINDS[kind].values()))
    assert revoke(gateway, entry(kind, value)).status == 200
    expect_revoked(gateway, module_origin, token)
    assert statuses(gateway, bystander) == {200}, "nobody else is concerned"


def start_with(start, keys: dict, configuration: str = CONFIGURATION, **options):
    """A gateway whose providers have these keys."""
    text = configuration.replace("@folder@/keys.json", "@keys@")
    file = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
    file.write(json.dumps(keys))
    file.close()
    return start(text, keys=file.name, **options)


def test_J62_sub_before(gateway, origin, rsa_key):
    now = int(time.time())
    old, new = (rsa_key.token(sub="bob", iat=iat, jti=str(iat)) for iat in (now - 100, now - 10))
    broken = rsa_key.token(sub="bob", iat=now - 10.5, jti="fraction")
    assert statuses(gateway, old) == statuses(gateway, new) == {200}
    assert revoke(gateway, entry("sub", "bob", before=now - 10)).status == 200
    expect_revoked(gateway, origin, old)
    expect_revoked(gateway, origin, broken)
    assert statuses(gateway, new) == {200}, "issued at that very second: after it"


def test_J71_another_issuer(gateway, origin, rsa_key):
    """The same values of another issuer are other things."""
    claims = {"jti": "same", "sid": "same", "sub": "same", "client_id": "same"}
    ours, theirs = rsa_key.token(**claims), rsa_key.token(**claims, iss=OTHER)
    for kind in ("jti", "sid", "sub", "client"):
        assert revoke(gateway, entry(kind, "same")).status == 200
    expect_revoked(gateway, origin, ours)
    assert statuses(gateway, theirs, "/other/") == {200}
    assert revoke(gateway, entry("kid", "rsa-1", issuer="https://nobody.example.com")).status == 200
    assert statuses(gateway, theirs, "/other/") == {200}
    assert revoke(gateway, entry("jti", "same", issuer=OTHER)).status == 200
    expect_revoked(gateway, origin, theirs, "/other/")


def test_J71_no_iat(gateway, origin, rsa_key):
    """A token that does not say when it was issued is older than any date."""
    token = rsa_key.token(sub="carol", iat=None)
    assert statuses(gateway, token) == {200}
    assert revoke(gateway, entry("sub", "carol", before=int(time.time()) - 1000)).status == 200
    expect_revoked(gateway, origin, token)


def test_J62_kid_of_a_token_that_names_none(start, module_origin):
    """What counts is which key made the signature."""
    key = SigningKey("ES256", "lost")
    gateway = start_with(start, key_set(key))
    token = key.token(header={"kid": None})
    assert statuses(gateway, token) == {200}
    assert revoke(gateway, entry("kid", "lost")).status == 200
    expect_revoked(gateway, module_origin, token)


def test_no_issuer_at_all(gateway, origin, rsa_key):
    token = rsa_key.token(iss=None, jti="orphan")
    assert statuses(gateway, token, "/anyone/") == {200}
    assert revoke(gateway, entry("jti", "orphan")).status == 200
    assert statuses(gateway, token, "/anyone/") == {200}
    assert revoke(gateway, entry("jti", "orphan", issuer="")).status == 200
    expect_revoked(gateway, origin, token, "/anyone/")


def test_blocks_are_apart(gateway, origin, rsa_key):
    token = rsa_key.token(jti="apart")
    assert revoke(gateway, entry("jti", "apart"), "/revoke/partners").status == 200
    expect_revoked(gateway, origin, token, "/partners/x")
    assert statuses(gateway, token) == statuses(gateway, token, "/never/x") == {200}
    assert revoke(gateway, entry("jti", "apart")).status == 200, "all of them"
    expect_revoked(gateway, origin, token)
    assert statuses(gateway, token, "/never/x") == {200}
    assert revoke(gateway, entry("jti", "apart"), "/revoke/nobody").status == 404


def test_revoked_comes_before_permission(gateway, rsa_key):
    token = rsa_key.token(jti="denied")
    assert statuses(gateway, token, "/admin/") == {403}
    assert revoke(gateway, entry("jti", "denied")).status == 200
    wait_until(lambda: statuses(gateway, token, "/admin/") == {401}, 3)


def test_an_entry_ends_by_itself(gateway, origin, rsa_key):
    token = rsa_key.token(jti="brief")
    assert revoke(gateway, entry("jti", "brief", seconds=2)).status == 200
    expect_revoked(gateway, origin, token)
    wait_until(lambda: statuses(gateway, token) == {200}, 5, 0.2)
    assert revoke(gateway, entry("jti", "late", seconds=-5)).status == 200, "over before it came"
    assert statuses(gateway, rsa_key.token(jti="late")) == {200}


@pytest.mark.parametrize(
    ("document", "fields", "status"),
    [
        (b"", ("Gateway-Admin: 1",), 400),
        (b"null", ("Gateway-Admin: 1",), 400),
        (b'{"issuer":"i","kind":"jti"}', ("Gateway-Admin: 1",), 400),
        (b"[" * 1000, ("Gateway-Admin: 1",), 400),
        (b"[]", ("Gateway-Admin: 1",), 200),
        (b"[]", ("X-Nothing: 1",), 403),
        (b"[]", ("Gateway-Admin: 0",), 403),
        (b"[]", ("Gateway-Admin: 1", "Origin: https://evil.example.com"), 403),
        (b"[]", ("Gateway-Admin: 1", "Sec-Fetch-Site: same-origin"), 403),
        (b" " * (1 << 20) + b"[]", ("Gateway-Admin: 1",), 413),
    ],
)
def test_what_operators_may_say(gateway, document, fields, status):
    assert revoke(gateway, document, "/revoke", *fields).status == status


def test_unknown_kinds_are_counted(gateway):
    answer = revoke(gateway, [entry("jti", "known"), entry("device", "d")])
    assert answer.status == 200 and answer.json() == {"revoked": 1, "skipped": 1}
    metrics = gateway.metrics()
    assert metrics.sum("gateway_revocation_skipped_total", revocation="logouts") >= 1
    assert metrics.sum("gateway_revocation_received_total", revocation="logouts", source="admin") >= 1
    assert metrics.sum("gateway_revocation_entries") >= 1


def test_only_post_revokes(gateway):
    with Client(gateway.admin_port) as client:
        assert client.request(get("/revoke")).status == 404
    with Client(gateway.admin_port) as client:
        assert client.request(post("/revokex", b"[]", "Gateway-Admin: 1")).status in (404, 405)


def test_a_reload_forgets_nothing(gateway, origin, rsa_key):
    token = rsa_key.token(jti="kept")
    assert revoke(gateway, entry("jti", "kept")).status == 200
    expect_revoked(gateway, origin, token)
    gateway.configure(CONFIGURATION.replace("audience off", "audience off; leeway 20s"))
    gateway.send_signal(signal.SIGHUP)
    gateway.wait_for_notice("configuration reloaded")
    time.sleep(0.2)
    expect_revoked(gateway, origin, token)


def test_a_reload_that_begins_to_revoke(start, rsa_key):
    """What was cached while nobody asked for revocations is judged all the same."""
    without = CONFIGURATION.replace("revocation logouts { }\n", "").replace("revocation partners { }\n", "")
    for line in ("revocation logouts;", "revocation partners;", "revocation off;"):
        without = without.replace(line, "")
    gateway = start_with(start, key_set(rsa_key), without)
    token = rsa_key.token(jti="before-the-reload")
    assert statuses(gateway, token) == {200}
    assert revoke(gateway, entry("jti", "before-the-reload")).status == 404
    gateway.configure(CONFIGURATION.replace("@folder@/keys.json", "@keys@"))
    gateway.send_signal(signal.SIGHUP)
    gateway.wait_for_notice("configuration reloaded")
    assert revoke(gateway, entry("jti", "before-the-reload")).status == 200
    wait_until(lambda: statuses(gateway, token) == {401}, 3)


STATE = CONFIGURATION.replace("worker_processes 2;", "worker_processes 2; state_dir @state@;")


def test_a_restart_forgets_nothing(start, module_origin, rsa_key, tmp_path):
    state = tmp_path / "state"
    gateway = start_with(start, key_set(rsa_key), STATE, state=state)
    tokens = [rsa_key.token(jti=f"restart-{i}") for i in range(20)]
    assert revoke(gateway, [entry("jti", f"restart-{i}") for i in range(20)]).status == 200
    assert revoke(gateway, entry("jti", "over", seconds=1)).status == 200
    gateway.stop()
    assert (state.stat().st_mode & 0o777, (state / "revocations").stat().st_mode & 0o777) == (0o700, 0o600)
    assert b"restart" not in (state / "revocations").read_bytes(), "the journal names nobody"
    gateway = start_with(start, key_set(rsa_key), STATE, state=state)
    for token in tokens:
        assert statuses(gateway, token, times=2) == {401}
    expect_revoked(gateway, module_origin, tokens[0])


def test_a_crash_forgets_nothing_that_was_acknowledged(start, rsa_key, tmp_path):
    state = tmp_path / "state"
    gateway = start_with(start, key_set(rsa_key), STATE, state=state)
    for i in range(50):
        assert revoke(gateway, entry("jti", f"crash-{i}"), "/revoke/logouts").status == 200
    gateway.kill()
    # A line that a crash cut short, and one that the disk changed.
    journal = state / "revocations"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 51
    damaged = lines[5][:20] + (b"0" if lines[5][20:21] != b"0" else b"1") + lines[5][21:]
    journal.write_bytes(b"".join(lines[:5] + [damaged] + lines[6:]) + b"e 0123")
    gateway = start_with(start, key_set(rsa_key), STATE, state=state)
    gateway.wait_for_notice("2 damaged lines")
    assert statuses(gateway, rsa_key.token(jti="crash-4"), times=2) == {200}, "the changed line says nothing"
    for i in [*range(4), *range(5, 50)]:
        assert statuses(gateway, rsa_key.token(jti=f"crash-{i}"), times=1) == {401}, i
    assert revoke(gateway, entry("jti", "crash-4")).status == 200
    gateway.kill()
    gateway = start_with(start, key_set(rsa_key), STATE, state=state)
    for i in range(50):
        assert statuses(gateway, rsa_key.token(jti=f"crash-{i}"), times=1) == {401}, i
    assert "damaged" not in gateway.log


def test_the_journal_is_written_anew_when_it_says_little(start, rsa_key, tmp_path):
    state = tmp_path / "state"
    gateway = start_with(start, key_set(rsa_key), STATE, state=state)
    for _ in range(3):
        assert revoke(gateway, [entry("jti", f"brief-{i}", seconds=1) for i in range(1000)]).status == 200
    assert revoke(gateway, entry("jti", "long")).status == 200
    wait_until(lambda: len((state / "revocations").read_bytes().splitlines()) < 10, 15, 0.1, "a short journal")
    gateway.stop()
    gateway = start_with(start, key_set(rsa_key), STATE, state=state)
    assert statuses(gateway, rsa_key.token(jti="long")) == {401}


def test_a_journal_that_cannot_be_opened(start, rsa_key, tmp_path):
    state = tmp_path / "state"
    (state / "revocations").mkdir(parents=True)
    gateway = start_with(start, key_set(rsa_key), STATE, state=state, ready=False)
    assert gateway.process.wait(10) == 1
    assert "journal of revocations cannot be opened" in gateway.log


FEED = CONFIGURATION.replace("revocation logouts { }", "revocation logouts { feed @feed@; @more@ }")


@pytest.fixture
def feed():
    server = FeedServer()
    yield server
    server.close()


def test_a_feed_is_listened_to(start, module_origin, rsa_key, feed):
    feed.add(entry("jti", "old"))
    gateway = start_with(start, key_set(rsa_key), FEED, feed=feed.url, more="")
    expect_revoked(gateway, module_origin, rsa_key.token(jti="old"))
    token = rsa_key.token(jti="new")
    assert statuses(gateway, token) == {200}
    feed.add(entry("jti", "new"))
    expect_revoked(gateway, module_origin, token)
    assert {"since", "wait"} <= set(feed.requests[-1]) and "since" not in feed.requests[0]
    assert gateway.metrics().sum("gateway_revocation_received_total", revocation="logouts", source="feed") == 2


def test_a_feed_asks_who_we_are(start, rsa_key):
    feed = FeedServer(("gate way", "s3cret:%/+é"))
    try:
        feed.add(entry("jti", "asked"))
        more = 'client_id "gate way"; client_secret "s3cret:%/+é";'
        gateway = start_with(start, key_set(rsa_key), FEED, feed=feed.url, more=more)
        wait_until(lambda: statuses(gateway, rsa_key.token(jti="asked")) == {401}, 3)
        assert feed.refused == 0
        wrong = start_with(start, key_set(rsa_key), FEED, feed=feed.url, more="client_id a; client_secret b;")
        wrong.wait_for_notice("status 401 instead of 200")
        assert statuses(wrong, rsa_key.token(jti="asked")) == {200}
    finally:
        feed.close()


def test_a_feed_that_forgot_where_we_were(start, module_origin, rsa_key, feed):
    feed.add(entry("jti", "first"))
    gateway = start_with(start, key_set(rsa_key), FEED, feed=feed.url, more="")
    expect_revoked(gateway, module_origin, rsa_key.token(jti="first"))
    feed.add(entry("jti", "second"))
    expect_revoked(gateway, module_origin, rsa_key.token(jti="second"))
    feed.forget()
    gateway.wait_for_notice("does not know where we were")
    feed.add(entry("jti", "third"))
    for name in ("first", "second", "third"):
        expect_revoked(gateway, module_origin, rsa_key.token(jti=name))


@pytest.mark.parametrize("mode", ["fail", "garbage", "huge", "endless", "slow", "stall", "gone", "closing"])
def test_a_hostile_feed(start, module_origin, rsa_key, feed, mode):
    """It brings nobody down, and afterwards it is listened to again."""
    feed.mode = mode
    gateway = start_with(start, key_set(rsa_key), FEED, feed=feed.url, more="")
    wait_until(lambda: feed.requests)
    memory = gateway.resident_bytes()
    time.sleep(1.5)
    assert statuses(gateway, rsa_key.token(jti="x")) == {200}
    assert gateway.resident_bytes() < memory + (64 << 20)
    feed.add(entry("jti", "afterwards"))
    feed.set_mode("ok")
    wait_until(lambda: statuses(gateway, rsa_key.token(jti="afterwards")) == {401}, 12, 0.1)


def test_pages(start, rsa_key, feed):
    feed.page_size = 100
    feed.add(*(entry("jti", f"page-{i}") for i in range(1050)))
    gateway = start_with(start, key_set(rsa_key), FEED, feed=feed.url, more="")
    wait_until(lambda: statuses(gateway, rsa_key.token(jti="page-1049")) == {401}, 5)
    assert statuses(gateway, rsa_key.token(jti="page-0")) == {401}
    assert len(feed.requests) >= 11 and gateway.metrics().sum("gateway_revocation_entries") == 1050


def test_the_feed_goes_on_after_a_restart(start, rsa_key, feed, tmp_path):
    feed.add(*(entry("jti", f"r-{i}") for i in range(10)))
    text = FEED.replace("worker_processes 2;", "worker_processes 2; state_dir @state@;")
    gateway = start_with(start, key_set(rsa_key), text, feed=feed.url, more="", state=tmp_path / "state")
    wait_until(lambda: statuses(gateway, rsa_key.token(jti="r-9")) == {401}, 3)
    wait_until(lambda: b"\nc " in (tmp_path / "state" / "revocations").read_bytes(), 3)
    gateway.stop()
    feed.requests.clear()
    gateway = start_with(start, key_set(rsa_key), text, feed=feed.url, more="", state=tmp_path / "state")
    assert statuses(gateway, rsa_key.token(jti="r-0")) == {401}, "before any feed was asked"
    wait_until(lambda: feed.requests)
    assert feed.requests[0]["since"] == "1-10"


def test_on_stale_deny(start, rsa_key, feed):
    gateway = start_with(start, key_set(rsa_key), FEED, feed=feed.url, more="on_stale deny max_age=2s;")
    token = rsa_key.token(jti="stale")
    wait_until(lambda: statuses(gateway, token) == {200}, 3)
    time.sleep(2.5)
    assert statuses(gateway, token) == {200}, "a feed that has nothing new is heard all the same"
    feed.set_mode("fail")
    wait_until(lambda: statuses(gateway, token) == {503}, 6, 0.1)
    response = gateway.request(get("/x", bearer(token)))
    check_answer(response, 503, "revocation_stale", closed=False)
    assert int(response.get("retry-after")) > 0 and response.get("www-authenticate") is None
    assert statuses(gateway, token, "/never/x") == statuses(gateway, token, "/partners/x") == {200}
    gateway.wait_for_notice("requests are refused")
    feed.set_mode("ok")
    wait_until(lambda: statuses(gateway, token) == {200}, 12, 0.1)


def test_on_stale_deny_at_the_start(start, rsa_key, feed):
    feed.mode = "fail"
    gateway = start_with(start, key_set(rsa_key), FEED, feed=feed.url, more="on_stale deny;")
    assert statuses(gateway, rsa_key.token()) == {503}, "nothing was ever heard"
    with Client(gateway.admin_port) as client:
        answer = client.request(get("/readyz"))
        assert answer.status == 503 and answer.body == b"waiting for revocations\n"


def test_on_stale_allow(start, rsa_key, feed):
    gateway = start_with(start, key_set(rsa_key), FEED, feed=feed.url, more="on_stale allow max_age=2s;")
    token = rsa_key.token(jti="stale")
    wait_until(lambda: feed.requests)
    feed.set_mode("fail")
    gateway.wait_for_notice("requests pass all the same", 8)
    assert statuses(gateway, token) == {200}
    metrics = gateway.metrics()
    assert metrics.sum("gateway_revocation_stale_passes_total") >= 6
    assert metrics.sum("gateway_revocation_age_seconds", revocation="logouts") >= 2
    assert metrics.sum("gateway_revocation_errors_total", revocation="logouts", source="feed") >= 1
    time.sleep(1)
    assert gateway.log.count("requests pass all the same") == 1
