"""The web app as people reach it: a browser, the gateway with the shipped configuration, and the backend."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .backend import ROOT, Backend
from .browser import Browser
from .example import BACKEND_FLAGS, provide_keys
from .gateway import Gateway
from .ports import take_port

_PLACES = {
    "listen 8080;": "listen 127.0.0.1:@port@;",
    "listen 8443 ssl;": "listen 127.0.0.1:@tls_port@ ssl;",
    "127.0.0.1:9090": "127.0.0.1:@admin_port@",
    "127.0.0.1:5000": "127.0.0.1:@auth_service@",
    "127.0.0.1:5001": "127.0.0.1:@resources@",
    "worker_processes auto;": "worker_processes 2;",
    "run/access.log": "access.log",
    "keys/tls.crt": "@certificate@",
    "keys/tls.key": "@certificate_key@",
    "keys/gateway_secret.txt": "@keys@/gateway_secret.txt",
    "keys/identity/": "@keys@/identity/",
}


def example() -> str:
    """gateway.conf.example with the ports and files of a test, and a leeway of a second, so that tokens expire soon."""
    text = (ROOT / "gateway.conf.example").read_text()
    for shipped, own in _PLACES.items():
        assert shipped in text, f"{shipped} has gone from gateway.conf.example"
        text = re.sub(rf"(?m)^(\s*[^#\n]*){re.escape(shipped)}", lambda match: match[1] + own, text)
    return text.replace("audience gateway-demo;", "audience gateway-demo; leeway 1s;", 1)


class Web:
    """Backend and gateway, and browsers in front of them."""

    def __init__(self, folder: Path, backend: Backend, authority):
        self.folder, self.backend, self.authority = folder, backend, authority
        certificate, key = authority.issue("localhost")
        self.values = {
            "port": take_port(), "tls_port": take_port(), "admin_port": take_port(), "auth_service": backend.auth_port,
            "resources": backend.resource_port, "certificate": certificate, "certificate_key": key,
            "keys": backend.folder / "keys",
        }
        provide_keys(backend)
        self.origin = f"https://localhost:{self.values['tls_port']}"
        self.flags: tuple[str, ...] = ()
        self.gateway: Gateway | None = None
        self.starts = 0
        self.browsers: list[Browser] = []

    def start(self, *flags: str) -> "Web":
        self.flags = flags
        self.start_backend()
        self.start_gateway()
        return self

    def start_backend(self) -> None:
        self.backend.start("--public-origin", self.origin, *BACKEND_FLAGS, *self.flags)

    def start_gateway(self) -> None:
        """Where it was before, if it was."""
        folder = self.folder / f"gateway-{self.starts}"
        folder.mkdir()
        self.starts += 1
        self.gateway = Gateway(example(), folder, **self.values)

    def browser(self) -> Browser:
        folder = self.folder / f"browser-{len(self.browsers)}"
        folder.mkdir()
        self.browsers.append(Browser(folder, self.authority.file, self.origin))
        return self.browsers[-1]

    def requests(self, path: str, status: int | None = None) -> int:
        """How many requests for this path the present gateway has answered, with this status."""
        return sum(line["path"] == path and status in (None, line["status"]) for line in self.gateway.access_log())

    def stop(self) -> None:
        """All of it, as it must end."""
        for browser in self.browsers:
            browser.close()
        self.browsers.clear()
        if self.gateway.alive:
            self.gateway.stop()
        if self.backend.process.poll() is None:
            self.backend.stop()

    def close(self) -> None:
        for browser in self.browsers:
            browser.close()
        if self.gateway:
            self.gateway.kill()
        self.backend.close()


@pytest.fixture(scope="module")
def module_web(backend_key, authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("web")
    web = Web(folder, Backend(folder / "backend", backend_key), authority)
    try:
        web.start().browser()
        yield web
        web.stop()
    finally:
        web.close()


@pytest.fixture
def browser(module_web: Web) -> Iterator[Browser]:
    """The file's browser, nobody signed in, as wide as a desk and in the light. It must find nothing to complain about."""
    browser = module_web.browsers[0]
    browser.dark(False)
    browser.phone(False)
    browser.command("Network.clearBrowserCookies")
    browser.complaints()
    yield browser.open()
    assert browser.complaints() == []


def check_everywhere(browser: Browser) -> None:
    """Light and dark, wide and narrow: nothing for axe to find, and nothing that sticks out of the window."""
    for phone in (False, True):
        browser.phone(phone)
        for dark in (False, True):
            browser.dark(dark)
            assert browser.violations() == [], f"dark: {dark}, phone: {phone}"
        assert browser.run("return document.documentElement.scrollWidth - innerWidth") <= 0, f"phone: {phone}"
    browser.phone(False)
    browser.dark(False)
