"""The two programs together: what one signs the other verifies, and the resource service verifies again."""

import ssl
import time

import httpx
import pytest

from harness.backend import backend_key, bearer, prepare, private_key, problem  # noqa: F401

CONFIGURATION = """
error_log stderr notice;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider main jwt {
    issuer https://localhost:8443;
    audience gateway-demo;
    jwks http://127.0.0.1:@auth_service_port@/.well-known/jwks.json;
    leeway 0s;
}
server {
    listen 127.0.0.1:@port@;
    auth main;
    location /api/v1/auth/ { auth off; proxy_pass http://127.0.0.1:@auth_service_port@; }
    location /api/v1/admin/ { auth off; proxy_pass http://127.0.0.1:@auth_service_port@; }
    location /api/protected/ {
        require permission read:data; forward_token on; proxy_pass http://127.0.0.1:@resource_port@;
    }
    location /api/admin/ {
        require permission read:admin_panel; forward_token on; proxy_pass http://127.0.0.1:@resource_port@;
    }
    location /api/forgotten/ { auth off; proxy_pass http://127.0.0.1:@resource_port@/api/admin/; }
}
"""


@pytest.fixture(params=["RS256", "ES256", "EdDSA"])
def client(request, prepare, start):
    """A client of a gateway before a backend with this kind of key; access tokens live three seconds."""
    backend = prepare(key=private_key(request.param)).start("--access-token-lifetime", "3s")
    gateway = start(CONFIGURATION, auth_service_port=backend.auth_port, resource_port=backend.resource_port)
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.values['port']}", timeout=20) as client:
        yield client
    backend.stop()


def login(client: httpx.Client, name: str, password: str) -> dict:
    answer = client.post("/api/v1/auth/login", json={"username": name, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()


def get(client: httpx.Client, path: str, token: str | None = None) -> httpx.Response:
    fields = {"X-Auth-Subject": "forged"} | ({"Authorization": f"Bearer {token}"} if token else {})
    return client.get(path, headers=fields)


def test_from_login_to_refresh(client):
    alice = login(client, "alice", "correct horse")
    answer = get(client, "/api/protected/data", alice["access_token"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["subject"] == "alice"
    assert answer.json()["identity_headers"]["X-Auth-Subject"] == "alice"
    assert get(client, "/api/admin/stats", alice["access_token"]).status_code == 403
    administrator = login(client, "admin", "battery staple")["access_token"]
    assert get(client, "/api/admin/stats", administrator).status_code == 200

    time.sleep(3.1)
    expired = get(client, "/api/protected/data", alice["access_token"])
    assert expired.status_code == 401
    assert expired.json()["code"] == "token_expired"
    renewed = client.post("/api/v1/auth/refresh", json={"refresh_token": alice["refresh_token"]})
    assert renewed.status_code == 200
    assert renewed.json()["refresh_token"] != alice["refresh_token"]
    assert get(client, "/api/protected/data", renewed.json()["access_token"]).status_code == 200


def test_no_token_is_ahead_of_the_clock_of_a_gateway_without_leeway(client):
    """Those of a user end with the second; his next ones begin with the next, and are answered when it has begun."""
    for _ in range(3):
        alice = login(client, "alice", "correct horse")
        answer = client.post("/api/v1/auth/logout-all", headers=bearer(alice))
        assert answer.status_code == 204
        alice = login(client, "alice", "correct horse")
        answer = get(client, "/api/protected/data", alice["access_token"])
        assert answer.status_code == 200, answer.text
        administrator = bearer(login(client, "admin", "battery staple"))
        for roles in (["guest", "user"], ["user"]):
            changed = client.put("/api/v1/admin/users/alice", json={"roles": roles}, headers=administrator)
            assert changed.status_code == 200, changed.text
        alice = client.post("/api/v1/auth/refresh", json={"refresh_token": alice["refresh_token"]}).json()
        answer = get(client, "/api/protected/data", alice["access_token"])
        assert answer.status_code == 200, answer.text


def test_resource_service_does_not_rely_on_the_gateway(client):
    """A location that someone opened by mistake leads to a service that asks for the token itself."""
    problem(get(client, "/api/forgotten/stats"), 401, "token_missing")
    alice = login(client, "alice", "correct horse")["access_token"]
    problem(get(client, "/api/forgotten/stats", alice), 403, "insufficient_scope")


BOTH_SCHEMES = """
error_log stderr notice;
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth off;
    location / { proxy_pass http://127.0.0.1:@auth_service_port@; }
}
"""
PAGE = {"Sec-Fetch-Site": "same-origin", "Origin": "https://localhost:8443", "X-Requested-With": "web"}


@pytest.mark.parametrize("name,claimed", [("__Host-refresh", "http"), ("refresh-dev", "https")])
def test_cookie_follows_the_scheme_that_the_client_speaks(prepare, start, authority, name, claimed):
    """What the client itself says about the scheme does not pass the gateway."""
    backend = prepare().start()
    certificate, key = authority.issue()
    gateway = start(BOTH_SCHEMES, auth_service_port=backend.auth_port, certificate=certificate, key=key)
    address = f"https://localhost:{gateway.tls_port}" if name == "__Host-refresh" else f"http://localhost:{gateway.port}"
    fields = PAGE | {"X-Forwarded-Proto": claimed}
    with httpx.Client(base_url=address, verify=ssl.create_default_context(cafile=authority.file), headers=fields,
                      timeout=20) as browser:
        access = login(browser, "alice", "correct horse")
        assert set(access) == {"access_token", "token_type", "expires_in"} and list(browser.cookies) == [name]
        first = browser.cookies[name]
        # httpx keeps what the answers set, as a browser does; an empty cookie of Max-Age 0 is gone.
        for _ in range(2):
            renewed = browser.post("/api/v1/auth/refresh", json={})
            assert renewed.status_code == 200, renewed.text
            assert "refresh_token" not in renewed.json()
        assert browser.cookies[name] != first
        assert browser.post("/api/v1/auth/logout", json={}).status_code == 204
        assert not list(browser.cookies)
        problem(browser.post("/api/v1/auth/refresh", json={}), 401, "refresh_invalid")
    assert backend.validate(renewed.json()["access_token"]) == "Invalid"
    backend.stop()


def test_B05_refresh_token_is_no_access_token_for_the_gateway(client):
    alice = login(client, "alice", "correct horse")
    answer = get(client, "/api/protected/data", alice["refresh_token"])
    assert (answer.status_code, answer.json()["code"]) == (401, "token_malformed")
    renewed = client.post("/api/v1/auth/refresh", json={"refresh_token": alice["access_token"]})
    problem(renewed, 401, "refresh_invalid")
