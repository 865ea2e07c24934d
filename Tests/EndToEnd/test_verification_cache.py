"""What the verification cache saves and what it never saves, seen from outside (its metrics)."""

import json
import signal
import time

import pytest

from harness.raw import get
from harness.refusals import check_invalid_token, expect_refusal
from harness.tokens import AUDIENCE, ISSUER, SigningKey, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{
    issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; leeway 0s;
    cache 32 max_size=64k negative=2s;
}}
auth_provider forgetful jwt {{
    issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@;
    cache 32 negative=off;
}}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
    location /forgetful/ {{ auth forgetful; proxy_pass http://@origin@; }}
    location /good {{ auth off; proxy_pass http://@origin@; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key, tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(json.dumps(key_set(rsa_key)))
    return {"keys": file}


class Growth:
    """How far counters grew since it was made."""

    def __init__(self, gateway):
        self.gateway, self.before = gateway, gateway.metrics()

    def of(self, name: str) -> float:
        name = f"gateway_jwt_{name}_total"
        return self.gateway.metrics().sum(name) - self.before.sum(name)


def stranger() -> SigningKey:
    """A key that goes by the name of the issuer's."""
    return SigningKey("RS256", "rsa-1")


def test_many_at_once_with_one_new_token_cost_one_verification(gateway, origin, rsa_key):
    request = get("/x", bearer(rsa_key.token(x="all at once")))
    clients = [gateway.connect() for _ in range(64)]
    growth = Growth(gateway)
    for client in clients:
        client.send(request)
    for client in clients:
        assert client.read_response().status == 200
        client.close()
    assert growth.of("verifications") == 1
    assert growth.of("cache_misses") == 1 and growth.of("cache_hits") == 63


def test_many_at_once_with_one_bad_token_cost_one_verification(gateway, origin):
    request = get("/x", bearer(stranger().token()))
    clients = [gateway.connect() for _ in range(64)]
    growth = Growth(gateway)
    for client in clients:
        client.send(request)
    for client in clients:
        check_invalid_token(client.read_response(), "signature_invalid")
        client.close()
    assert growth.of("verifications") <= 2, "or two, when the second went by"
    assert growth.of("cache_negative_hits") >= 62


def test_refused_token_is_remembered_for_a_moment(gateway, origin):
    token, growth = stranger().token(), Growth(gateway)
    check_invalid_token(gateway.request(get("/x", bearer(token))), "signature_invalid")
    response = expect_refusal(gateway, origin, get("/x", bearer(token)), 401, "signature_invalid", closed=False)
    check_invalid_token(response, "signature_invalid")
    assert growth.of("verifications") == 1 and growth.of("cache_negative_hits") == 1
    time.sleep(3.1)
    growth = Growth(gateway)
    check_invalid_token(gateway.request(get("/x", bearer(token))), "signature_invalid")
    assert growth.of("verifications") == 1 and growth.of("cache_negative_hits") == 0


def test_refused_token_is_not_remembered_when_that_is_off(gateway, origin):
    token, growth = stranger().token(), Growth(gateway)
    for _ in range(5):
        check_invalid_token(gateway.request(get("/forgetful/x", bearer(token))), "signature_invalid")
    assert growth.of("verifications") == 5 and growth.of("cache_negative_hits") == 0


def test_missing_key_and_time_are_not_remembered(gateway, origin, rsa_key):
    growth = Growth(gateway)
    early = rsa_key.token(nbf=int(time.time()) + 2)
    unknown = SigningKey("RS256", "nobody").token()
    with gateway.connect() as client:
        for _ in range(3):
            check_invalid_token(client.request(get("/x", bearer(unknown))), "key_unknown")
            check_invalid_token(client.request(get("/x", bearer(early))), "token_not_yet_valid")
        assert growth.of("cache_negative_hits") == 0
        wait_until(lambda: client.request(get("/x", bearer(early))).status == 200, 4, what="the token's time has come")


def test_bounds_hold_and_bad_tokens_push_nobody_out(gateway, origin, rsa_key):
    with gateway.connect() as client:
        for number in range(40):
            assert client.request(get("/x", bearer(rsa_key.token(sub=f"many-{number}")))).status == 200
        metrics, growth = gateway.metrics(), Growth(gateway)
        assert metrics.sum("gateway_jwt_cache_entries") == 32
        assert 0 < metrics.sum("gateway_jwt_cache_bytes") <= 64 << 10
        assert metrics.sum("gateway_jwt_cache_evictions_total") >= 8
        for number in range(200):
            check_invalid_token(client.request(get("/x", bearer(f"a.b.{number}"))), "token_malformed")
    assert growth.of("cache_evictions") == 0
    assert gateway.metrics().sum("gateway_jwt_cache_entries") == 32


def test_survives_a_reload(gateway, origin, rsa_key):
    token, bad = rsa_key.token(sub="before and after"), stranger().token()
    assert gateway.request(get("/x", bearer(token))).status == 200
    reloads = gateway.metrics().sum("gateway_config_reloads_total", result="ok")
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.metrics().sum("gateway_config_reloads_total", result="ok") == reloads + 1)
    growth = Growth(gateway)
    assert gateway.request(get("/x", bearer(token))).status == 200
    assert growth.of("verifications") == 0 and growth.of("cache_hits") == 1
    check_invalid_token(gateway.request(get("/x", bearer(bad))), "signature_invalid")
