"""Starts the real backend in a folder of its own, with keys, users and roles, and looks after it until it ends."""

import contextlib
import copy
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from .ports import take_port
from .waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("BACKEND_BINARY", str(ROOT / ".build/release/backend"))
ROLES = {"user": ["read:data"], "admin": ["write:admin_panel", "read:data", "read:admin_panel"], "guest": []}
USERS = [
    {"name": "alice", "password": "correct horse", "roles": ["user"], "email": "alice@example.com"},
    {"name": "admin", "password": "battery staple", "roles": ["admin", "user"], "display_name": "Ada Min"},
    {"name": "gone", "password": "was here", "roles": ["user"], "disabled": True},
]
_CRASH = re.compile(r"Fatal error|Program crashed|Precondition failed|Thread \d+ crashed|Segmentation")


def private_key(algorithm: str = "RS256"):
    """A new key of this JWS algorithm."""
    match algorithm:
        case "RS256": return rsa.generate_private_key(65537, 2048)
        case "ES256": return ec.generate_private_key(ec.SECP256R1())
        case "EdDSA": return ed25519.Ed25519PrivateKey.generate()
    raise ValueError(algorithm)


def private_pem(key) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def public_pem(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Backend:
    """One backend. Its files lie in `folder`, its two services answer at `auth` and `resource` (httpx clients)."""

    def __init__(self, folder: Path, key, *, users=None, roles=None):
        self.folder = folder
        self.key = key
        self._take_ports()
        self.process: subprocess.Popen | None = None
        (folder / "keys").mkdir(parents=True)
        self.write("keys/private_key.pem", private_pem(key), mode=0o600)
        self.write("keys/public_key.pem", public_pem(key))
        self.write("keys/permissions.json", json.dumps({"roles": ROLES if roles is None else roles}))
        self.write("keys/secrets.json", json.dumps({"users": USERS if users is None else users}), mode=0o600)

    def _take_ports(self) -> None:
        self.auth_port, self.resource_port = take_port(), take_port()
        self.auth = httpx.Client(base_url=f"http://127.0.0.1:{self.auth_port}", timeout=20)
        self.resource = httpx.Client(base_url=f"http://127.0.0.1:{self.resource_port}", timeout=20)

    def another(self) -> "Backend":
        """One more process on the same files, which has not been started."""
        other = copy.copy(self)
        other._take_ports()
        other.process = None
        return other

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def know(self, *clients: dict) -> "Backend":
        """Gives it programs: `{"id": …, "secret": …, "rights": […]}`."""
        accounts = json.loads(self.read("keys/secrets.json"))
        self.write("keys/secrets.json", json.dumps(accounts | {"clients": list(clients)}), mode=0o600)
        return self

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def launch(self, *flags: str, environment: dict[str, str] | None = None) -> None:
        """Starts the process without waiting for anything; the log is appended to."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BACKEND_")}
        with open(self.folder / "backend.log", "ab") as log:
            self.process = subprocess.Popen([BINARY, *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=inherited | {"BACKEND_LOGIN_RATE": "1000"} | (environment or {}),
                                            cwd=self.folder)

    def start(self, *flags: str, environment: dict[str, str] | None = None) -> "Backend":
        """Starts on its own ports and waits until both services are ready."""
        self.launch("--auth-listen", f"127.0.0.1:{self.auth_port}", "--resource-listen",
                    f"127.0.0.1:{self.resource_port}", *flags, environment=environment)
        wait_until(lambda: self.ready(self.auth) and self.ready(self.resource), within=20, what="the backend is ready")
        return self

    def ready(self, service: httpx.Client) -> bool:
        assert self.process.poll() is None, f"the backend ended with {self.process.returncode}:\n{self.log}"
        try:
            return service.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def refuses_to_start(self, *flags: str, environment: dict[str, str] | None = None) -> str:
        """Starts where it must not: the exit status is 1; returns the one line that it printed."""
        self.launch(*flags, environment=environment)
        status = self.process.wait(20)
        lines = self.log.splitlines()
        assert status == 1, lines
        said = [line for line in lines if line.startswith("backend: ")]
        assert len(said) == 1, lines
        return said[0]

    def stop(self) -> float:
        """Ends it as an operator would; returns the seconds that took."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        assert status == 0, f"the backend ended with {status}:\n{self.log}"
        assert not _CRASH.search(self.log), self.log
        return time.monotonic() - start

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        self.kill()
        self.auth.close()
        self.resource.close()

    @property
    def log(self) -> str:
        return self.read("backend.log")

    @property
    def revocations(self) -> list[dict]:
        """What the gateways are told, in its order."""
        with contextlib.closing(sqlite3.connect(self.folder / "run/backend.sqlite")) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM revocations ORDER BY cursor")]

    # What clients do

    def login(self, name: str = "alice", password: str = "correct horse") -> dict:
        answer = self.auth.post("/api/v1/auth/login", json={"username": name, "password": password})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refresh(self, token: str) -> httpx.Response:
        return self.auth.post("/api/v1/auth/refresh", json={"refresh_token": token})

    def get(self, path: str, token: str | None = None, **fields: str) -> httpx.Response:
        """Asks the resource service."""
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        return self.resource.get(path, headers=fields)

    def validate(self, token: str) -> str:
        """What the auth service says to an access token: Valid, Invalid or Expired."""
        answer = self.auth.post("/api/v1/auth/validate", headers=bearer(token))
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert set(answer.json()) == {"status"}
        return answer.json()["status"]

    def key_set(self) -> list[dict]:
        return self.auth.get("/.well-known/jwks.json").json()["keys"]

    def claims(self, token: str) -> dict:
        """The claims of an access token, verified with the published key by another implementation."""
        key = jwt.PyJWK(self.key_set()[0])
        return jwt.decode(token, key, algorithms=[key.algorithm_name], audience="gateway-demo",
                          issuer="https://localhost:8443")

    def forge(self, key=None, header: dict | None = None, **claims) -> str:
        """A token as the auth service would sign it, with other claims; `None` removes one."""
        published = self.key_set()[0]
        now = int(time.time())
        content = {"iss": "https://localhost:8443", "aud": "gateway-demo", "sub": "alice", "exp": now + 60, "nbf": now,
                   "iat": now, "jti": "1", "sid": "1", "client_id": "web", "permissions": ["read:data"]} | claims
        return jwt.encode({name: value for name, value in content.items() if value is not None}, key or self.key,
                          algorithm=(header or {}).get("alg", published["alg"]),
                          headers={"typ": "at+jwt", "kid": published["kid"]} | (header or {}))


def bearer(token: str | dict) -> dict[str, str]:
    """The field of an access token, or of the answer to a login."""
    if isinstance(token, dict):
        token = token["access_token"]
    return {"Authorization": f"Bearer {token}"}


def problem(answer: httpx.Response, status: int, code: str) -> dict:
    """Asserts an RFC 9457 answer and returns its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    members = answer.json()
    assert members["code"] == code, members
    assert members["status"] == status
    assert members["title"] and members["detail"]
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    return members


@pytest.fixture(scope="session")
def backend_key():
    return private_key()


@pytest.fixture(scope="module")
def module_backend(backend_key, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    backend = Backend(tmp_path_factory.mktemp("backend") / "it", backend_key).start()
    try:
        yield backend
        backend.stop()
    finally:
        backend.close()


@pytest.fixture
def backend(module_backend: Backend) -> Iterator[Backend]:
    """The file's backend, which no test may bring down."""
    yield module_backend
    assert module_backend.process.poll() is None, module_backend.log


@pytest.fixture(scope="module")
def running(request, backend_key, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The file's backend, which knows the programs of its `CLIENTS`."""
    backend = Backend(tmp_path_factory.mktemp("backend") / "it", backend_key).know(*request.module.CLIENTS)
    try:
        yield backend.start()
        backend.stop()
    finally:
        backend.close()


@pytest.fixture
def prepare(backend_key, tmp_path: Path) -> Iterator:
    """Makes backends for one test, not yet started: `prepare(users=…, roles=…, key=…)`."""
    made: list[Backend] = []

    def prepare_backend(key=None, **content) -> Backend:
        made.append(Backend(tmp_path / f"backend-{len(made)}", key or backend_key, **content))
        return made[-1]

    try:
        yield prepare_backend
    finally:
        for backend in made:
            backend.close()
