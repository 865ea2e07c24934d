"""The audit log: one line and one count for each thing that matters to security, and no secret in either."""


import pytest

from harness.backend import backend_key, bearer, prepare, problem  # noqa: F401

SECRET = "c" * 40
CLIENT = {"id": "web", "secret": SECRET, "rights": ["tokens"]}


@pytest.fixture
def backend(prepare):
    # Quieter than the audit, which is written all the same.
    return prepare().know(CLIENT).start("--refresh-grace", "0s", "--log-level", "critical")


def audit(backend, event: str) -> list[str]:
    return [line for line in backend.log.splitlines()
            if "log=audit" in line and f"event={event} " in line.replace("]", " ") + " "]


def counted(backend, event: str) -> float:
    name = f'backend_audit_events_total{{event="{event}"}}'
    (line,) = [line for line in backend.auth.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(line.split()[-1])


def test_security_events_are_written_and_counted_without_secrets(backend):
    secrets = [SECRET]

    def login() -> dict:
        tokens = backend.login()
        secrets.extend([tokens["access_token"], tokens["refresh_token"]])
        return tokens

    problem(backend.auth.post("/login", json={"username": "alice", "password": "hunter2"}), 401, "invalid_credentials")
    first, second, third, fourth = login(), login(), login(), login()
    assert backend.auth.post("/logout", headers=bearer(first["access_token"])).status_code == 204
    made = backend.auth.post("/api/v1/auth/api-key", headers=bearer(second["access_token"]), json={"name": "k"}).json()
    secrets.append(made["api_key"])
    path = f"/api/v1/auth/api-key/{made['id']}"
    assert backend.auth.delete(path, headers=bearer(second["access_token"])).status_code == 204
    successor = backend.refresh(second["refresh_token"]).json()["refresh_token"]
    secrets.append(successor)
    problem(backend.refresh(second["refresh_token"]), 401, "refresh_reused")
    revoke = {"token": third["refresh_token"], "client_id": "web"}
    assert backend.auth.post("/oauth/revoke", data=revoke | {"client_secret": "w" * 40}).status_code == 401
    assert backend.auth.post("/oauth/revoke", data=revoke | {"client_secret": SECRET}).status_code == 200
    assert backend.auth.post("/logout-all", headers=bearer(fourth["access_token"])).status_code == 204

    expected = {"login": 4, "login_refused": 1, "logout": 1, "api_key_made": 1, "api_key_revoked": 1,
                "refresh_reused": 1, "token_revoked": 1, "client_refused": 1, "logout_all": 1}
    for event, count in expected.items():
        assert (event, len(audit(backend, event)), counted(backend, event)) == (event, count, count)
    for event in ("login", "logout", "logout_all", "api_key_made", "api_key_revoked", "refresh_reused", "token_revoked"):
        assert all("sub=alice" in line for line in audit(backend, event)), event
    assert made["id"] in audit(backend, "api_key_revoked")[0]
    session = backend.claims(first["access_token"])["sid"]
    assert f"sid={session}" in audit(backend, "logout")[0]
    assert "client=web" in audit(backend, "token_revoked")[0]
    for secret in [*secrets, "hunter2", "correct horse", "w" * 40]:
        assert secret not in backend.log
    backend.stop()
