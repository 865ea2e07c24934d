"""API keys: of a file by their hashes, or known to a service (security rows A13, A16 and A19)."""

import hashlib
import json
import signal
import time

import pytest

from harness.raw import get
from harness.refusals import check_answer, expect_only_good_at
from harness.revocations import entry as revocation
from harness.revocations import revoke
from harness.services import Service
from harness.tokens import bearer, key_set
from harness.waiting import wait_until

KEY, READER, REVOKED, EXPIRED = (f"gk_live_{name}_{'s' * 32}" for name in ("admin", "reader", "revoked", "expired"))
CONFIGURATION = """
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider partners api_key { file @keys@; prefix gk_live_; from header X-API-Key query k cookie key; }
auth_provider main jwt { issuer https://id.example.com; audience orders; key_file @signing@; }
revocation gone { }
server {
    listen 127.0.0.1:@port@;
    auth partners;
    location / { proxy_pass http://@origin@; }
    location /revocable { revocation gone; proxy_pass http://@origin@; }
    location /data { require permission read:data; proxy_pass http://@origin@; }
    location /any { auth any main partners; proxy_pass http://@origin@; }
    location /all { auth all main partners; proxy_pass http://@origin@; }
    location /forward { forward_token on; proxy_pass http://@origin@; }
    location /good { auth off; proxy_pass http://@origin@; }
    location /own { auth partners; return 200 "ok"; }
}
"""


def entry(number: str, key: str, **members) -> dict:
    return {"id": number, "hash": hashlib.sha256(key.encode()).hexdigest(), **members}


def file_of(*entries: dict) -> str:
    return json.dumps({"keys": list(entries)})


ADMIN = entry("k1", KEY, subject="svc build", permissions=["read:data", "write:data"], roles=["admin"], name="CI")


@pytest.fixture(scope="module")
def values(tmp_path_factory, rsa_key):
    folder = tmp_path_factory.mktemp("keys")
    keys, signing = folder / "api_keys.json", folder / "jwks.json"
    keys.write_text(
        file_of(
            ADMIN,
            entry("k2", READER, expires_at=int(time.time()) + 3600),
            entry("k3", REVOKED, revoked=True, permissions=["read:data"]),
            entry("k4", EXPIRED, expires_at=int(time.time()) - 1),
        )
    )
    signing.write_text(json.dumps(key_set(rsa_key)))
    return {"keys": keys, "signing": signing}


def key(value: str) -> str:
    return f"X-API-Key: {value}"


def check_refused(response, code: str) -> None:
    check_answer(response, 401, code, closed=False)
    assert response.get("www-authenticate") == 'ApiKey realm="partners"'


def test_a_key_lets_in_and_says_who(gateway, origin):
    for _ in range(3):
        assert gateway.request(get("/data", key(KEY))).status == 200
    assert origin.last.get("x-auth-subject") == "svc build"
    assert origin.last.get("x-auth-permissions") == "read:data,write:data"
    assert origin.last.get("x-auth-provider") == "partners"
    assert origin.last.get("x-api-key") is None
    line = gateway.wait_for_log_line(lambda line: line["auth_subject"] == "svc build" and line["auth_cache"] == "hit")
    assert line["auth_provider"] == "partners"
    assert gateway.request(get("/x", key(READER))).status == 200
    assert origin.last.get("x-auth-subject") == "k2", "without a subject the id is one"
    response = gateway.request(get("/data", key(READER)))
    assert response.status == 403 and response.code == "insufficient_scope"


def test_A13_no_key(gateway, origin):
    for data in (get("/x"), get("/x", "X-API-Key:"), get("/x", bearer("a.b.c")), get("/x?k=")):
        check_refused(gateway.request(data), "api_key_missing")
    expect_only_good_at(origin)


@pytest.mark.parametrize(
    "value",
    [KEY + "x", KEY[:-1], KEY.upper(), "gk_test_" + KEY[8:], "gk_live_", "x", KEY.replace("gk_", "Gk_"), "a" * 9000],
)
def test_A13_wrong_keys(gateway, origin, value):
    origin.reset()
    before = gateway.rejected("api_key_invalid")
    for _ in range(2):
        check_refused(gateway.request(get("/x", key(value))), "api_key_invalid")
    assert gateway.rejected("api_key_invalid") == before + 2
    expect_only_good_at(origin)


