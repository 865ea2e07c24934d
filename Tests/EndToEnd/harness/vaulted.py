"""A backend whose secrets are in a vault: vaults for a test, the settings that name one, logins, a rotation."""

import subprocess

import pytest

from .backend import BINARY, private_pem, problem
from .vault import VaultServer


def pem(key) -> str:
    return private_pem(key).decode()


@pytest.fixture
def vaults():
    """Starts vaults: `vaults(option=…)`; no client may have sent them what it must not send."""
    started: list[VaultServer] = []

    def start_vault(**options) -> VaultServer:
        started.append(VaultServer(**options))
        return started[-1]

    yield start_vault
    for vault in started:
        vault.close()
    for vault in started:
        assert not vault.wrong, vault.wrong


def flags(backend, vault: VaultServer, *more: str, address: str | None = None, token: str | None = None) -> list[str]:
    """The settings of a backend that knows the vault: with this token, or by AppRole."""
    for name in ("private_key.pem", "public_key.pem"):
        (backend.folder / "keys" / name).unlink(missing_ok=True)
    known = ["--vault-address", address or vault.address]
    if token:
        known += ["--vault-token-file", str(backend.write("keys/vault-token", token + "\n", mode=0o600))]
    else:
        file = backend.write("keys/vault-secret-id", vault.secret_id + "\n", mode=0o600)
        known += ["--vault-role-id", vault.role_id, "--vault-secret-id-file", str(file)]
    return known + ["--key-set-max-age", "1s", *more]


def log_in(backend):
    return backend.auth.post("/api/v1/auth/login", json={"username": "alice", "password": "correct horse"})


def refusal_to_sign(answer) -> None:
    assert problem(answer, 503, "signing_unavailable")
    assert int(answer.headers["retry-after"]) > 0


def rotate(backend, known: list[str], *more: str) -> subprocess.CompletedProcess:
    return subprocess.run([BINARY, "keys", "rotate", *known, *more], cwd=backend.folder, capture_output=True, text=True,
                          timeout=20)
