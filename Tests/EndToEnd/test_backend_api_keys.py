"""API keys: made by a signed-in user, shown once, listed, used through a real gateway, revoked."""

import contextlib
import hashlib
import json
import re
import sqlite3
import time

import httpx
import pytest

from harness.backend import backend_key, bearer, prepare, problem, running  # noqa: F401

PATH = "/api/v1/auth/api-key"
SECRET = "s" * 40
CLIENTS = [{"id": "gateway", "secret": SECRET, "rights": ["introspect"]},
           {"id": "web", "secret": "w" * 40, "rights": ["tokens"]}]
CONFIGURATION = """
error_log stderr notice;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider programs api_key {
    url http://127.0.0.1:@auth_service_port@/oauth/introspect;
    client_id gateway; client_secret @secret@; prefix gk_live_; cache off;
}
server {
    listen 127.0.0.1:@port@;
    auth programs;
    location /reader { require permission read:data; return 200 "$auth_subject"; }
    location /panel { require permission read:admin_panel; return 200 "in"; }
}
"""


def create(backend, login: dict, **body) -> dict:
    answer = backend.auth.post(PATH, json={"name": "nightly"} | body, headers=bearer(login))
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def listed(backend, login: dict) -> list[dict]:
    return backend.auth.get(PATH, headers=bearer(login)).json()["api_keys"]


def introspect(backend, key: str) -> dict:
    return backend.auth.post("/oauth/introspect", data={"token": key, "token_type_hint": "api_key"},
                             auth=("gateway", SECRET)).json()


def test_key_is_shown_once_and_listed_without_its_secret(running):
    login = running.login("admin", "battery staple")
    made = create(running, login, permissions=["read:data"])
    assert re.fullmatch(rf"gk_live_{made['id']}_[A-Za-z0-9_-]{{43}}", made["api_key"])
    (found,) = [key for key in listed(running, login) if key["id"] == made["id"]]
    assert found == {name: value for name, value in made.items() if name != "api_key"}
    assert found["permissions"] == ["read:data"] and found["last_used_at"] is None and found["expires_at"] is None
    assert made["id"] not in [key["id"] for key in listed(running, running.login())]
    secret = made["api_key"].split("_", 3)[3]
    assert secret not in running.log


def test_B09_database_has_the_hash_alone(running):
    made = create(running, running.login())
    with contextlib.closing(sqlite3.connect(running.folder / "run/backend.sqlite")) as database:
        (stored,) = database.execute("SELECT hash FROM api_keys WHERE id = ?", [made["id"]]).fetchone()
        dump = "\n".join(database.iterdump())
    assert stored == hashlib.sha256(made["api_key"].encode()).digest()
    assert made["api_key"].split("_", 3)[3] not in dump


def test_key_has_all_that_its_owner_may_or_what_was_asked_for(running):
    admin = running.login("admin", "battery staple")
    assert create(running, admin)["permissions"] == ["read:admin_panel", "read:data", "write:admin_panel"]
    assert create(running, admin, permissions=[])["permissions"] == []
    answer = running.auth.post(PATH, json={"name": "x", "permissions": ["read:data", "read:admin_panel"]},
                               headers=bearer(running.login()))
    assert "read:admin_panel" in problem(answer, 403, "insufficient_scope")["detail"]


@pytest.mark.parametrize("body,member", [
    ({}, "name"), ({"name": ""}, "name"), ({"name": 1}, "name"), ({"name": "x" * 65}, "name"),
    ({"name": "a\nb"}, "name"), ({"name": "x", "user": "admin"}, "user"), ({"name": "x", "id": "1"}, "id"),
    ({"name": "x", "permissions": "read:data"}, "permissions"), ({"name": "x", "permissions": [1]}, "permissions"),
    ({"name": "x", "expires_at": "soon"}, "expires_at"), ({"name": "x", "expires_at": 1}, "expires_at"),
    ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
])
def test_B14_body_is_read_strictly(running, body, member):
    answer = running.auth.post(PATH, json=body, headers=bearer(running.login()))
    assert problem(answer, 400, "invalid_request")["member"] == member


@pytest.mark.parametrize("method,path", [("POST", PATH), ("GET", PATH), ("DELETE", PATH + "/x")])
def test_only_who_is_signed_in(running, method, path):
    body = {"json": {"name": "x"}} if method == "POST" else {}

    def send(token: str | None) -> httpx.Response:
        return running.auth.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {}, **body)

    problem(send(None), 401, "token_missing")
    problem(send("nonsense"), 401, "token_malformed")
    problem(send(running.forge(exp=1, iat=1, nbf=1)), 401, "token_expired")
    # Well signed, but of a session that was never begun, or that was ended.
    problem(send(running.forge()), 401, "token_revoked")
    login = running.login()
    problem(send(login["refresh_token"]), 401, "token_malformed")
    running.auth.post("/oauth/revoke", data={"token": login["access_token"]}, auth=("web", "w" * 40))
    problem(send(login["access_token"]), 401, "token_revoked")