def test_A13_revoked_and_expired(gateway, origin):
    origin.reset()
    check_refused(gateway.request(get("/x", key(REVOKED))), "api_key_revoked")
    check_refused(gateway.request(get("/x", key(EXPIRED))), "api_key_invalid")
    expect_only_good_at(origin)


def test_A13_a_megabyte(gateway, origin):
    origin.reset()
    response = gateway.request(get("/x", key("gk_live_" + "k" * 1_000_000)))
    assert response.status == 431 and response.code == "header_too_large"
    expect_only_good_at(origin)


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/x", (key(KEY), key(KEY))),
        ("/x", (key(KEY), f"x_api_key: {READER}")),
        (f"/x?k={KEY}", (key(KEY),)),
        (f"/x?k={KEY}&k={KEY}", ()),
        (f"/x?k={KEY}&%6b={READER}", ()),
        (f"/x?k={KEY}", (f"Cookie: key={KEY}",)),
        ("/x", (f"Cookie: key={KEY}; key={READER}",)),
    ],
)
def test_A13_several_places(gateway, origin, target, fields):
    origin.reset()
    response = gateway.request(get(target, *fields))
    check_answer(response, 400, "invalid_request", closed=False)
    expect_only_good_at(origin)
    line = gateway.wait_for_log_line(lambda line: line["auth_reason"] == "invalid_request" and line["path"] != "/good")
    assert "s" * 32 not in json.dumps(gateway.access_log()), line
    assert "s" * 32 not in gateway.log


@pytest.mark.parametrize("path", ["/x", "/forward"])
def test_A16_keys_in_other_places_travel_no_further(gateway, origin, path):
    assert gateway.request(get(f"{path}?a=b&k={KEY}&c=d", "X-Other: x")).status == 200
    assert origin.last.target == f"{path}?a=b&c=d"
    assert gateway.request(get(f"{path}?k={KEY}")).status == 200
    assert origin.last.target == path
    assert gateway.request(get(f"{path}?k={KEY}&c=d")).status == 200
    assert origin.last.target == f"{path}?c=d"
    assert gateway.request(get(f"{path}?c=d&k={KEY}")).status == 200
    assert origin.last.target == f"{path}?c=d"
    assert gateway.request(get(path, f"Cookie: a=b; key={KEY}; c=d")).status == 200
    assert origin.last.get("cookie") == "a=b; c=d"
    assert gateway.request(get(path, key(KEY))).status == 200
    for request in origin.requests:
        assert KEY.encode() not in request.head
    wait_until(lambda: len(gateway.access_log()) > 5)
    assert "s" * 32 not in json.dumps(gateway.access_log()) and "s" * 32 not in gateway.log


def test_A16_answers_are_not_for_everybody(gateway, origin):
    assert gateway.request(get("/x", key(KEY))).all("cache-control") == ["private"]
    assert gateway.request(get("/x", f"Cookie: key={KEY}")).all("cache-control") == ["private"]
    assert gateway.request(get(f"/x?k={KEY}")).all("cache-control") == ["no-store"]
    assert gateway.request(get("/own", key(KEY))).all("cache-control") == ["private"]
    assert gateway.request(get("/good")).all("cache-control") == []


def test_A19_a_token_and_a_key(gateway, origin, rsa_key):
    token = rsa_key.token()
    assert gateway.request(get("/any", bearer(token))).status == 200
    assert origin.last.get("x-auth-provider") == "main"
    assert gateway.request(get("/any", key(KEY))).status == 200
    assert origin.last.get("x-auth-provider") == "partners"
    origin.reset()
    for fields in ((bearer(token), key(KEY)), (bearer("a.b.c"), key(KEY)), (bearer(token), key("wrong"))):
        response = gateway.request(get("/any", *fields))
        check_answer(response, 400, "invalid_request", closed=False)
    response = gateway.request(get("/any"))
    check_answer(response, 401, "token_missing", closed=False)
    assert response.all("www-authenticate") == ['Bearer realm="main"', 'ApiKey realm="partners"']
    expect_only_good_at(origin)


def test_both_where_both_are_wanted(gateway, origin, rsa_key):
    token = rsa_key.token()
    assert gateway.request(get("/all", bearer(token), key(KEY))).status == 200
    assert origin.last.get("x-auth-subject") == "alice"
    for fields, code in (((bearer(token),), "api_key_missing"), ((key(KEY),), "token_missing")):
        response = gateway.request(get("/all", *fields))
        assert response.status == 401 and response.code == code


