"""Clients and the OAuth endpoints for programs: who may ask, what is told, and what is not."""

import base64
import json

import httpx
import pytest

from harness.backend import USERS, backend_key, prepare, problem, running  # noqa: F401
from harness.backend import Backend
from harness.oauth import CLIENTS, SECRETS, ask, basic, introspect

ENDPOINTS = ["/oauth/introspect", "/oauth/revoke", "/oauth/token"]


def refused(answer: httpx.Response, status: int, error: str, code: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["error"] == error and answer.json()["error_description"]
    assert answer.json()["code"] == (code or error)


def test_plain_secrets_become_hashes_in_the_file_and_still_work_after_a_start(prepare):
    backend = prepare().know(*CLIENTS).start()
    text = backend.read("keys/secrets.json")
    for secret in SECRETS.values():
        assert secret not in text and json.dumps(secret) not in text and secret not in backend.log
    assert "correct horse" not in text
    assert backend.log.count("a plain secret was replaced by its hash") == len(CLIENTS)
    assert all(client["secret_hash"].startswith("sha256:") for client in json.loads(text)["clients"])
    backend.stop()
    backend.start()
    assert backend.read("keys/secrets.json") == text
    assert introspect(backend, backend.login()["access_token"])["active"] is True
    backend.stop()


@pytest.mark.parametrize("client,message", [
    ({"id": "a", "secret": "x" * 31, "rights": []}, '"clients[0].secret" must have 32 characters or more'),
    ({"id": "a", "secret_hash": "sha256:abc", "rights": []}, '"clients[0].secret_hash" is not'),
    ({"id": "a", "secret": "x" * 32, "rights": ["all"]}, "a right must be one of"),
    ({"id": "a b", "secret": "x" * 32, "rights": []}, "must be visible ASCII"),
    ({"id": "a", "secret": "x" * 32, "rights": [], "admin": True}, 'unknown member "clients[0].admin"'),
    ({"id": "a", "rights": []}, '"clients[0].secret_hash" is missing'),
    ({"id": "a", "secret": "x" * 32, "secret_hash": "y", "rights": []}, "not both"),
])
def test_bad_client_stops_the_start(prepare, client, message):
    backend = prepare()
    backend.write("keys/secrets.json", json.dumps({"users": USERS, "clients": [client]}), mode=0o600)
    assert message in backend.refuses_to_start()


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("fields,form", [
    ({}, {}), (basic("gateway", "wrong"), {}), (basic("gateway", ""), {}), ({"Authorization": "Basic !"}, {}),
    ({"Authorization": "Bearer x"}, {}), ({}, {"client_id": "gateway"}),
    ({}, {"client_id": "gateway", "client_secret": SECRETS["other"]}),
    ({"Authorization": "Basic " + base64.b64encode(b"nobody:" + b"x" * 32).decode()}, {}),
])
def test_B13_without_client_authentication(running, path, fields, form):
    token = running.login()
    answer = running.auth.post(path, headers=fields, data={
        "token": token["access_token"], "grant_type": "refresh_token", "refresh_token": token["refresh_token"]} | form)
    refused(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"] == 'Basic realm="oauth"'
    assert introspect(running, token["access_token"])["active"] is True
    assert introspect(running, token["refresh_token"], "refresh_token")["active"] is True


@pytest.mark.parametrize("path,client", [("/oauth/introspect", "web"), ("/oauth/revoke", "gateway"),
                                         ("/oauth/token", "gateway"), ("/oauth/introspect", "idle")])
def test_client_without_the_right(running, path, client):
    refused(ask(running, path, client, token="x", grant_type="refresh_token", refresh_token="x"), 403,
            "unauthorized_client", "access_denied")


def test_client_may_show_its_secret_in_the_body_but_not_twice(running):
    form = {"token": "x", "client_id": "gateway", "client_secret": SECRETS["gateway"]}
    assert running.auth.post("/oauth/introspect", data=form).json() == {"active": False}
    refused(running.auth.post("/oauth/introspect", data=form, headers=basic("gateway")), 400, "invalid_request")
    # A secret in the target would be in logs: it is not looked at.
    refused(running.auth.post("/oauth/introspect", data={"token": "x"}, params=form), 401, "invalid_client")


def test_access_token_is_introspected_with_its_claims(running):
    token = running.login("admin", "battery staple")["access_token"]
    claims, answer = running.claims(token), introspect(running, token)
    assert answer.pop("active") is True and answer.pop("token_type") == "Bearer"
    assert answer and answer == {name: claims[name] for name in answer}
    assert {"iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id", "permissions", "roles"} <= set(answer)


def test_B13_inactive_token_is_told_nothing_about(running):
    login = running.login()
    spent = login["refresh_token"]
    assert running.refresh(spent).status_code == 200
    access = login["access_token"]
    cases = [("nonsense", "access_token"), (access[:-8] + "AAAAAAAA", "access_token"), (spent, "refresh_token"),
             (running.forge(exp=1, iat=1, nbf=1), "access_token"), (running.forge(), "access_token"),
             ("gk_live_x", "api_key"), ("gk_live_" + "0" * 24 + "_" + "A" * 43, "api_key")]
    for token, hint in cases:
        assert introspect(running, token, hint) == {"active": False}, (token, hint)


def test_B05_what_is_no_access_token_is_none_for_a_gateway_that_asks(running):
    login = running.login()
    assert introspect(running, login["refresh_token"], "refresh_token")["active"] is True
    for hint in ("access_token", "api_key", "unknown"):
        assert introspect(running, login["refresh_token"], hint) == {"active": False}
    for hint in ("api_key", "refresh_token"):
        assert introspect(running, login["access_token"], hint) == {"active": False}


def test_program_validates_tokens_too(running):
    """POST /api/v1/auth/validate, by a client that may introspect."""
    login = running.login()

    def said(client: str, **options) -> httpx.Response:
        return running.auth.post("/api/v1/auth/validate", headers=basic(client), **options)

    assert said("gateway", json={"token": login["access_token"]}).json() == {"status": "Valid"}
    assert said("gateway", json={"token": running.forge(exp=1)}).json() == {"status": "Expired"}
    assert said("gateway", json={"token": login["refresh_token"]}).json() == {"status": "Invalid"}
    problem(said("gateway", json={}), 400, "invalid_request")
    problem(said("gateway"), 415, "unsupported_media_type")
    refused(said("web", json={"token": login["access_token"]}), 403, "unauthorized_client", "access_denied")
    wrong = running.auth.post("/api/v1/auth/validate", headers=basic("gateway", "w" * 40),
                              json={"token": login["access_token"]})
    refused(wrong, 401, "invalid_client")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_own_token_is_revoked_with_its_session(running, kind):
    login, elsewhere = running.login(), running.login()
    answer = ask(running, "/oauth/revoke", "web", token=login[kind])
    assert (answer.status_code, answer.content) == (200, b"")
    assert introspect(running, login["access_token"]) == {"active": False}
    problem(running.refresh(login["refresh_token"]), 401, "refresh_revoked")
    assert introspect(running, elsewhere["access_token"])["active"] is True
    # A second time there is nothing to do.
    assert ask(running, "/oauth/revoke", "web", token=login[kind]).status_code == 200


def test_revocation_ends_the_grace(running):
    spent = running.login()["refresh_token"]
    assert running.refresh(spent).status_code == 200
    assert ask(running, "/oauth/revoke", "web", token=spent).status_code == 200
    problem(running.refresh(spent), 401, "refresh_revoked")


@pytest.mark.parametrize("token", ["nonsense", "A" * 43, "a.b.c", "gk_live_x"])
def test_B12_unknown_token_is_revoked_without_an_oracle(running, token):
    answer = ask(running, "/oauth/revoke", "web", token=token, token_type_hint="whatever")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_token_of_another_client_is_not_revoked(running, kind):
    login = running.login()
    refused(ask(running, "/oauth/revoke", "other", token=login[kind]), 400, "unauthorized_client")
    assert introspect(running, login["access_token"])["active"] is True
    assert running.refresh(login["refresh_token"]).status_code == 200


def test_refresh_through_the_token_endpoint(running):
    login = running.login()
    answer = ask(running, "/oauth/token", "web", grant_type="refresh_token", refresh_token=login["refresh_token"],
                 colour="blue", client_id="web")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert running.claims(answer.json()["access_token"])["sid"] == running.claims(login["access_token"])["sid"]
    assert answer.json()["refresh_token"] != login["refresh_token"]


@pytest.mark.parametrize("form,error,code", [
    ({"grant_type": "refresh_token", "refresh_token": "nonsense"}, "invalid_grant", "refresh_invalid"),
    ({"grant_type": "refresh_token", "refresh_token": "A" * 43}, "invalid_grant", "refresh_invalid"),
    ({"grant_type": "refresh_token"}, "invalid_request", None),
    ({"grant_type": "refresh_token", "refresh_token": ""}, "invalid_request", None),
    ({"refresh_token": "x"}, "invalid_request", None),
    ({"grant_type": "password", "username": "alice", "password": "correct horse"}, "unsupported_grant_type", None),
    ({"grant_type": "refresh_token", "refresh_token": "x", "scope": "all"}, "invalid_scope", None),
])
def test_token_errors_are_those_of_rfc_6749(running, form, error, code):
    refused(ask(running, "/oauth/token", "web", **form), 400, error, code)


def test_refresh_token_of_another_client_is_not_spent(running):
    login = running.login()
    refused(ask(running, "/oauth/token", "other", grant_type="refresh_token", refresh_token=login["refresh_token"]),
            400, "invalid_grant", "refresh_invalid")
    assert introspect(running, login["refresh_token"], "refresh_token")["active"] is True


def test_ended_session_has_its_code_at_the_token_endpoint(running):
    login = running.login()
    ask(running, "/oauth/revoke", "web", token=login["refresh_token"])
    refused(ask(running, "/oauth/token", "web", grant_type="refresh_token", refresh_token=login["refresh_token"]),
            400, "invalid_grant", "refresh_revoked")


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("body", ["token=x&token=x", "colour=1&colour=2&token=x", "token=%", "token=%ff", "token=%00",
                                  "%74oken=a&token=b"])
def test_B14_repeated_or_broken_parameters(running, path, body):
    fields = basic("web") | {"Content-Type": "application/x-www-form-urlencoded"}
    refused(running.auth.post(path, content=body, headers=fields), 400, "invalid_request")


def test_B14_unknown_parameters_are_ignored_and_other_types_refused(running):
    token = running.login()["access_token"]
    answer = ask(running, "/oauth/introspect", "gateway", token=token, role="admin", active="false")
    assert answer.json()["active"] is True and answer.json()["roles"] == ["user"]
    refused(running.auth.post("/oauth/introspect", json={"token": token}, headers=basic("gateway")), 400,
            "invalid_request")