def test_limit_counts_living_keys(prepare):
    backend = prepare().know(*CLIENTS).start()
    login = backend.login()
    keys = [create(backend, login) for _ in range(20)]
    problem(backend.auth.post(PATH, json={"name": "x"}, headers=bearer(login)), 409, "api_key_limit")
    assert backend.auth.delete(f"{PATH}/{keys[0]['id']}", headers=bearer(login)).status_code == 204
    create(backend, login)
    backend.stop()


def test_key_of_somebody_else_is_unknown(running):
    made = create(running, running.login())
    answer = running.auth.delete(f"{PATH}/{made['id']}", headers=bearer(running.login("admin", "battery staple")))
    problem(answer, 404, "api_key_not_found")
    assert introspect(running, made["api_key"])["active"] is True


def test_introspection_of_keys(running):
    login = running.login()
    expires = time.time() + 3600
    made = create(running, login, expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)))
    answer = introspect(running, made["api_key"])
    assert answer.pop("iat") == pytest.approx(time.time(), abs=5)
    assert answer == {"active": True, "iss": "https://localhost:8443", "sub": "alice", "permissions": ["read:data"],
                      "api_key_id": made["id"], "exp": int(expires)}
    (found,) = [key for key in listed(running, login) if key["id"] == made["id"]]
    assert found["last_used_at"] is not None
    assert running.auth.delete(f"{PATH}/{made['id']}", headers=bearer(login)).status_code == 204
    assert introspect(running, made["api_key"]) == {"active": False}
    problem(running.auth.delete(f"{PATH}/{made['id']}", headers=bearer(login)), 404, "api_key_not_found")
    wrong = made["api_key"][:-2] + ("AA" if not made["api_key"].endswith("AA") else "QA")
    assert introspect(running, wrong) == {"active": False}


def test_expired_key_is_dead(running):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    made = create(running, running.login(), expires_at=soon)
    assert introspect(running, made["api_key"])["active"] is True
    time.sleep(2.1)
    assert introspect(running, made["api_key"]) == {"active": False}


def test_B11_key_loses_what_its_owner_loses(prepare):
    backend = prepare().know(*CLIENTS).start()
    made = create(backend, backend.login("admin", "battery staple"))
    assert introspect(backend, made["api_key"])["permissions"] == ["read:admin_panel", "read:data", "write:admin_panel"]
    backend.stop()
    users = json.loads(backend.read("keys/secrets.json"))
    users["users"][1]["roles"] = ["user"]
    backend.write("keys/secrets.json", json.dumps(users), mode=0o600)
    backend.start()
    assert introspect(backend, made["api_key"])["permissions"] == ["read:data"]
    backend.stop()
    users["users"][1]["disabled"] = True
    backend.write("keys/secrets.json", json.dumps(users), mode=0o600)
    backend.start()
    assert introspect(backend, made["api_key"]) == {"active": False}
    backend.stop()


def test_a_key_that_cannot_be_stored_is_not_given_out(prepare):
    backend = prepare().know(*CLIENTS).start()
    login = backend.login()
    with contextlib.closing(sqlite3.connect(backend.folder / "run/backend.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = backend.auth.post(PATH, json={"name": "nightly"}, headers=bearer(login))
        problem(answer, 503, "api_key_generation_failed")
        assert answer.headers["retry-after"] == "1"
    assert listed(backend, login) == []
    assert create(backend, login)["name"] == "nightly"
    backend.stop()


def test_key_opens_the_gateway_until_it_is_revoked(running, start):
    gateway = start(CONFIGURATION, auth_service_port=running.auth_port, secret=SECRET)
    login = running.login()
    made = create(running, login)
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.values['port']}", timeout=20,
                      headers={"X-API-Key": made["api_key"]}) as client:
        answer = client.get("/reader")
        assert (answer.status_code, answer.text) == (200, "alice")
        assert client.get("/panel").status_code == 403
        assert client.get("/reader", headers={"X-API-Key": "gk_live_wrong"}).json()["code"] == "api_key_invalid"
        assert running.auth.delete(f"{PATH}/{made['id']}", headers=bearer(login)).status_code == 204
        entry = running.revocations[-1]
        assert (entry["kind"], entry["value"], entry["before"]) == ("api_key", made["id"], None)
        answer = client.get("/reader")
        assert (answer.status_code, answer.json()["code"]) == (401, "api_key_invalid")
    assert made["api_key"] not in gateway.log and SECRET not in gateway.log
