"""The files of the web app, as the auth service answers them."""

import json
import re

import pytest

from harness.backend import ROOT, backend_key, prepare, problem  # noqa: F401

SOURCES = ROOT / "Sources/CWebApp/files"
SCRIPT = "text/javascript; charset=utf-8"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/manifest.webmanifest": ("manifest.webmanifest", "application/manifest+json"),
    "/service-worker.js": ("service-worker.js", SCRIPT),
    "/app/app.css": ("app.css", "text/css; charset=utf-8"),
    "/app/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/app/{name}": (name, "image/png") for name in ("icon-192.png", "icon-512.png", "icon-maskable.png")},
    **{f"/app/{name}.js": (f"{name}.js", SCRIPT)
       for name in ("account", "administration", "app", "elements", "roles", "session", "users")},
}


def test_files_and_their_fields(prepare):
    backend = prepare().start()
    for path, (name, media_type) in FILES.items():
        answer = backend.auth.get(path)
        assert answer.status_code == 200, path
        if path != "/service-worker.js":
            assert answer.content == (SOURCES / name).read_bytes()
        assert answer.headers["content-type"] == media_type
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        tag = answer.headers["etag"]
        for known in (tag, f'"other", W/{tag}', "*"):
            again = backend.auth.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert backend.auth.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        assert backend.auth.head(path).status_code == 200
    problem(backend.auth.get("/app/other.js"), 404, "not_found")
    problem(backend.auth.get("/app/../app/app.js%00"), 404, "not_found")
    backend.stop()


@pytest.mark.parametrize(("origin", "proto", "is_told"), [
    ("https://app.example.com", "https", True),
    ("https://app.example.com:8443", "https", True),
    ("https://app.example.com", "http", False),
    ("https://app.example.com", None, False),
    ("https://localhost:8443", "https", False),
    ("https://127.0.0.1:8443", "https", False),
])
def test_browsers_are_told_to_stay_with_https(prepare, origin, proto, is_told):
    backend = prepare().start("--public-origin", origin)
    answer = backend.auth.get("/", headers={"X-Forwarded-Proto": proto} if proto else {})
    assert answer.headers.get("strict-transport-security") == ("max-age=31536000" if is_told else None)
    backend.stop()


def test_the_worker_names_the_version_of_the_files(prepare):
    backend = prepare().start()
    worker = backend.auth.get("/service-worker.js").text
    assert re.search(r'"shell-[0-9a-f]{32}"', worker)
    template = (SOURCES / "service-worker.js").read_text()
    assert re.sub(r"shell-[0-9a-f]{32}", "shell-@version@", worker) == template
    backend.stop()


def test_the_worker_keeps_every_file_but_itself():
    worker = (SOURCES / "service-worker.js").read_text()
    shell = re.search(r"const shell = \[(.*?)\];", worker, re.DOTALL)[1]
    assert set(re.findall(r'"([^"]+)"', shell)) == set(FILES) - {"/service-worker.js"}
    assert {name for name, _ in FILES.values()} == {file.name for file in SOURCES.iterdir()}


def test_every_file_that_another_names_is_there():
    for file in SOURCES.iterdir():
        if file.suffix != ".png":
            for path in re.findall(r'"(/(?:app/)?[\w-]+\.\w+)"', file.read_text()):
                assert path in FILES, f"{file.name} names {path}"


def test_manifest():
    manifest = json.loads((SOURCES / "manifest.webmanifest").read_text())
    for icon in manifest["icons"]:
        name, media_type = FILES[icon["src"]]
        assert icon["type"] == media_type
        if media_type == "image/png":
            head = (SOURCES / name).read_bytes()[:24]
            width, height = (int.from_bytes(head[at:at + 4], "big") for at in (16, 20))
            assert f"{width}x{height}" == icon["sizes"]


@pytest.mark.parametrize("name", [name for name, kind in FILES.values() if "image/png" not in kind])
def test_nothing_that_the_policy_forbids(name):
    text = (SOURCES / name).read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|innerHTML|localStorage|sessionStorage", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text), "something from elsewhere"
