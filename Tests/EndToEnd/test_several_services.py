"""Locations that ask several services about one request: each once in `auth all`, one after the other in `auth any`."""

import hashlib
import json
import signal
import threading

import pytest

from harness.ports import take_port
from harness.raw import get
from harness.refusals import check_answer, check_invalid_token
from harness.services import Service
from harness.tokens import bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider first  introspection { url @first@;  @settings@ }
auth_provider second introspection { url @second@; @settings@ }
auth_provider third  request       { url @third@; copy X-User; @settings@ }
server {
    listen 127.0.0.1:@port@;
    auth any first second;
    location / { proxy_pass http://@origin@; }
    location /all { auth all first second; require permission read:data; proxy_pass http://@origin@; }
    location /three { auth all third first second; proxy_pass http://@origin@; }
    location /good { auth off; proxy_pass http://@origin@; }
}
"""
ALICE = {"active": True, "sub": "alice", "permissions": ["read:data"]}


class Services:
    """The three of the configuration."""

    def __init__(self):
        self.first, self.second, self.third = self.all = [Service() for _ in range(3)]

    @property
    def questions(self) -> list[int]:
        return [len(service.questions) for service in self.all]


@pytest.fixture
def services():
    services = Services()
    yield services
    for service in services.all:
        service.close()


@pytest.fixture
def begin(start, services):
    """Starts a gateway whose providers have those settings."""

    def begin_gateway(settings: str = "", configuration: str = CONFIGURATION, **values):
        urls = {"first": services.first.url, "second": services.second.url, "third": services.third.url}
        return start(configuration.replace("@settings@", settings), **{**urls, **values})

    return begin_gateway


def ask(gateway, token: str, path: str = "/x"):
    return gateway.request(get(path, bearer(token)), 8)


# All of them


@pytest.mark.parametrize("cache", ["off", "30s"])
def test_all_asks_each_service_once(begin, services, origin, cache):
    services.first.answers["good"] = services.second.answers["good"] = ALICE
    gateway = begin(f"cache {cache};")
    for i in range(1, 4):
        assert ask(gateway, "good", "/all").status == 200
        assert origin.last.get("x-auth-subject") == "alice" and origin.last.get("x-auth-provider") == "first"
        assert services.questions == ([i, i, 0] if cache == "off" else [1, 1, 0])
    assert ask(gateway, "good", "/three").status == 200
    assert services.questions == ([4, 4, 1] if cache == "off" else [1, 1, 1])


@pytest.mark.parametrize("cache", ["off", "30s"])
def test_all_ends_with_the_first_that_refuses(begin, services, origin, cache):
    services.second.answers["good"] = ALICE
    gateway = begin(f"cache {cache};")
    origin.reset()
    check_invalid_token(ask(gateway, "good", "/all"), "token_inactive")
    assert services.questions == [1, 0, 0]
    services.first.answers["other"] = ALICE
    check_invalid_token(ask(gateway, "other", "/all"), "token_inactive")
    assert services.questions == [2, 1, 0]
    services.third.status, services.third.fields = 401, {"WWW-Authenticate": 'Digest realm="x"'}
    response = ask(gateway, "good", "/three")
    check_answer(response, 401, "auth_service_refused", closed=False)
    assert response.get("www-authenticate") == 'Digest realm="x"'
    assert services.questions == [2, 1, 1]
    assert origin.requests == []


def test_all_cannot_judge_while_one_fails(begin, services):
    services.first.answers["good"] = ALICE
    services.second.mode = "fail"
    gateway = begin("cache off;")
    check_answer(ask(gateway, "good", "/all"), 503, "introspection_unavailable", closed=False)
    assert services.questions == [1, 1, 0]


def test_a_client_that_leaves_between_two_questions(begin, services):
    services.first.answers["good"] = services.second.answers["good"] = ALICE
    gateway = begin("cache off;")
    services.second.delay = 0.5
    for i in range(10):
        services.first.answers[f"good-{i}"] = ALICE
        with gateway.connect() as client:
            asked = len(services.second.questions)
            client.send(get("/all", bearer(f"good-{i}")))
            wait_until(lambda: len(services.second.questions) > asked, 5, 0.02)
    services.second.delay = 0
    assert ask(gateway, "good", "/all").status == 200
    gateway.send_signal(signal.SIGHUP)
    gateway.wait_for_notice("configuration reloaded")
    assert ask(gateway, "good", "/all").status == 200


def test_many_at_once(begin, services):
    services.first.answers["good"] = services.second.answers["good"] = ALICE
    services.first.delay = services.second.delay = 0.1
    gateway = begin("cache off;")
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(gateway, "good", "/all").status)) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 30


# Any of them


@pytest.mark.parametrize("cache", ["off", "30s"])
def test_any_asks_until_one_knows_the_token(begin, services, origin, cache):
    services.first.answers["one"] = {"active": True, "sub": "alice"}
    services.second.answers["two"] = {"active": True, "sub": "bob"}
    gateway = begin(f"cache {cache};")
    for _ in range(3):
        assert ask(gateway, "one").status == 200
        assert origin.last.get("x-auth-subject") == "alice" and origin.last.get("x-auth-provider") == "first"
    assert services.questions == ([3, 0, 0] if cache == "off" else [1, 0, 0])
    before = services.questions
    for _ in range(3):
        assert ask(gateway, "two").status == 200
        assert origin.last.get("x-auth-subject") == "bob" and origin.last.get("x-auth-provider") == "second"
    if cache == "off":
        assert services.questions == [before[0] + 3, 3, 0]
    else:
        # Each worker may have asked the first one, which is remembered for some seconds; the second one is remembered.
        assert services.questions[1] == 1 and services.questions[0] <= before[0] + 2
    line = gateway.wait_for_log_line(lambda line: line["auth_subject"] == "bob")
    assert line["auth_provider"] == "second" and line["auth_result"] == "ok"


def test_any_is_refused_when_nobody_knows_the_token(begin, services, origin):
    gateway = begin("cache off;")
    origin.reset()
    for i in range(1, 3):
        check_invalid_token(ask(gateway, "bad"), "token_inactive")
        assert services.questions == [i, i, 0]
    assert origin.requests == []
    assert gateway.request(get("/x")).code == "token_missing"
    assert services.questions == [2, 2, 0]


@pytest.mark.parametrize("down", ["first", "second"])
def test_any_cannot_refuse_while_one_fails(begin, services, origin, down):
    """What the service that is down would have said is not known: 503, never 401."""
    up, broken = (services.second, services.first) if down == "first" else (services.first, services.second)
    broken.mode = "fail"
    up.answers["good"] = ALICE
    gateway = begin("cache off;")
    assert ask(gateway, "good").status == 200
    origin.reset()
    response = ask(gateway, "bad")
    check_answer(response, 503, "introspection_unavailable", closed=False)
    assert int(response.get("retry-after")) >= 1 and response.get("www-authenticate") is None
    assert origin.requests == []
    broken.mode = "ok"
    wait_until(lambda: ask(gateway, "bad").status == 401, 5, 0.2)


@pytest.mark.parametrize(("policy", "status"), [("503", 503), ("403", 403), ("allow", 200)])
def test_any_with_what_a_failure_means(begin, services, origin, policy, status):
    services.second.answers["good"] = ALICE
    gateway = begin(f"cache off; on_error {policy};", first=f"http://127.0.0.1:{take_port()}/check")
    assert ask(gateway, "good").status == 200
    assert origin.last.get("x-auth-subject") == "alice", "whoever knows it counts"
    response = ask(gateway, "bad")
    assert response.status == status
    if status == 200:
        assert origin.last.get("x-auth-subject") is None


KEYS = """
worker_processes 1;
error_log stderr info;
auth_provider ours   api_key { file @keys@; }
auth_provider theirs api_key { url @first@; cache off; }
auth_provider signed jwt { issuer https://id.example.com; audience orders; key_file @signing@; token_from cookie t; }
auth_provider opaque introspection { url @second@; token_from cookie t; cache off; }
auth_provider last   api_key { url @third@; from cookie t; cache off; }
server {
    listen 127.0.0.1:@port@;
    auth any ours theirs;
    location / { proxy_pass http://@origin@; }
    location /cookie { auth any signed opaque last; proxy_pass http://@origin@; }
}
"""


@pytest.fixture
def keyed(begin, tmp_path, rsa_key):
    (tmp_path / "api_keys.json").write_text(
        json.dumps({"keys": [{"id": "k1", "hash": hashlib.sha256(b"secret").hexdigest()}]})
    )
    (tmp_path / "jwks.json").write_text(json.dumps(key_set(rsa_key)))
    return begin(configuration=KEYS, keys=tmp_path / "api_keys.json", signing=tmp_path / "jwks.json")


def test_any_asks_a_service_about_keys_that_the_file_lacks(keyed, services, origin):
    assert keyed.request(get("/x", "X-API-Key: secret")).status == 200
    assert origin.last.get("x-auth-provider") == "ours" and services.questions == [0, 0, 0]
    services.first.answers["other"] = {"active": True, "sub": "svc"}
    assert keyed.request(get("/x", "X-API-Key: other")).status == 200
    assert origin.last.get("x-auth-provider") == "theirs" and origin.last.get("x-auth-subject") == "svc"
    response = keyed.request(get("/x", "X-API-Key: neither"))
    check_answer(response, 401, "api_key_invalid", closed=False)
    assert response.all("www-authenticate") == ['ApiKey realm="ours"']
    services.first.mode = "fail"
    check_answer(keyed.request(get("/x", "X-API-Key: neither")), 503, "introspection_unavailable", closed=False)


def test_any_sends_signed_tokens_to_whom_they_name(keyed, services, origin, rsa_key):
    def cookie(value: str):
        return get("/cookie", f"Cookie: t={value}")

    assert keyed.request(cookie(rsa_key.token())).status == 200
    check_answer(keyed.request(cookie(rsa_key.token(exp=1))), 401, "token_expired", closed=False)
    assert services.questions == [0, 0, 0], "nobody else's business"
    services.third.answers["key"] = {"active": True, "sub": "svc"}
    assert keyed.request(cookie("key")).status == 200
    assert origin.last.get("x-auth-provider") == "last" and services.questions == [0, 1, 1]
    check_answer(keyed.request(cookie("no.such.token")), 401, "token_inactive", closed=False)
    assert services.questions == [0, 2, 2]


REQUESTS = """
worker_processes 1;
error_log stderr info;
auth_provider one request { url @first@; copy X-User; cache off; }
auth_provider two request { url @second@; copy X-User; cache off; }
server { listen 127.0.0.1:@port@; auth any one two; location / { proxy_pass http://@origin@; } }
"""


def test_any_asks_the_services_that_look_at_requests(begin, services, origin):
    gateway = begin(configuration=REQUESTS)
    services.first.status, services.first.fields = 401, {"WWW-Authenticate": 'Basic realm="one"'}
    services.second.fields = {"X-User": "bob"}
    assert gateway.request(get("/x")).status == 200
    assert origin.last.get("x-user") == "bob" and services.questions == [1, 1, 0]
    services.second.status, services.second.fields = 401, {"WWW-Authenticate": 'Basic realm="two"'}
    origin.reset()
    response = gateway.request(get("/x"))
    check_answer(response, 401, "auth_service_refused", closed=False)
    assert response.all("www-authenticate") == ['Basic realm="one"'], "of the first one, as the refusal is"
    services.first.status = 403
    response = gateway.request(get("/x"))
    check_answer(response, 401, "auth_service_refused", closed=False)
    assert response.all("www-authenticate") == ['Basic realm="two"'], "what other credentials may mend"
    services.second.status = 403
    check_answer(gateway.request(get("/x")), 403, "access_denied", closed=False)
    services.first.status = 500
    check_answer(gateway.request(get("/x")), 503, "auth_service_unavailable", closed=False)
    assert origin.requests == []


# Every way in which two services can answer

STATES = ("active", "inactive", "fail")


def expected(mode: str, policy: str, states: tuple[str, str]) -> tuple[int, str | None]:
    """Status, and the provider that the origin hears of."""
    failure = {"503": 503, "403": 403, "allow": 200}[policy]
    names = [name for name, state in zip(("first", "second"), states) if state == "active"]
    if mode == "any":
        if names:
            return 200, names[0]
        return (failure, None) if "fail" in states else (401, None)
    for state in states:
        if state == "inactive":
            return 401, None
        if state == "fail" and failure != 200:
            return failure, None
    return 200, names[0] if names else None


@pytest.mark.parametrize("cache", ["off", "30s"])
@pytest.mark.parametrize("policy", ["503", "403", "allow"])
def test_every_pair_of_answers(begin, services, origin, policy, cache):
    # Requirements would refuse who has no identity.
    text = CONFIGURATION.replace("require permission read:data; ", "")
    gateway = begin(f"cache {cache}; on_error {policy};", text)
    both = (services.first, services.second)
    for mode, path in (("any", "/x"), ("all", "/all")):
        for first in STATES:
            for second in STATES:
                token = f"{mode}-{first}-{second}"
                for service, state in zip(both, (first, second)):
                    # What says nothing is a failure.
                    service.answers[token] = {"active": {"active": True, "inactive": False, "fail": "x"}[state]}
                status, name = expected(mode, policy, (first, second))
                for _ in range(2):
                    origin.reset()
                    response = ask(gateway, token, path)
                    assert response.status == status, (token, response)
                    if status == 200:
                        assert origin.last.get("x-auth-provider") == name, token
                        # Nobody else's fields, and no token where somebody has vouched for it.
                        assert (origin.last.get("authorization") is None) == (name is not None), token
                    else:
                        assert origin.requests == [], token
                    # After some failures in a row they would be left in peace.
                    fresh = f"fine-{len(services.second.questions)}-{token}"
                    services.first.answers[fresh] = services.second.answers[fresh] = ALICE
                    assert ask(gateway, fresh, "/all").status == 200
