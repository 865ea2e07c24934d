"""secrets.json and permissions.json are re-read when they change; a bad file changes nothing and is named."""

import json
import shutil

from harness.backend import ROLES, USERS, backend_key, bearer, prepare, problem  # noqa: F401
from harness.waiting import wait_until


def test_backends_that_start_at_once_on_the_same_new_files_agree(prepare):
    """One of them replaces the plain passwords, the others read what it wrote; nobody's change is lost."""
    one = prepare()
    all_of_them = [one, one.another(), one.another()]
    try:
        for round in range(4):
            for path in ("run", "keys/.accounts.lock", "keys/.lock", "keys/next"):
                gone = one.folder / path
                shutil.rmtree(gone) if gone.is_dir() else gone.unlink(missing_ok=True)
            one.write("keys/secrets.json", json.dumps({"users": USERS}), mode=0o600)
            for backend in all_of_them:
                backend.launch("--auth-listen", f"127.0.0.1:{backend.auth_port}",
                               "--resource-listen", f"127.0.0.1:{backend.resource_port}")
            for backend in all_of_them:
                wait_until(lambda backend=backend: backend.ready(backend.auth), within=30, what="it is ready")
            replaced = one.log.count("a plain password was replaced by its hash")
            assert replaced == len(USERS) * (round + 1), one.log
            assert len({json.dumps(backend.key_set()) for backend in all_of_them}) == 1
            for backend in all_of_them:
                assert backend.validate(backend.login()["access_token"]) == "Valid"
            for backend in all_of_them:
                backend.stop()
    finally:
        for backend in all_of_them:
            backend.close()


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


def rewrite_user(backend, changed: str, **members) -> None:
    """Changes one user in secrets.json and waits until the backend has read it."""
    count = backend.log.count("users and roles were re-read")
    content = json.loads(backend.read("keys/secrets.json"))
    for user in content["users"]:
        if user["name"] == changed:
            user.update(members)
    backend.write("keys/secrets.json", json.dumps(content, indent=count + 1), mode=0o600)
    wait_until(lambda: backend.log.count("users and roles were re-read") > count, within=5, what="the file is re-read")


def test_B11_changed_roles_end_the_old_access_tokens_and_not_the_session(prepare):
    backend = prepare().start()
    tokens, other = backend.login(), backend.login("admin", "battery staple")
    made = backend.auth.post("/api/v1/auth/api-key", headers=bearer(tokens["access_token"]), json={"name": "k"})
    assert made.status_code == 201
    for count, roles in enumerate([["user", "guest"], ["guest"], ["guest"], ["user"]]):
        old = tokens["access_token"]
        before = len(backend.revocations)
        rewrite_user(backend, "alice", roles=roles)
        entries = backend.revocations[before:]
        if count == 2:
            # Nothing changed: nobody is bothered.
            assert entries == [] and backend.validate(old) == "Valid"
            continue
        (entry,) = entries
        assert (entry["kind"], entry["value"]) == ("sub", "alice")
        assert backend.claims(old)["iat"] < entry["before"]
        assert backend.validate(old) == "Invalid"
        assert backend.claims(backend.login()["access_token"])["roles"] == roles
        answer = backend.refresh(tokens["refresh_token"])
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        assert backend.validate(tokens["access_token"]) == "Valid"
        assert backend.claims(tokens["access_token"])["roles"] == roles
    assert backend.validate(other["access_token"]) == "Valid"
    backend.stop()


def test_B11_changed_permissions_of_a_role_end_the_tokens_of_those_who_have_it(prepare):
    backend = prepare().start()
    tokens, other = backend.login(), backend.login("admin", "battery staple")
    backend.write("keys/permissions.json", json.dumps(
        {"roles": ROLES | {"guest": ["read:nothing"], "admin": ROLES["admin"] + ["delete:users"]}}))
    wait_until(lambda: backend.validate(other["access_token"]) == "Invalid", within=5, what="the token is dead")
    assert backend.validate(tokens["access_token"]) == "Valid"
    assert [entry["value"] for entry in backend.revocations] == ["admin"]
    backend.stop()


def test_B11_disabled_user_is_logged_out(prepare):
    backend = prepare().start()
    tokens = backend.login()
    rewrite_user(backend, "alice", disabled=True)
    problem(backend.refresh(tokens["refresh_token"]), 401, "refresh_revoked")
    assert backend.validate(tokens["access_token"]) == "Invalid"
    (entry,) = backend.revocations
    assert (entry["kind"], entry["value"]) == ("sub", "alice")
    assert backend.claims(tokens["access_token"])["iat"] < entry["before"]
    problem(backend.auth.post("/login", json={"username": "alice", "password": "correct horse"}), 401,
            "invalid_credentials")
    assert backend.login("admin", "battery staple")
    backend.stop()


def test_new_password_and_removed_user_end_what_they_had(prepare):
    backend = prepare().start()
    tokens = backend.login()
    other = json.loads(backend.read("keys/secrets.json"))["users"][1]
    rewrite_user(backend, "alice", password_hash=other["password_hash"])
    problem(backend.refresh(tokens["refresh_token"]), 401, "refresh_revoked")
    assert backend.validate(tokens["access_token"]) == "Invalid"
    again = backend.login("alice", "battery staple")
    assert backend.validate(again["access_token"]) == "Valid"
    rewrite_user(backend, "alice", name="alicia")
    problem(backend.refresh(again["refresh_token"]), 401, "refresh_revoked")
    assert backend.validate(again["access_token"]) == "Invalid"
    assert [entry["value"] for entry in backend.revocations if entry["kind"] == "sub"] == ["alice", "alice"]
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
