"""Tokens that a service knows (RFC 7662): asked once, remembered, and what happens when the service fails."""

import json
import signal
import threading
import time

import pytest

from harness.certificates import Authority
from harness.ports import take_port
from harness.raw import get
from harness.refusals import check_answer, check_invalid_token, expect_only_good_at
from harness.services import Service
from harness.tokens import SigningKey, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider opaque introspection {
    url @service@;
    client_id "gate way";
    client_secret ${env:INTROSPECTION_SECRET};
    @settings@
}
server {
    listen 127.0.0.1:@port@;
    auth opaque;
    location / { proxy_pass http://@origin@; }
    location /data { require permission read:data; proxy_pass http://@origin@; }
    location /good { auth off; proxy_pass http://@origin@; }
}
"""
SECRET = {"INTROSPECTION_SECRET": "s:ecret"}


@pytest.fixture
def service():
    service = Service()
    service.answers["good"] = {
        "active": True,
        "sub": "alice",
        "permissions": ["read:data"],
        "exp": int(time.time()) + 600,
    }
    yield service
    service.close()


@pytest.fixture
def begin(start, service):
    """Starts a gateway whose provider has those settings."""
    return lambda settings="", **options: start(
        CONFIGURATION.replace("@settings@", settings), environment=SECRET, **{"service": service.url, **options}
    )


def ask(gateway, token: str, path: str = "/x", within: float = 8.0):
    return gateway.request(get(path, bearer(token)), within)


def test_a_token_is_asked_about_once(begin, service, origin):
    gateway = begin()
    for _ in range(10):
        response = ask(gateway, "good", "/data")
        assert response.status == 200, response.body
    assert origin.last.get("x-auth-subject") == "alice" and origin.last.get("x-auth-provider") == "opaque"
    assert origin.last.get("authorization") is None
    # Each worker remembers; what one of them was told a moment ago the other need not ask for.
    assert len(service.questions) == 1
    question = service.questions[0]
    assert (question.method, question.path) == ("POST", "/check")
    assert question.form == {"token": "good", "token_type_hint": "access_token"}
    # printf 'gate+way:s%%3Aecret' | base64
    assert question.get("authorization") == "Basic Z2F0ZSt3YXk6cyUzQWVjcmV0"
    assert question.get("content-type") == "application/x-www-form-urlencoded"
    metrics = gateway.metrics()
    assert metrics.sum("gateway_lookups_total", provider="opaque") == 1
    assert metrics.sum("gateway_lookup_duration_seconds_count", provider="opaque") == 1
    assert metrics.sum("gateway_lookup_rests", provider="opaque") == 0
    line = gateway.wait_for_log_line(lambda line: line["auth_subject"] == "alice" and line["auth_cache"] == "hit")
    assert line["auth_provider"] == "opaque" and line["auth_result"] == "ok"
    assert "ecret" not in gateway.log and "Basic" not in gateway.log


def test_fifty_at_once_are_one_question(begin, service):
    service.delay = 0.3
    gateway = begin()
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(gateway, "good").status)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 50
    assert len(service.questions) == 1


def test_answers_are_remembered_as_long_as_they_hold(begin, service):
    service.answers["short"] = {"active": True, "sub": "bob", "exp": int(time.time()) + 3}
    gateway = begin("cache 30s; leeway 0;")
    assert ask(gateway, "short").status == 200
    wait_until(lambda: ask(gateway, "short").status == 401, 8, 0.2, "the token ends")
    check_invalid_token(ask(gateway, "short"), "token_expired")
    service.answers["brief"] = {"active": True, "sub": "bob"}
    gateway = begin("cache 3s;")
    assert ask(gateway, "brief").status == 200
    service.answers["brief"] = {"active": False}
    assert ask(gateway, "brief").status == 200
    wait_until(lambda: ask(gateway, "brief").status == 401, 10, 0.2, "the answer is old")


def test_without_cache_each_request_asks(begin, service):
    gateway = begin("cache off;")
    for _ in range(3):
        assert ask(gateway, "good", "/data").status == 200
    assert len(service.questions) == 3
    # Kept connections are used again.
    assert len({question.connection for question in service.questions}) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"active": False}, "token_inactive"),
        ({"active": False, "sub": "alice", "exp": 9_999_999_999}, "token_inactive"),
        ({"active": True, "exp": 1}, "token_expired"),
        ({"active": True, "nbf": 9_999_999_999}, "token_not_yet_valid"),
        ({"active": True, "exp": "soon"}, "claim_type"),
        ({"active": True, "sub": 7}, "claim_type"),
    ],
)
def test_tokens_that_are_no_good(begin, service, origin, answer, code):
    service.answers["bad"] = answer
    gateway = begin()
    origin.reset()
    for _ in range(4):
        check_invalid_token(ask(gateway, "bad"), code)
    assert len(service.questions) <= 1, "that it is no good is remembered for a moment"
    expect_only_good_at(origin)


def test_issuer_and_audience_are_held_against_the_answer(begin, service):
    service.answers |= {
        "other": {"active": True, "iss": "https://other", "aud": "orders"},
        "none": {"active": True},
        "web": {"active": True, "iss": "https://id", "aud": ["web"]},
        "right": {"active": True, "iss": "https://id", "aud": ["web", "orders"], "tenant": "a"},
        "lacking": {"active": True, "iss": "https://id", "aud": "orders"},
    }
    gateway = begin("issuer https://id; audience orders; required_claims tenant;")
    expected = {
        "other": "issuer_mismatch",
        "none": "issuer_mismatch",
        "web": "audience_mismatch",
        "lacking": "claim_missing",
    }
    for token, code in expected.items():
        check_invalid_token(ask(gateway, token), code)
    assert ask(gateway, "right").status == 200


def test_permissions_come_from_the_answer(begin, service):
    service.answers["poor"] = {"active": True, "sub": "carol", "permissions": ["write:data"]}
    gateway = begin()
    response = ask(gateway, "poor", "/data")
    assert response.status == 403 and response.code == "insufficient_scope"
    assert ask(gateway, "poor").status == 200


@pytest.mark.parametrize("mode", ["fail", "garbage", "huge", "gzip", "close", "half"])
def test_a_service_that_says_nothing(begin, service, origin, mode):
    service.mode = mode
    gateway = begin()
    origin.reset()
    response = ask(gateway, "good")
    check_answer(response, 503, "introspection_unavailable", closed=False)
    assert int(response.get("retry-after")) >= 1 and response.get("www-authenticate") is None
    expect_only_good_at(origin)
    gateway.wait_for_log_line(lambda line: line["auth_reason"] == "introspection_unavailable")
    assert gateway.request(get("/x")).status == 401, "no token is still 401"
    service.mode = "ok"
    assert ask(gateway, "good").status == 200


def test_a_service_that_stalls(begin, service):
    service.mode = "stall"
    gateway = begin("timeout 500ms;")
    began = time.monotonic()
    check_answer(ask(gateway, "good"), 503, "introspection_unavailable", closed=False)
    assert 0.3 < time.monotonic() - began < 2
    assert gateway.request(get("/good")).status == 200
    assert gateway.metrics().sum("gateway_lookup_failures_total", provider="opaque", reason="timeout") == 1


def test_nobody_listens(begin):
    gateway = begin(service=f"http://127.0.0.1:{take_port()}/check")
    check_answer(ask(gateway, "good"), 503, "introspection_unavailable", closed=False)
    assert gateway.metrics().sum("gateway_lookup_failures_total", reason="unreachable") == 1


def test_a_service_that_keeps_failing_rests(begin, service):
    service.mode = "fail"
    gateway = begin("cache off;")
    for _ in range(5):
        assert ask(gateway, "good").status == 503
    asked = len(service.questions)
    assert asked == 5
    gateway.wait_for_notice("5 questions in a row came to nothing")
    for _ in range(20):
        check_answer(ask(gateway, "good"), 503, "introspection_unavailable", closed=False)
    assert len(service.questions) == asked, "it is left in peace"
    metrics = gateway.metrics()
    assert metrics.sum("gateway_lookup_rests", provider="opaque") == 1
    assert metrics.sum("gateway_lookup_failures_total", provider="opaque", reason="resting") == 20
    service.mode = "ok"
    wait_until(lambda: ask(gateway, "good").status == 200, 3, 0.1, "one question tries, and the service is back")
    assert [ask(gateway, "good").status for _ in range(5)] == [200] * 5
    assert gateway.metrics().sum("gateway_lookup_rests", provider="opaque") == 0


@pytest.mark.parametrize(("policy", "status"), [("403", 403), ("allow", 200)])
def test_what_a_failure_means_can_be_said(begin, service, origin, policy, status):
    service.mode = "fail"
    gateway = begin(f"on_error {policy};")
    origin.reset()
    response = ask(gateway, "good")
    assert response.status == status
    if status == 403:
        assert response.code == "access_denied"
        expect_only_good_at(origin)
    else:
        assert origin.last.get("x-auth-subject") is None
        response = ask(gateway, "good", "/data")
        assert response.status == 403 and response.code == "insufficient_scope", "without an identity nothing is granted"


def test_remembered_tokens_outlive_the_service(begin, service):
    gateway = begin()
    for _ in range(8):
        assert ask(gateway, "good").status == 200
    service.mode = "fail"
    time.sleep(0.1)
    assert ask(gateway, "good").status == 200


def test_a_client_that_leaves_harms_nobody(begin, service):
    service.delay = 0.5
    gateway = begin()
    for _ in range(5):
        with gateway.connect() as client:
            client.send(get("/x", bearer("good")))
            time.sleep(0.02)
    assert ask(gateway, "good").status == 200
    assert len(service.questions) == 1


def test_pipelined_requests_wait_in_order(begin, service):
    service.delay = 0.2
    service.answers["other"] = {"active": True, "sub": "bob"}
    gateway = begin()
    with gateway.connect() as client:
        client.send(get("/x", bearer("good")) + get("/y", bearer("other")) + get("/good"))
        assert [client.read_response().status for _ in range(3)] == [200, 200, 200]


def test_a_body_waits_with_its_request(begin, service, origin):
    service.delay = 0.2
    gateway = begin()
    body = b"x" * 300_000
    with gateway.connect() as client:
        client.send(
            get("/x", bearer("good"), f"Content-Length: {len(body)}", method="POST") + body
        )
        assert client.read_response("POST").status == 200
    assert origin.last.body == body


def test_a_reload_while_requests_wait(begin, service):
    service.delay = 0.5
    gateway = begin()
    with gateway.connect() as client:
        client.send(get("/x", bearer("good")))
        time.sleep(0.1)
        gateway.configure(gateway.configuration.replace("client_id", "timeout 4s; client_id"))
        gateway.send_signal(signal.SIGHUP)
        gateway.wait_for_notice("configuration reloaded")
        assert client.read_response().status == 200
    assert ask(gateway, "good").status == 200


def service_of_another_authority(folder, service) -> Service:
    (folder / "stranger").mkdir()
    other = Service(Authority(folder / "stranger").server_context("localhost"))
    other.answers = service.answers
    return other


def test_over_https(start, authority, service, tmp_path):
    tls = Service(authority.server_context("localhost"))
    try:
        tls.answers = service.answers
        trusting = SECRET | {"SSL_CERT_FILE": str(authority.file)}
        configuration = CONFIGURATION.replace("@settings@", "cache off;")
        gateway = start(configuration, environment=trusting, service=tls.url)
        for _ in range(5):
            assert ask(gateway, "good").status == 200
        assert len(tls.questions) == 5 and len({question.connection for question in tls.questions}) == 1
        doubting = start(configuration, environment=SECRET | {"SSL_CERT_FILE": "/dev/null"}, service=tls.url)
        assert ask(doubting, "good").status == 503
        assert len(tls.questions) == 5, "who is not trusted is told nothing"
        named = CONFIGURATION.replace("@settings@", f"cache off; ca {authority.file};")
        gateway = start(named, environment=SECRET | {"SSL_CERT_FILE": "/dev/null"}, service=tls.url)
        assert ask(gateway, "good").status == 200
        other = service_of_another_authority(tmp_path, service)
        try:
            gateway = start(named, environment=trusting, service=other.url)
            assert ask(gateway, "good").status == 503 and not other.questions
        finally:
            other.close()
    finally:
        tls.close()


BOTH = """
worker_processes 1;
error_log stderr info;
auth_provider main jwt { issuer https://id.example.com; audience orders; key_file @keys@; }
auth_provider opaque introspection { url @service@; }
server {
    listen 127.0.0.1:@port@;
    auth any main opaque;
    location / { proxy_pass http://@origin@; }
    location /both { auth all main opaque; proxy_pass http://@origin@; }
}
"""


def test_signed_tokens_are_judged_here_and_others_there(start, service, origin, tmp_path, rsa_key):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(key_set(rsa_key)))
    gateway = start(BOTH, service=service.url, keys=file)
    assert ask(gateway, rsa_key.token()).status == 200
    assert origin.last.get("x-auth-provider") == "main" and not service.questions
    assert ask(gateway, "good").status == 200
    assert origin.last.get("x-auth-provider") == "opaque"
    check_invalid_token(ask(gateway, SigningKey("RS256", "rsa-1").token()), "signature_invalid")
    assert len(service.questions) == 1, "a signed token of a known issuer is nobody else's business"
    foreign = rsa_key.token(iss="https://other.example.com")
    check_invalid_token(ask(gateway, foreign), "token_inactive")
    assert service.questions[-1].form["token"] == foreign
    check_invalid_token(ask(gateway, rsa_key.token(), "/both"), "token_inactive")
    token = rsa_key.token(sub="both")
    service.answers[token] = {"active": True, "sub": "both"}
    assert ask(gateway, token, "/both").status == 200
    check_invalid_token(ask(gateway, "good", "/both"), "token_malformed")
