"""secrets.json and permissions.json are re-read when they change; a bad file changes nothing and is named."""

import json

from harness.backend import ROLES, USERS, backend_key, prepare, problem  # noqa: F401
from harness.waiting import wait_until


def permissions_after_refresh(backend, tokens: dict) -> list[str]:
    answer = backend.refresh(tokens["refresh_token"])
    assert answer.status_code == 200, answer.text
    tokens.update(answer.json())
    return backend.claims(tokens["access_token"])["permissions"]


def test_B11_changed_permissions_are_in_the_next_token(prepare):
    backend = prepare().start()
    tokens = backend.login()
    backend.write("keys/permissions.json", json.dumps({"roles": ROLES | {"user": ["read:data", "read:more"]}}))
    wait_until(lambda: permissions_after_refresh(backend, tokens) == ["read:data", "read:more"], within=5,
               what="the refreshed token has the new permission")
    backend.write("keys/permissions.json", json.dumps({"roles": ROLES | {"user": []}}))
    wait_until(lambda: permissions_after_refresh(backend, tokens) == [], within=5,
               what="the refreshed token has lost its permissions")
    problem(backend.get("/api/protected/data", tokens["access_token"]), 403, "insufficient_scope")
    backend.stop()


def test_B11_disabled_user_is_logged_out(prepare):
    backend = prepare().start()
    tokens = backend.login()
    users = json.loads(backend.read("keys/secrets.json"))["users"]
    users[0]["disabled"] = True
    backend.write("keys/secrets.json", json.dumps({"users": users}), mode=0o600)
    wait_until(lambda: backend.log.count("users and roles were re-read") >= 1, within=5, what="the file is re-read")
    problem(backend.refresh(tokens["refresh_token"]), 401, "refresh_revoked")
    problem(backend.auth.post("/login", json={"username": "alice", "password": "correct horse"}), 401,
            "invalid_credentials")
    assert backend.login("admin", "battery staple")
    backend.stop()


def test_new_user_with_a_plain_password_can_log_in_and_the_file_keeps_the_hash(prepare):
    backend = prepare().start()
    users = json.loads(backend.read("keys/secrets.json"))["users"]
    users.append({"name": "bea", "password": "tr0ub4dor", "roles": ["user"]})
    backend.write("keys/secrets.json", json.dumps({"users": users}), mode=0o600)
    wait_until(lambda: "users and roles were re-read" in backend.log, within=5, what="the file is re-read")
    assert backend.login("bea", "tr0ub4dor")
    assert "tr0ub4dor" not in backend.read("keys/secrets.json") and "tr0ub4dor" not in backend.log
    backend.stop()


def test_bad_file_is_named_with_its_line_and_changes_nothing(prepare):
    backend = prepare().start()
    tokens = backend.login()
    backend.write("keys/permissions.json", '{"roles": {\n  "user": ["read:data", 7],\n  "admin": [], "guest": []}}')
    wait_until(lambda: "keys/permissions.json:2:25: " in backend.log, within=5, what="the error names line and column")
    assert permissions_after_refresh(backend, tokens) == ["read:data"]
    backend.write("keys/permissions.json", json.dumps({"roles": {"user": ["read:data"]}}))
    wait_until(lambda: 'unknown role "admin"' in backend.log.replace('\\"', '"'), within=5, what="the missing role is named")
    (backend.folder / "keys/permissions.json").unlink()
    wait_until(lambda: "keys/permissions.json: the file does not exist" in backend.log, within=5, what="it is missed")
    assert backend.login() and backend.login("admin", "battery staple")
    backend.write("keys/permissions.json", json.dumps({"roles": ROLES}))
    wait_until(lambda: "users and roles were re-read" in backend.log, within=5, what="the good file is read")
    assert len(USERS) == 3 and permissions_after_refresh(backend, tokens) == ["read:data"]
    backend.stop()
