"""The words of older clients: `token` and `refreshToken`, on the short paths and only when asked for."""

import pytest

from harness.backend import backend, backend_key, module_backend, prepare, problem  # noqa: F401

PASSWORD = {"username": "alice", "password": "correct horse"}
CAMEL = {"token", "tokenType", "expiresIn", "refreshToken"}


@pytest.mark.parametrize("folder", ["", "/auth"])
def test_camel_names_when_asked(backend, folder):
    login = backend.auth.post(f"{folder}/login?names=camel", json=PASSWORD)
    assert login.status_code == 200, login.text
    assert set(login.json()) == CAMEL
    assert backend.claims(login.json()["token"])["sub"] == "alice"
    body = {"refreshToken": login.json()["refreshToken"]}
    renewed = backend.auth.post(f"{folder}/refresh?names=camel", json=body)
    assert set(renewed.json()) == CAMEL
    # The access token that goes along decides nothing.
    body = {"token": login.json()["token"], "refreshToken": renewed.json()["refreshToken"]}
    assert backend.auth.post(f"{folder}/refresh?names=camel", json=body).status_code == 200


def test_standard_names_are_taken_too(backend):
    token = backend.login()["refresh_token"]
    answer = backend.auth.post("/refresh?names=camel", json={"refresh_token": token})
    assert set(answer.json()) == CAMEL


def test_both_spellings_are_refused(backend):
    token = backend.login()["refresh_token"]
    body = {"refresh_token": token, "refreshToken": token}
    for path in ("/refresh?names=camel", "/auth/refresh?names=camel", "/refresh", "/api/v1/auth/refresh"):
        members = problem(backend.auth.post(path, json=body), 400, "invalid_request")
        assert members["member"] == "refreshToken"
    assert backend.refresh(token).status_code == 200


def test_camel_names_are_strangers_unless_asked(backend):
    token = backend.login()["refresh_token"]
    for path in ("/refresh", "/auth/refresh", "/api/v1/auth/refresh", "/api/v1/auth/refresh?names=camel"):
        answer = backend.auth.post(path, json={"refreshToken": token})
        assert problem(answer, 400, "invalid_request")["member"] == "refreshToken"
    # The full path knows the standard's words only.
    assert "access_token" in backend.auth.post("/api/v1/auth/login?names=camel", json=PASSWORD).json()


@pytest.mark.parametrize("query", ["names=snake", "names=", "names=camel&names=camel", "names=CAMEL"])
def test_other_names_do_not_exist(backend, query):
    assert problem(backend.auth.post(f"/login?{query}", json=PASSWORD), 400, "invalid_request")["member"] == "names"
    answer = backend.auth.post(f"/refresh?{query}", json={"refresh_token": "A" * 43})
    assert problem(answer, 400, "invalid_request")["member"] == "names"


def test_a_browser_gets_no_refresh_token_in_any_spelling(backend):
    answer = backend.auth.post("/login?names=camel", json=PASSWORD,
                               headers={"Sec-Fetch-Site": "same-origin"})
    backend.auth.cookies.clear()
    assert set(answer.json()) == CAMEL - {"refreshToken"}
    assert answer.headers["set-cookie"].startswith("refresh-dev=")


@pytest.mark.parametrize("body,member", [({"refreshToken": 1}, "refreshToken"), ({"refreshToken": ""}, "refreshToken"),
                                         ({"token": 1, "refreshToken": "x"}, "token"),
                                         ({"refreshToken": "x", "accessToken": "y"}, "accessToken")])
def test_camel_bodies_are_read_strictly(backend, body, member):
    answer = backend.auth.post("/refresh?names=camel", json=body)
    assert problem(answer, 400, "invalid_request")["member"] == member
