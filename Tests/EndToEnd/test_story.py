"""The whole system in one walk: keys, backend, gateways, and what a user, a program and an operator do with them.

The gateways run `gateway.conf.example`. The backend is two processes on one database, so that the auth service can stop
while the resource service goes on.
"""

import contextlib
import copy
import os
import re
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection

from harness import backend as backends
from harness.example import BACKEND_FLAGS, Example
from harness.frames import library_server
from harness.gateway import Gateway, run_command
from harness.waiting import wait_until

LIFETIME_SECONDS = 6
LEEWAY_SECONDS = 0
GRACE_SECONDS = 2
KEY_FLAGS = ("--key-set-max-age", "1s", "--access-token-lifetime", f"{LIFETIME_SECONDS}s")
FLAGS = (*KEY_FLAGS, "--refresh-grace", f"{GRACE_SECONDS}s")
# Key sets are fresh for a minute at least.
FRESH_SECONDS = 60
SHUTDOWN_SECONDS = 5
LIVE = "location = /live { require permission read:data; proxy_pass http://@live@; }"


@pytest.mark.timeout(300)
def test_story(start, tmp_path, authority):
    assert run_command("keygen", "--out", tmp_path / "keygen").returncode == 0
    key = load_pem_private_key((tmp_path / "keygen/private_key.pem").read_bytes(), None)
    example = Example(tmp_path / "example", key, authority)
    auth = example.backend
    resource = auth.another()
    try:
        example.start_backend(*FLAGS)
        resource.start(*BACKEND_FLAGS, *FLAGS)
        gateways = [example.start_gateway(start, resource=resource, leeway=f"{LEEWAY_SECONDS}s") for _ in range(2)]
        Story(example, gateways).walk()
        for process in (*gateways, auth, resource):
            process.stop()
    finally:
        auth.close()
        resource.close()


