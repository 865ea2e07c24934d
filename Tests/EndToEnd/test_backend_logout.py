"""Logout, here and everywhere: what is dead afterwards, what lives on, and what the gateways will be told."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.backend import backend, backend_key, bearer, module_backend, prepare, problem  # noqa: F401
from harness.waiting import wait_until


@pytest.mark.parametrize("path", ["/api/v1/auth/logout", "/auth/logout", "/logout"])
def test_logout_with_the_access_token_ends_its_session(backend, path):
    login, other = backend.login(), backend.login()
    assert backend.validate(login["access_token"]) == "Valid"
    answer = backend.auth.post(path, headers=bearer(login["access_token"]))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    problem(backend.refresh(login["refresh_token"]), 401, "refresh_revoked")
    problem(backend.auth.post(path, headers=bearer(login["access_token"])), 401, "token_revoked")
    assert backend.validate(login["access_token"]) == "Invalid"
    claims = backend.claims(login["access_token"])
    entries = backend.revocations[-2:]
    assert {(entry["kind"], entry["value"]) for entry in entries} == {("sid", claims["sid"]), ("jti", claims["jti"])}
    for entry in entries:
        assert entry["issuer"] == "https://localhost:8443" and entry["before"] is None
        assert entry["until"] > claims["exp"] + 30
    assert backend.validate(other["access_token"]) == "Valid"
    assert backend.refresh(other["refresh_token"]).status_code == 200


def test_logout_with_the_refresh_token_kills_access_tokens_and_ends_the_grace(backend):
    login = backend.login()
    assert backend.refresh(login["refresh_token"]).status_code == 200
    # A spent token still says which session is meant: the answer with its successor may be the one that was lost.
    body = {"refresh_token": login["refresh_token"]}
    assert backend.auth.post("/logout", json=body).status_code == 204
    problem(backend.refresh(login["refresh_token"]), 401, "refresh_revoked")
    assert backend.validate(login["access_token"]) == "Invalid"
    count = len(backend.revocations)
    assert backend.auth.post("/logout", json=body).status_code == 204
    assert len(backend.revocations) == count


def test_B12_logout_of_an_unknown_token_is_no_oracle(backend):
    for token in ["x", "A" * 43]:
        assert backend.auth.post("/logout", json={"refresh_token": token}).status_code == 204


def told_dead(backend, login: dict) -> bool:
    """Whether the gateways are told that this token is dead: by its subject, or, when others of the same second count,
    by its session."""
    claims = backend.claims(login["access_token"])
    dead = {(entry["kind"], entry["value"]) for entry in backend.revocations
            if entry["before"] is None or claims["iat"] < entry["before"]}
    return bool(dead & {("sid", claims["sid"]), ("sub", claims["sub"])})


@pytest.mark.parametrize("path", ["/api/v1/auth/logout-all", "/auth/logout-all", "/logout-all"])
@pytest.mark.parametrize("by", ["access", "refresh"])
def test_logout_everywhere_ends_all_of_the_user_and_nothing_else(backend, path, by):
    # Of this second, which is over when valid_from begins.
    first, second, other = backend.login(), backend.login(), backend.login("admin", "battery staple")
    if by == "access":
        answer = backend.auth.post(path, headers=bearer(first["access_token"]))
    else:
        answer = backend.auth.post(path, json={"refresh_token": first["refresh_token"]})
    assert answer.status_code == 204
    # At once, in the same second: the new login must count although the old ones do not.
    again = backend.login()
    for login in (first, second):
        problem(backend.refresh(login["refresh_token"]), 401, "refresh_revoked")
        assert backend.validate(login["access_token"]) == "Invalid"
        assert told_dead(backend, login)
    assert backend.validate(again["access_token"]) == "Valid"
    assert backend.refresh(again["refresh_token"]).status_code == 200
    assert backend.validate(other["access_token"]) == "Valid"
    assert backend.refresh(other["refresh_token"]).status_code == 200


def test_logout_everywhere_twice_in_one_second_ends_what_was_made_between(backend):
    kept, admin = backend.login()["refresh_token"], bearer(backend.login("admin", "battery staple"))
    sessions = "/api/v1/admin/sessions?user=alice"
    with ThreadPoolExecutor(1) as pool:
        # Early in a second, so that all of it happens in that one.
        time.sleep(1.02 - time.time() % 1)
        assert backend.auth.delete(sessions, headers=admin).status_code == 204
        login = pool.submit(backend.login)
        wait_until(lambda: backend.auth.get(sessions, headers=admin).json()["sessions"], within=0.9, what="a session")
        assert backend.auth.delete(sessions, headers=admin).status_code == 204
        assert time.time() % 1 > 0.02
        login = login.result()
    assert backend.validate(login["access_token"]) == "Invalid"
    problem(backend.refresh(login["refresh_token"]), 401, "refresh_revoked")
    assert told_dead(backend, login)
    problem(backend.refresh(kept), 401, "refresh_revoked")
    assert backend.validate(backend.login()["access_token"]) == "Valid"


def test_logout_everywhere_needs_a_live_token(backend):
    problem(backend.auth.post("/logout-all", json={"refresh_token": "A" * 43}), 401, "refresh_invalid")
    problem(backend.auth.post("/logout-all", headers=bearer("x")), 401, "token_malformed")
    login = backend.login()
    assert backend.auth.post("/logout", json={"refresh_token": login["refresh_token"]}).status_code == 204
    problem(backend.auth.post("/logout-all", json={"refresh_token": login["refresh_token"]}), 401, "refresh_invalid")
    problem(backend.auth.post("/logout-all", headers=bearer(login["access_token"])), 401, "token_revoked")


def test_a_logout_survives_a_kill(prepare):
    backend = prepare().start()
    login = backend.login()
    assert backend.auth.post("/logout", headers=bearer(login["access_token"])).status_code == 204
    backend.kill()
    backend.start()
    assert backend.validate(login["access_token"]) == "Invalid"
    problem(backend.refresh(login["refresh_token"]), 401, "refresh_revoked")
    backend.stop()


def test_B03_reuse_is_pushed_to_the_gateways(prepare):
    backend = prepare().start("--refresh-grace", "0s")
    login = backend.login()
    assert backend.refresh(login["refresh_token"]).status_code == 200
    assert backend.revocations == []
    problem(backend.refresh(login["refresh_token"]), 401, "refresh_reused")
    (entry,) = backend.revocations
    assert (entry["kind"], entry["value"]) == ("sid", backend.claims(login["access_token"])["sid"])
    assert backend.validate(login["access_token"]) == "Invalid"
    backend.stop()


def test_validate_tells_valid_invalid_and_expired(backend):
    caller = bearer(backend.login("admin", "battery staple")["access_token"])
    login = backend.login()

    def said(token: str) -> str:
        answer = backend.auth.post("/api/v1/auth/validate", headers=caller, json={"token": token})
        assert answer.status_code == 200, answer.text
        return answer.json()["status"]

    assert said(login["access_token"]) == "Valid"
    expired = backend.forge(exp=int(time.time()) - 60)
    assert said(expired) == "Expired"
    assert said(login["access_token"][:-8] + "AAAAAAAA") == "Invalid"
    assert said(login["refresh_token"]) == "Invalid"
    assert backend.validate(expired) == "Expired"
    problem(backend.auth.post("/api/v1/auth/validate", json={"token": expired}), 401, "token_missing")
    problem(backend.auth.post("/api/v1/auth/validate", json={"token": expired}, headers=bearer(expired)), 401,
            "token_expired")
    answer = backend.auth.post("/api/v1/auth/validate", headers=caller, json={"token": "x", "admin": True})
    assert problem(answer, 400, "invalid_request")["member"] == "admin"
