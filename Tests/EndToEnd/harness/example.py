"""Gateways of gateway.conf.example itself, on ports of their own, before a backend that knows them."""

import re
import secrets
from pathlib import Path

from .backend import Backend
from .certificates import Authority
from .gateway import ROOT, Gateway, run_command

CLIENT_RIGHTS = ["introspect", "revocations"]
BACKEND_FLAGS = ("--gateway-keys", "keys/identity/public_key.pem")


def provide_keys(backend: Backend) -> str:
    """What the gateway needs in `keys/`, before the backend is started; returns its secret at the auth service."""
    secret = secrets.token_hex(32)
    backend.write("keys/gateway_secret.txt", secret + "\n", mode=0o600)
    backend.know({"id": "gateway", "secret": secret, "rights": CLIENT_RIGHTS})
    assert run_command("keygen", "--ed25519", "--out", backend.folder / "keys/identity").returncode == 0
    return secret


class Example:
    """A folder of keys as `scripts/start` makes it, shared by a backend and the gateways before it."""

    def __init__(self, folder: Path, key, authority: Authority):
        self.backend = Backend(folder / "backend", key)
        self.keys = self.backend.folder / "keys"
        self.secret = provide_keys(self.backend)
        self.authority = authority
        for name, file in zip(("tls.crt", "tls.key"), authority.issue()):
            (self.keys / name).write_bytes(Path(file).read_bytes())

    def start_backend(self, *flags: str) -> Backend:
        return self.backend.start(*BACKEND_FLAGS, *flags)

    def start_gateway(self, start, *, auth: Backend | None = None, resource: Backend | None = None,
                      **changes: str) -> Gateway:
        """One more gateway: `start(configuration, …)` starts it. `changes` replace default lines, by directive."""
        text = (ROOT / "gateway.conf.example").read_text()
        for old, new in {
            "listen 8080;": "listen 127.0.0.1:@port@;",
            "listen 8443 ssl;": "listen 127.0.0.1:@tls_port@ ssl;",
            "listen 127.0.0.1:9090;": "listen 127.0.0.1:@admin_port@;",
            "access_log run/access.log": "access_log @folder@/access.log",
        }.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        text = text.replace("127.0.0.1:5000", "127.0.0.1:@auth_service_port@")
        text = text.replace("127.0.0.1:5001", "127.0.0.1:@resource_port@").replace("keys/", f"{self.keys}/")
        for directive, value in changes.items():
            text, count = re.subn(rf"#: {directive} [^;]*;", f"{directive} {value};", text, count=1)
            assert count == 1, directive
        return start(text, auth_service_port=(auth or self.backend).auth_port,
                     resource_port=(resource or self.backend).resource_port)
