"""The administration through a gateway with the shipped configuration, which asks for the same permissions first."""

import json

import httpx
import pytest

from harness.backend import USERS, Backend, backend_key, bearer  # noqa: F401
from harness.web import Web

ROLES = {"user": ["read:data"], "admin": ["write:admin_panel", "read:data", "read:admin_panel", "delete:users"],
         "guest": [], "reader": ["read:admin_panel"], "remover": ["delete:users"]}
MORE = [{"name": name, "password": "battery staple", "roles": [name]} for name in ("reader", "remover")]


@pytest.fixture(scope="module")
def web(backend_key, authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("admin")
    web = Web(folder, Backend(folder / "backend", backend_key, users=USERS + MORE, roles=ROLES), authority)
    try:
        web.start()
        yield web
        web.stop()
    finally:
        web.close()


@pytest.fixture
def send(web):
    """Sends a request through the gateway as somebody: `send("alice", "GET", "/users")`."""
    with httpx.Client(base_url=web.origin, verify=str(web.authority.file), timeout=20) as client:

        def send(name: str | None, method: str, path: str, **options) -> httpx.Response:
            fields = {}
            if name:
                password = {"alice": "correct horse"}.get(name, "battery staple")
                login = client.post("/api/v1/auth/login", json={"username": name, "password": password})
                fields = bearer(login.json()["access_token"])
            return client.request(method, "/api/v1/admin" + path, headers=fields, **options)

        yield send


def test_user_is_administrated_through_the_gateway(send, web):
    assert send("admin", "GET", "/users").json()["users"][0]["name"] == "admin"
    body = {"name": "Bea Ö@x", "password": "tr0ub4dor", "roles": ["user"]}
    made = send("admin", "POST", "/users", json=body)
    assert made.status_code == 201, made.text
    path = made.headers["location"].removeprefix("/api/v1/admin")
    assert send("admin", "PUT", path, json={"roles": ["guest"]}).json()["roles"] == ["guest"]
    assert send("admin", "GET", path).json()["name"] == "Bea Ö@x"
    assert send("admin", "DELETE", path).status_code == 204
    assert send("admin", "GET", path).json()["code"] == "user_not_found"
    (session,) = send("reader", "GET", "/sessions?user=reader&limit=1").json()["sessions"]
    assert session["current"] is True
    assert send("admin", "DELETE", f"/sessions/{session['id']}").status_code == 204


def test_import_may_be_larger_than_other_bodies(send):
    roles = ROLES | {f"role-{number}": [f"read:thing-{thing}" for thing in range(20)] for number in range(100)}
    assert len(json.dumps({"roles": roles})) > 16 * 1024
    assert send("admin", "PUT", "/permissions.json", json={"roles": roles}).status_code == 200
    assert send("admin", "PUT", "/permissions.json", json={"roles": ROLES}).status_code == 200


@pytest.mark.parametrize("name,method,path,status", [
    (None, "GET", "/users", 401), ("alice", "GET", "/users", 403), ("alice", "GET", "/users/alice", 403),
    ("reader", "PUT", "/users/alice", 403), ("reader", "POST", "/roles", 403), ("reader", "DELETE", "/roles/guest", 403),
    ("reader", "DELETE", "/users/alice", 403), ("reader", "DELETE", "/sessions?user=alice", 403),
    ("remover", "GET", "/users", 403), ("remover", "DELETE", "/roles/guest", 403), ("admin", "PATCH", "/users/alice", 403),
])
def test_what_a_permission_is_missing_for_is_refused_before_the_backend(send, web, name, method, path, status):
    before = web.backend.log.count("route=/api/v1/admin")
    answer = send(name, method, path, json={})
    assert answer.status_code == status, answer.text
    assert web.backend.log.count("route=/api/v1/admin") == before