def test_a_changed_file_counts_from_the_reload_on(start, tmp_path, values):
    file = tmp_path / "keys.json"
    file.write_text(file_of(ADMIN))
    gateway = start(CONFIGURATION, keys=file, signing=values["signing"])
    assert gateway.request(get("/x", key(KEY))).status == 200
    file.write_text(file_of(ADMIN | {"revoked": True}, entry("k2", READER)))
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.request(get("/x", key(READER))).status == 200)
    check_refused(gateway.request(get("/x", key(KEY))), "api_key_revoked")
    file.write_text('{"keys": [\n  {"id": "k1", "hash": "abc"}]}')
    gateway.send_signal(signal.SIGHUP)
    gateway.wait_for_notice(f"{file}:2:25: SHA-256 of the key, in hexadecimal or base64url, is expected here")
    assert gateway.request(get("/x", key(READER))).status == 200


def test_a_key_is_revoked_by_its_id(start, values):
    gateway = start(CONFIGURATION, **values)
    for _ in range(6):
        assert gateway.request(get("/revocable", key(KEY))).status == 200
    assert revoke(gateway, revocation("api_key", "k1", issuer="")).status == 200
    wait_until(lambda: gateway.request(get("/revocable", key(KEY))).status == 401)
    for _ in range(6):
        check_refused(gateway.request(get("/revocable", key(KEY))), "api_key_revoked")
    assert gateway.request(get("/revocable", key(READER))).status == 200
    assert gateway.request(get("/x", key(KEY))).status == 200, "only where the block is named"


ASKING = """
worker_processes 2;
error_log stderr info;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider partners api_key { url @service@; client_id gw; client_secret x; prefix gk_live_; cache 30s; }
server {
    listen 127.0.0.1:@port@;
    auth partners;
    location / { require permission read:data; proxy_pass http://@origin@; }
    location /good { auth off; proxy_pass http://@origin@; }
}
"""


def test_keys_that_a_service_knows(start, origin):
    service = Service()
    try:
        service.answers[KEY] = {"active": True, "sub": "svc", "permissions": ["read:data"]}
        gateway = start(ASKING, service=service.url)
        for _ in range(6):
            assert gateway.request(get("/x", key(KEY))).status == 200
        assert origin.last.get("x-auth-subject") == "svc"
        assert len(service.questions) == 1
        assert service.questions[0].form == {"token": KEY, "token_type_hint": "api_key"}
        check_refused(gateway.request(get("/x", key("gk_live_other"))), "api_key_invalid")
        check_refused(gateway.request(get("/x", key("other"))), "api_key_invalid")
        assert len(service.questions) == 2, "what does not begin right is not asked about"
        service.mode = "fail"
        response = gateway.request(get("/x", key("gk_live_third")))
        check_answer(response, 503, "introspection_unavailable", closed=False)
        assert KEY not in gateway.log
    finally:
        service.close()


def test_a_key_outlives_what_its_owner_held(start, origin):
    """All that a user held was ended: what a service said of his keys before that is asked again, once."""
    service = Service()
    try:
        now = int(time.time())
        answer = {"active": True, "sub": "svc", "permissions": ["read:data"], "iat": now - 60}
        service.answers[KEY] = answer | {"api_key_id": "k1"}
        service.answers[KEY + "2"] = answer | {"api_key_id": "k2"}
        configuration = ASKING.replace("auth partners;", "auth partners; revocation logouts;").replace(
            "server {", "revocation logouts { }\nserver {")
        gateway = start(configuration, service=service.url)

        def ask(value: str):
            return gateway.request(get("/x", key(value)))

        for _ in range(6):
            assert ask(KEY).status == 200 and ask(KEY + "2").status == 200
        assert len(service.questions) == 2
        service.answers[KEY] = service.answers[KEY] | {"iat": now + 2}
        assert revoke(gateway, revocation("sub", "svc", issuer="", before=now + 2)).status == 200
        for _ in range(6):
            assert ask(KEY).status == 200
            check_refused(ask(KEY + "2"), "api_key_revoked")
        questions = len(service.questions)
        assert 4 <= questions <= 6, "each worker asks once more about each key, and what stays revoked is remembered"
        # The key itself: nobody need be asked.
        assert revoke(gateway, revocation("api_key", "k1", issuer="")).status == 200
        for _ in range(6):
            check_refused(ask(KEY), "api_key_revoked")
        assert len(service.questions) == questions
    finally:
        service.close()
