"""A server of the HTTP API of HashiCorp Vault and OpenBao, as far as a client of one KV secret needs it, that checks every
request: method, path, fields, namespace and body. What a client must not send lands in `wrong`."""

import contextlib
import datetime
import json
import secrets
import ssl
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Token:
    """A token with the time at which it ends, and the last moment to which it can be renewed."""

    ttl: float = 3600
    renewable: bool = True
    longest: float = 86400
    ends: float = field(init=False)
    last: float = field(init=False)

    def __post_init__(self):
        self.last = time.monotonic() + self.longest
        self.ends = min(time.monotonic() + self.ttl, self.last)

    @property
    def left(self) -> int:
        return max(0, round(self.ends - time.monotonic()))

    def renew(self) -> None:
        self.ends = min(time.monotonic() + self.ttl, self.last)


@dataclass
class Version:
    members: dict
    created: str
    deleted: str = ""


class VaultServer:
    """`mode`: ok, sealed (503), denied (403), stall, cut, garbage, huge, redirect, status (500)."""

    def __init__(self, *, mount: str = "secret", path: str = "gateway/signing", namespace: str | None = None,
                 tls: ssl.SSLContext | None = None, port: int = 0):
        self.mount, self.path, self.namespace, self.tls = mount, path, namespace, tls
        self.mode = "ok"
        self.location = ""
        self.may_write = True
        self.approle_mount = "approle"
        self.role_id, self.secret_id = str(uuid.uuid4()), str(uuid.uuid4())
        # What a login of the role gives.
        self.role_token = {"ttl": 3600, "renewable": True, "longest": 86400}
        self.tokens: dict[str, Token] = {}
        self.versions: list[Version] = []
        self.requests: list[str] = []
        self.wrong: list[str] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self.port = port
        self.open()

    # The operator's side

    def open(self) -> None:
        """Listens, again at the same port after `shut`."""
        vault = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                vault.handle(self)

            do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET

            def log_message(self, *_) -> None:
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

            def handle_error(self, *_) -> None:
                """A client that hangs up, or that does not trust us, is what some tests want."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True,
                                                       do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def shut(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def close(self) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self.shut()

    @property
    def address(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def token(self, **options) -> str:
        name = f"hvs.{secrets.token_urlsafe(24)}"
        self.tokens[name] = Token(**options)
        return name

    def put(self, age: float = 0, **members: str) -> None:
        """Writes a version, `age` seconds ago."""
        when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=age)
        self.versions.append(Version(members, when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"))

    def delete(self) -> None:
        """Deletes the newest version, as `kv delete` does."""
        self.versions[-1].deleted = self.versions[-1].created

    def count(self, request: str) -> int:
        return self.requests.count(request)

    # The client's side

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.requests.append(f"{handler.command} {handler.path}")
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        match self.mode:
            case "stall":
                self.closing.wait(20)
                handler.close_connection = True
                return
            case "sealed": return self.refuse(handler, 503, "Vault is sealed")
            case "denied": return self.refuse(handler, 403, "permission denied")
            case "status": return self.refuse(handler, 500, "internal error")
            case "garbage": return self.send(handler, 200, b"<html>hello</html>")
            case "cut": return self.send(handler, 200, b'{"data": {', announced=100)
            case "huge": return self.send(handler, 200, b'{"data": "' + b"x" * (2 << 20) + b'"}')
            case "redirect": return self.send(handler, 307, b"", Location=self.location + handler.path)
        with self._lock:
            if self.check_fields(handler, body):
                self.answer(handler, json.loads(body) if body else None)
            else:
                self.refuse(handler, 400, "see the test")

    def check_fields(self, handler: BaseHTTPRequestHandler, body: bytes) -> bool:
        """What every request has, and what none may have."""
        what = f"{handler.command} {handler.path}"
        fields = handler.headers
        before = len(self.wrong)
        names = [name.lower() for name in fields.keys()]
        known = {"host", "connection", "accept", "content-type", "content-length", "x-vault-request", "x-vault-token",
                 "x-vault-namespace"}
        # Of the other implementation that the tests hold against this one.
        if fields.get("User-Agent", "").startswith("python-requests"):
            known |= {"user-agent", "accept-encoding"}
        if set(names) - known or len(names) != len(set(names)):
            self.wrong.append(f"{what}: fields {names}")
        if fields["Host"] not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            self.wrong.append(f"{what}: Host {fields['Host']}")
        if fields["X-Vault-Request"] != "true":
            self.wrong.append(f"{what}: X-Vault-Request {fields['X-Vault-Request']}")
        if fields["X-Vault-Namespace"] != self.namespace:
            self.wrong.append(f"{what}: X-Vault-Namespace {fields['X-Vault-Namespace']}")
        if (handler.command == "POST") != bool(body):
            self.wrong.append(f"{what}: {len(body)} bytes of body")
        if body and fields["Content-Type"] != "application/json":
            self.wrong.append(f"{what}: Content-Type {fields['Content-Type']}")
        return len(self.wrong) == before

    def answer(self, handler: BaseHTTPRequestHandler, body: dict | None) -> None:
        target = urllib.parse.urlsplit(handler.path)
        name = handler.headers["X-Vault-Token"]
        route = (handler.command, target.path)
        if route == ("POST", f"/v1/auth/{self.approle_mount}/login"):
            return self.log_in(handler, name, body)
        token = self.tokens.get(name)
        if token is None or token.left <= 0:
            return self.refuse(handler, 403, "permission denied")
        if route == ("GET", "/v1/auth/token/lookup-self"):
            return self.tell(handler, data={
                "accessor": "a", "creation_time": 1, "creation_ttl": token.ttl, "display_name": "approle",
                "entity_id": "", "expire_time": None, "explicit_max_ttl": 0, "id": name, "meta": None, "num_uses": 0,
                "orphan": True, "path": "auth/approle/login", "policies": ["default", "gateway"],
                "renewable": token.renewable, "ttl": token.left, "type": "service"})
        if route == ("POST", "/v1/auth/token/renew-self"):
            if body not in ({}, {"increment": None}):
                self.wrong.append(f"renewal with {body}")
            if not token.renewable:
                return self.refuse(handler, 400, "lease is not renewable")
            token.renew()
            return self.tell(handler, auth=self.auth(name, token))
        if target.path == f"/v1/{self.mount}/data/{self.path}":
            if handler.command == "GET":
                return self.read(handler, dict(urllib.parse.parse_qsl(target.query)))
            if handler.command == "POST" and not target.query:
                return self.write(handler, body)
        self.wrong.append(f"{handler.command} {handler.path}")
        self.refuse(handler, 404)

    def log_in(self, handler: BaseHTTPRequestHandler, token: str | None, body: dict) -> None:
        if token is not None or set(body) != {"role_id", "secret_id"}:
            self.wrong.append(f"login with {sorted(body)} and token {token}")
        if (body.get("role_id"), body.get("secret_id")) != (self.role_id, self.secret_id):
            return self.refuse(handler, 400, "invalid role or secret ID")
        name = self.token(**self.role_token)
        self.tell(handler, auth=self.auth(name, self.tokens[name]))

    @staticmethod
    def auth(name: str, token: Token) -> dict:
        return {"accessor": "a", "client_token": name, "entity_id": "e", "lease_duration": token.left,
                "metadata": {"role_name": "gateway"}, "mfa_requirement": None, "num_uses": 0, "orphan": True,
                "policies": ["default", "gateway"], "renewable": token.renewable,
                "token_policies": ["default", "gateway"], "token_type": "service"}

    def read(self, handler: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        if set(query) - {"version"}:
            self.wrong.append(f"read with {query}")
        number = int(query.get("version") or 0) or len(self.versions)
        if not 1 <= number <= len(self.versions):
            return self.refuse(handler, 404)
        version = self.versions[number - 1]
        metadata = {"created_time": version.created, "custom_metadata": None, "deletion_time": version.deleted,
                    "destroyed": False, "version": number}
        members = None if version.deleted else version.members
        self.tell(handler, 404 if version.deleted else 200, data={"data": members, "metadata": metadata})

    def write(self, handler: BaseHTTPRequestHandler, body: dict) -> None:
        if set(body) != {"options", "data"} or set(body["options"]) != {"cas"}:
            self.wrong.append(f"write with {body}")
        if not self.may_write:
            return self.refuse(handler, 403, "permission denied")
        if body["options"]["cas"] != len(self.versions):
            return self.refuse(handler, 400, "check-and-set parameter did not match the current version")
        self.put(**body["data"])
        self.tell(handler, data={"created_time": self.versions[-1].created, "custom_metadata": None,
                                 "deletion_time": "", "destroyed": False, "version": len(self.versions)})

    # Answers

    def tell(self, handler: BaseHTTPRequestHandler, status: int = 200, *, data=None, auth=None) -> None:
        self.send(handler, status, json.dumps({
            "request_id": str(uuid.uuid4()), "lease_id": "", "renewable": False, "lease_duration": 0, "data": data,
            "wrap_info": None, "warnings": None, "auth": auth, "mount_type": "kv"}).encode())

    def refuse(self, handler: BaseHTTPRequestHandler, status: int, *errors: str) -> None:
        self.send(handler, status, json.dumps({"errors": errors}).encode())

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, announced: int = 0, **fields: str) -> None:
        with contextlib.suppress(OSError):
            handler.send_response(status)
            for name, value in ({"Cache-Control": "no-store", "Connection": "close",
                                 "Content-Type": "application/json",
                                 "Content-Length": str(announced or len(body))} | fields).items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)
        handler.close_connection = True
