"""Refresh tokens that are JWTs: what they say, that nothing takes them for access tokens, and that the format may change."""

import base64
import hashlib
import json
import secrets
import time

import jwt
import pytest

from harness.backend import backend_key, bearer, prepare, problem  # noqa: F401
from harness.oauth import CLIENTS, ask, introspect
from harness.revocations import RedisServer
from harness.waiting import wait_until

ISSUER = "https://localhost:8443"
NAME = "rt-2026a"
IDLE_SECONDS, LIFETIME_SECONDS = 7 * 86400, 30 * 86400


def with_secret(backend, secret: str | None = None, name: str = NAME, mode: int = 0o600) -> str:
    return str(backend.write(f"keys/{name}.secret", (secret or secrets.token_hex(32)) + "\n", mode=mode))


def flags(file: str) -> tuple[str, ...]:
    return "--refresh-token-format", "jwt", "--refresh-token-secrets", file


@pytest.fixture(params=["database", "redis"])
def backend(request, prepare, tmp_path):
    backend = prepare().know(*CLIENTS)
    backend.secret = secrets.token_hex(32)
    with_secret(backend, backend.secret)
    shared = ()
    if request.param == "redis":
        folder = tmp_path / "redis"
        folder.mkdir()
        redis = RedisServer(folder)
        request.addfinalizer(redis.kill)
        shared = ("--redis", f"redis://127.0.0.1:{redis.port}")
    backend.flags = (*flags(str(backend.folder / f"keys/{NAME}.secret")), *shared)
    return backend


def claims(backend, token: str) -> dict:
    return jwt.decode(token, backend.secret, algorithms=["HS256"], audience=ISSUER, issuer=ISSUER)


def forged(backend, token: str, secret: str | None = None, header: dict | None = None, **changes) -> str:
    """The same token with other claims, signed with the right secret unless another is given."""
    content = {k: v for k, v in (claims(backend, token) | changes).items() if v is not None}
    return jwt.encode(content, secret or backend.secret, algorithm=(header or {}).get("alg", "HS256"),
                      headers={"typ": "rt+jwt", "kid": NAME} | (header or {}))


def test_says_whose_it_is_and_until_when(backend):
    backend.start(*backend.flags)
    before = int(time.time())
    login = backend.login()
    token = login["refresh_token"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "rt+jwt", "kid": NAME}
    said = claims(backend, token)
    assert set(said) == {"iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id"}
    access = backend.claims(login["access_token"])
    assert (said["sub"], said["sid"], said["client_id"]) == (access["sub"], access["sid"], access["client_id"])
    assert before - 1 <= said["iat"] <= time.time() and said["exp"] == said["iat"] + IDLE_SECONDS
    assert len(base64.urlsafe_b64decode(said["jti"] + "=")) == 32
    assert said["jti"] != access["jti"]


def test_never_outlives_its_session(backend):
    backend.start(*backend.flags, "--refresh-token-lifetime", "60s")
    login = backend.login()
    first = claims(backend, login["refresh_token"])
    time.sleep(1.1)
    second = claims(backend, backend.refresh(login["refresh_token"]).json()["refresh_token"])
    assert first["exp"] - first["iat"] in (59, 60) and second["iat"] > first["iat"]
    assert abs(second["exp"] - first["exp"]) <= 1, "the end of the session"


def test_rotates_and_gives_the_same_successor_again(backend):
    backend.start(*backend.flags, "--refresh-grace", "2s")
    login = backend.login()
    first = backend.refresh(login["refresh_token"])
    time.sleep(1.1)
    again = backend.refresh(login["refresh_token"])
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["refresh_token"] == again.json()["refresh_token"] != login["refresh_token"]
    assert claims(backend, first.json()["refresh_token"])["sid"] == claims(backend, login["refresh_token"])["sid"]
    assert backend.refresh(first.json()["refresh_token"]).status_code == 200


def test_B03_reuse_after_the_grace_ends_the_session(backend):
    backend.start(*backend.flags, "--refresh-grace", "1s")
    login = backend.login()
    successor = backend.refresh(login["refresh_token"]).json()["refresh_token"]
    time.sleep(1.2)
    problem(backend.refresh(login["refresh_token"]), 401, "refresh_reused")
    problem(backend.refresh(successor), 401, "refresh_revoked")
    assert backend.validate(login["access_token"]) == "Invalid"