class Session:
    """What a client holds: its tokens, and the one way in which it comes by new ones."""

    def __init__(self, gateway: Gateway, name: str, password: str):
        self.origin = f"http://127.0.0.1:{gateway.port}"
        answer = self.post("/api/v1/auth/login", json={"username": name, "password": password})
        assert answer.status_code == 200, answer.text
        self.take(answer.json())

    def take(self, tokens: dict) -> None:
        assert set(tokens) == {"access_token", "token_type", "expires_in", "refresh_token"}
        self.tokens = tokens

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    @property
    def kid(self) -> str:
        return jwt.get_unverified_header(self.tokens["access_token"])["kid"]

    def post(self, path: str, **options) -> httpx.Response:
        return httpx.post(self.origin + path, timeout=20, **options)

    def get(self, path: str = "/api/protected/data", at: Gateway | None = None) -> httpx.Response:
        """A request with the access token as it is."""
        origin = f"http://127.0.0.1:{at.port}" if at else self.origin
        return httpx.get(origin + path, headers=self.bearer, timeout=20)

    def refresh(self) -> httpx.Response:
        return self.post("/api/v1/auth/refresh", json={"refresh_token": self.tokens["refresh_token"]})

    def fetch(self, path: str = "/api/protected/data") -> httpx.Response:
        """As a client does it: a request that is refused because its token expired is made once more with a new one."""
        answer = self.get(path)
        if answer.status_code == 401 and answer.json()["code"] == "token_expired":
            renewed = self.refresh()
            assert renewed.status_code == 200, renewed.text
            self.take(renewed.json())
            answer = self.get(path)
        return answer


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class Story:
    def __init__(self, example: Example, gateways: list[Gateway]):
        self.example, self.gateways = example, gateways
        self.backend = example.backend

    def walk(self) -> None:
        self.load_the_web_app()
        alice = self.log_in_and_see()
        self.expire_and_refresh(alice)
        self.refresh_in_two_tabs(alice)
        self.rotate_the_key_under_load()
        self.go_on_without_the_auth_service()
        self.log_out()
        self.replay_an_old_refresh_token()
        self.use_an_api_key()
        self.take_a_role_away()
        self.reload_with_websockets_open()
        self.check_a_broken_file()

    def session(self, name: str = "alice", password: str = "correct horse") -> Session:
        return Session(self.gateways[0], name, password)

    def load_the_web_app(self) -> None:
        """Its page, and all that the page names; what it does in a browser has tests of its own."""
        origin = f"http://127.0.0.1:{self.gateways[0].port}"
        page = httpx.get(f"{origin}/", timeout=20)
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html"), page.text
        named = {name for name in re.findall(r'(?:src|href)="(/[^"]+)"', page.text)}
        assert named, page.text
        for name in named:
            assert httpx.get(origin + name, timeout=20).status_code == 200, name

    def log_in_and_see(self) -> Session:
        assert code(httpx.get(f"http://127.0.0.1:{self.gateways[0].port}/api/protected/data")) == (401, "token_missing")
        alice, admin = self.session(), self.session("admin", "battery staple")
        answer = alice.get()
        assert (answer.status_code, answer.json()["subject"]) == (200, "alice"), answer.text
        assert code(alice.get("/admin")) == (403, "insufficient_scope")
        assert admin.get("/admin").status_code == 200
        return alice

    def expire_and_refresh(self, alice: Session) -> None:
        before = dict(alice.tokens)
        expires = jwt.decode(alice.tokens["access_token"], options={"verify_signature": False})["exp"]
        wait_until(lambda: alice.get().status_code == 401, within=expires - time.time() + LEEWAY_SECONDS + 2, what="the token expires")
        assert code(alice.get()) == (401, "token_expired")
        assert alice.fetch().status_code == 200
        assert alice.tokens["refresh_token"] != before["refresh_token"]

    def refresh_in_two_tabs(self, alice: Session) -> None:
        tabs = [copy.copy(alice) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            for tab, answer in zip(tabs, pool.map(Session.refresh, tabs)):
                assert answer.status_code == 200, answer.text
                tab.take(answer.json())
        assert tabs[0].tokens["refresh_token"] == tabs[1].tokens["refresh_token"]
        assert [tab.get().status_code for tab in tabs] == [200, 200]
        alice.take(tabs[0].refresh().json())
        assert alice.get().status_code == 200

    def rotate_the_key_under_load(self) -> None:
        sessions = [self.session() for _ in range(3)]
        failures: list[str] = []
        kids: set[str] = set()
        done = threading.Event()

        def work(session: Session) -> None:
            try:
                while not done.is_set():
                    session.take(session.refresh().json())
                    kids.add(session.kid)
                    answer = session.fetch()
                    if answer.status_code != 200:
                        failures.append(answer.text)
            except Exception as error:  # noqa: BLE001 — whatever it was, a request failed
                failures.append(repr(error))

        threads = [threading.Thread(target=work, args=[session]) for session in sessions]
        for thread in threads:
            thread.start()
        try:
            before = self.backend.key_set()[0]["kid"]
            time.sleep(1.5)
            self.rotate()
            wait_until(lambda: self.backend.key_set()[0]["kid"] != before, within=5, what="the next key signs")
            time.sleep(1)
        finally:
            done.set()
            for thread in threads:
                thread.join(30)
        assert not failures, failures[:3]
        assert len(kids) == 2, "tokens of both keys were used"

    def rotate(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BACKEND_")}
        result = subprocess.run([backends.BINARY, "keys", "rotate", *KEY_FLAGS], cwd=self.backend.folder,
                                env=environment, capture_output=True, text=True, timeout=20)
        assert result.returncode == 0, result.stderr

    def go_on_without_the_auth_service(self) -> None:
        """Tokens that are valid pass, known and new ones; the gateways say that their keys are stale."""
        self.backend.stop()
        self.example.start_backend(*FLAGS, "--access-token-lifetime", "10m")
        used, fresh = self.session(), self.session()
        assert used.get().status_code == 200
        self.backend.stop()
        for gateway in self.gateways:
            wait_until(lambda gateway=gateway: gateway.metrics().sum("gateway_jwks_stale", provider="main") == 1,
                       within=FRESH_SECONDS + 5, every=0.5, what="the keys are stale")
            assert [session.get(at=gateway).status_code for session in (used, fresh)] == [200, 200]
        assert used.refresh().status_code in (502, 503), "no refresh is refused for good"
        self.example.start_backend(*FLAGS, "--access-token-lifetime", "10m")
        assert used.refresh().status_code == 200

    def log_out(self) -> None:
        # After a minute's silence they try again every half minute, and then hear all that they missed.
        wait_until(lambda: "backend_revocation_listeners 2\n" in self.backend.auth.get("/metrics").text, within=35,
                   every=0.1, what="the gateways listen again")
        session = self.session()
        assert [session.get(at=gateway).status_code for gateway in self.gateways] == [200, 200]
        assert session.post("/api/v1/auth/logout", headers=session.bearer).status_code == 204
        self.refused_everywhere(session, "token_revoked")
        assert code(session.refresh()) == (401, "refresh_revoked")

    def refused_everywhere(self, session: Session, reason: str) -> None:
        """Within a second."""
        deadline = time.monotonic() + 1
        for gateway in self.gateways:
            wait_until(lambda gateway=gateway: session.get(at=gateway).status_code == 401,
                       within=max(0.01, deadline - time.monotonic()), what=f"{reason} everywhere")
            assert code(session.get(at=gateway)) == (401, reason)

    def replay_an_old_refresh_token(self) -> None:
        session = self.session()
        thief = copy.copy(session)
        session.take(session.refresh().json())
        assert session.get().status_code == 200
        time.sleep(GRACE_SECONDS + 0.1)
        assert code(thief.refresh()) == (401, "refresh_reused")
        assert code(session.refresh()) == (401, "refresh_revoked")
        self.refused_everywhere(session, "token_revoked")

    def use_an_api_key(self) -> None:
        session = self.session()
        answer = session.post("/api/v1/auth/api-key", json={"name": "nightly"}, headers=session.bearer)
        assert answer.status_code == 201, answer.text
        made = answer.json()

        def use(gateway: Gateway) -> httpx.Response:
            return httpx.get(f"http://127.0.0.1:{gateway.port}/api/protected/data",
                             headers={"X-API-Key": made["api_key"]}, timeout=20)

        assert [use(gateway).status_code for gateway in self.gateways] == [200, 200]
        answer = httpx.delete(f"{session.origin}/api/v1/auth/api-key/{made['id']}", headers=session.bearer, timeout=20)
        assert answer.status_code == 204, answer.text
        deadline = time.monotonic() + 1
        for gateway in self.gateways:
            wait_until(lambda gateway=gateway: use(gateway).status_code == 401,
                       within=max(0.01, deadline - time.monotonic()), what="the key is refused everywhere")
            assert code(use(gateway)) == (401, "api_key_revoked")

    def take_a_role_away(self) -> None:
        """Within a second the old token is dead everywhere; the next one, which begins with the next second, carries less."""
        admin, alice = self.session("admin", "battery staple"), self.session()
        assert [alice.get(at=gateway).status_code for gateway in self.gateways] == [200, 200]
        answer = httpx.put(f"{admin.origin}/api/v1/admin/users/alice", json={"roles": ["guest"]}, headers=admin.bearer,
                           timeout=20)
        assert answer.status_code == 200, answer.text
        deadline = time.monotonic() + 1.5
        self.refused_everywhere(alice, "token_revoked")
        alice.take(alice.refresh().json())
        for gateway in self.gateways:
            assert code(alice.get(at=gateway)) == (403, "insufficient_scope")
        assert time.monotonic() < deadline

    def reload_with_websockets_open(self) -> None:
        """A hundred WebSockets, by the library on both sides. They go through a reload as if nothing had happened, and when the
        time that it gives them is over each end is told so; those that were opened since then live on."""
        gateway, session = self.gateways[0], self.session("admin", "battery staple")
        ended: list[int] = []

        def talk(server: ServerConnection) -> None:
            server.send(server.request.headers["X-Auth-Subject"])
            for message in server:
                server.send(message)
            ended.append(server.close_code)

        with library_server(talk) as gateway.values["live"], contextlib.ExitStack() as stack:
            self.reload(gateway, "location = /admin {", f"{LIVE}\n    location = /admin {{")
            with pytest.raises(InvalidStatus) as refused:
                self.open_websocket(gateway, None, "ws")
            assert refused.value.response.status_code == 401
            clients = [stack.enter_context(self.open_websocket(gateway, session, scheme)) for scheme in ["ws", "wss"] * 50]
            assert [client.recv(5) for client in clients] == ["admin"] * 100
            self.speak(clients)
            self.reload(gateway, "worker_shutdown_timeout 30s;", f"worker_shutdown_timeout {SHUTDOWN_SECONDS}s;")
            reloaded = time.monotonic()
            self.speak(clients)
            newer = stack.enter_context(self.open_websocket(gateway, session, "wss"))
            assert newer.recv(5) == "admin"
            self.speak(clients)
            assert time.monotonic() < reloaded + SHUTDOWN_SECONDS and not ended
            assert gateway.metrics().sum("gateway_upgrades_active") == 101
            for client in clients:
                with pytest.raises(ConnectionClosedOK) as goodbye:
                    client.recv(SHUTDOWN_SECONDS + 5)
                assert (goodbye.value.rcvd.code, goodbye.value.rcvd.reason) == (1001, "restart")
            wait_until(lambda: len(ended) == 100, what="the server was told, too")
            assert ended == [1001] * 100
            self.speak([newer])
        assert session.fetch().status_code == 200

    def reload(self, gateway: Gateway, old: str, new: str) -> None:
        done = gateway.metrics().sum("gateway_config_reloads_total", result="ok")
        assert gateway.configuration.count(old) == 1
        gateway.configure(gateway.configuration.replace(old, new))
        gateway.send_signal(signal.SIGHUP)
        wait_until(lambda: gateway.metrics().sum("gateway_config_reloads_total", result="ok") == done + 1, what="a reload")
        # Whoever has been asked once more has heard of it.
        gateway.metrics()

    def open_websocket(self, gateway: Gateway, session: Session | None, scheme: str) -> ClientConnection:
        port, tls = (gateway.port, None) if scheme == "ws" else (gateway.tls_port, self.example.authority.client_context())
        return connect(f"{scheme}://localhost:{port}/live", ssl=tls, additional_headers=session and session.bearer)

    def speak(self, clients: list[ClientConnection]) -> None:
        """All at once, and each hears its own."""
        for i, client in enumerate(clients):
            client.send(f"message {i}")
        assert [client.recv(5) for client in clients] == [f"message {i}" for i in range(len(clients))]

    def check_a_broken_file(self) -> None:
        text = self.gateways[0].file.read_text()
        line = text[: text.index("listen 127.0.0.1")].count("\n") + 1
        broken = self.gateways[0].folder / "broken.conf"
        broken.write_text(text.replace("listen 127.0.0.1", "lisn 127.0.0.1", 1))
        result = run_command("check", "-c", broken)
        assert result.returncode == 1
        column = text.splitlines()[line - 1].index("listen") + 1
        assert f"broken.conf:{line}:{column}:" in result.stdout + result.stderr, result