def test_what_is_wrong_with_it_is_found_before_anything_is_spent(backend):
    backend.start(*backend.flags, "--refresh-grace", "0s")
    login = backend.login()
    token = login["refresh_token"]
    head, payload, signature = token.split(".")
    unsigned = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "rt+jwt", "kid": NAME}).encode()).decode().rstrip("=")
    for wrong in (
        forged(backend, token, secret="x" * 64), forged(backend, token, aud="gateway-demo"), forged(backend, token, iss="https://else"),
        forged(backend, token, header={"typ": "at+jwt"}), forged(backend, token, header={"typ": "JWT"}),
        forged(backend, token, header={"kid": "other"}), forged(backend, token, header={"alg": "HS512"}),
        forged(backend, token, header={"crit": ["x"]}), forged(backend, token, jti=None), forged(backend, token, jti="short"),
        forged(backend, token, exp=None), forged(backend, token, iat=int(time.time()) + 3600), forged(backend, token, sub=None),
        f"{head}.{payload}.", f"{head}.{payload}", f"{token}.", f".{token}", f"{head}.{payload}.{signature[:-1]}",
        f"{unsigned}.{payload}.", "..", "a.b.c", "." * 8000, login["access_token"],
    ):
        problem(backend.refresh(wrong), 401, "refresh_invalid")
    problem(backend.refresh(forged(backend, token, exp=int(time.time()) - 60)), 401, "refresh_expired")
    # A claim that was changed by whoever holds the secret changes nothing: the store decides.
    other = forged(backend, token, sub="admin", sid="1", exp=int(time.time()) + 10**9)
    assert backend.claims(backend.refresh(other).json()["access_token"])["sub"] == "alice"
    problem(backend.refresh(token), 401, "refresh_reused")


def test_is_no_access_token(backend):
    backend.start(*backend.flags)
    login = backend.login()
    token = login["refresh_token"]
    assert backend.validate(token) == "Invalid"
    assert backend.get("/api/protected/data", token).status_code == 401
    assert introspect(backend, token) == {"active": False}
    assert backend.refresh(token).status_code == 200


def test_programs_use_it_too(backend):
    """RFC 7009, RFC 7662 and the refresh grant take what they are given."""
    backend.start(*backend.flags)
    token = backend.login()["refresh_token"]
    known = introspect(backend, token, "refresh_token")
    assert known["active"] is True and known["sub"] == "alice" and known["sid"] == claims(backend, token)["sid"]
    answer = ask(backend, "/oauth/token", "web", grant_type="refresh_token", refresh_token=token)
    assert answer.status_code == 200, answer.text
    successor = answer.json()["refresh_token"]
    assert claims(backend, successor)["sid"] == known["sid"]
    spoiled = ask(backend, "/oauth/token", "web", grant_type="refresh_token", refresh_token=successor[:-2] + "AA")
    assert (spoiled.status_code, spoiled.json()["error"], spoiled.json()["code"]) == (400, "invalid_grant", "refresh_invalid")
    assert ask(backend, "/oauth/revoke", "web", token=successor).status_code == 200
    problem(backend.refresh(successor), 401, "refresh_revoked")


def test_ends_its_session(backend):
    backend.start(*backend.flags)
    for path in ("logout", "logout-all"):
        login = backend.login()
        answer = backend.auth.post(f"/api/v1/auth/{path}", json={"refresh_token": login["refresh_token"]})
        assert answer.status_code == 204, answer.text
        problem(backend.refresh(login["refresh_token"]), 401, "refresh_revoked")
        assert backend.validate(login["access_token"]) == "Invalid"


def test_browser_has_it_in_its_cookie(backend):
    backend.start(*backend.flags)
    page = {"Sec-Fetch-Site": "same-origin", "Origin": ISSUER, "X-Requested-With": "fetch"}
    answer = backend.auth.post("/api/v1/auth/login", json={"username": "alice", "password": "correct horse"}, headers=page)
    assert answer.status_code == 200 and "refresh_token" not in answer.json(), answer.text
    cookie = answer.headers["set-cookie"].split(";")[0]
    assert claims(backend, cookie.split("=", 1)[1])["sub"] == "alice" and len(cookie) < 1024
    backend.auth.cookies.clear()
    renewed = backend.auth.post("/api/v1/auth/refresh", headers=page | {"Cookie": cookie, "Content-Type": "application/json"})
    assert renewed.status_code == 200, renewed.text


def test_sessions_live_on_when_the_format_changes(backend):
    opaque = backend.flags[4:]
    backend.start(*opaque)
    plain = backend.login()["refresh_token"]
    assert "." not in plain
    backend.stop()
    backend.start(*backend.flags)
    signed = backend.refresh(plain).json()["refresh_token"]
    assert claims(backend, signed)["sub"] == "alice"
    backend.stop()
    backend.start(*opaque, *backend.flags[2:4])
    again = backend.refresh(signed)
    assert again.status_code == 200 and "." not in again.json()["refresh_token"]


def test_sessions_live_on_when_keys_are_rotated(backend):
    """The keys of access tokens have no part in it; secrets are replaced while both are given, without a restart."""
    older = with_secret(backend, name="older")
    backend.start("--refresh-token-format", "jwt", "--refresh-token-secrets", f"{older}, {backend.flags[3]}", *backend.flags[4:])
    token = backend.login()["refresh_token"]
    assert jwt.get_unverified_header(token)["kid"] == "older"
    backend.stop()
    backend.start("--refresh-token-format", "jwt", "--refresh-token-secrets", f"{backend.flags[3]}, {older}", *backend.flags[4:])
    renewed = backend.refresh(token).json()["refresh_token"]
    assert jwt.get_unverified_header(renewed)["kid"] == NAME
    # The content is replaced: what it signed is refused, what is signed from now on is good.
    backend.secret = secrets.token_hex(32)
    with_secret(backend, backend.secret)
    wait_until(lambda: "secrets of refresh tokens were re-read" in backend.log, what="the secret was read again")
    problem(backend.refresh(renewed), 401, "refresh_invalid")
    assert claims(backend, backend.login()["refresh_token"])["sub"] == "alice"


def test_B09_the_store_holds_no_live_token(prepare):
    backend = prepare()
    secret = secrets.token_hex(32)
    backend.start(*flags(with_secret(backend, secret)), "--log-level", "trace")
    login = backend.login()
    successor = backend.refresh(login["refresh_token"]).json()["refresh_token"]
    dump = b"".join(path.read_bytes() for path in backend.folder.glob("run/*")) + backend.log.encode()
    for token in (login["refresh_token"], successor):
        jti = jwt.decode(token, secret, algorithms=["HS256"], audience=ISSUER)["jti"]
        for hidden in (jti, token, token.split(".")[1], token.split(".")[2], secret):
            assert hidden.encode() not in dump
        assert hashlib.sha256(jti.encode()).digest() in dump
    backend.stop()


@pytest.mark.parametrize("more,sentence", [
    ((), "refresh_token_format jwt needs refresh_token_secrets"),
    (("--refresh-token-secrets", "{short}"), "the secret has 8 bytes and needs 32 or more"),
    (("--refresh-token-secrets", "{open}"), "open.secret"),
    (("--refresh-token-secrets", "{good}", "--hs256-secrets", "{good}"), "the secret of refresh tokens must not sign access tokens, too"),
    (("--refresh-token-secrets", "nowhere.secret"), "nowhere.secret"),
])
def test_secret_that_will_not_do_is_refused_at_the_start(prepare, more, sentence):
    backend = prepare()
    files = {"short": with_secret(backend, "12345678", "short"), "open": with_secret(backend, name="open", mode=0o644),
             "good": with_secret(backend)}
    assert sentence in backend.refuses_to_start("--refresh-token-format", "jwt", *(part.format(**files) for part in more))


def test_format_has_two_names(prepare):
    assert 'the setting refresh_token_format must be opaque or jwt, not "paseto"' in prepare().refuses_to_start(
        "--refresh-token-format", "paseto")
