"""API keys and secrets of files that change while the gateway runs."""

import hashlib
import json
import os
import time

import jwt
import pytest

from harness.raw import get
from harness.refusals import check_answer, check_invalid_token
from harness.tokens import AUDIENCE, ISSUER, bearer
from harness.waiting import wait_until

KEYS = """
worker_processes 2;
error_log stderr info;
admin { listen 127.0.0.1:@admin_port@; }
auth_provider partners api_key { file @keys@; }
server {
    listen 127.0.0.1:@port@;
    auth partners;
    location / { proxy_pass http://@origin@; }
    location /data { require permission read:data; proxy_pass http://@origin@; }
}
"""
SECRETS = f"""
worker_processes 2;
error_log stderr info;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{
    issuer {ISSUER}; audience {AUDIENCE}; secret ${{file:@secret@}} @name@; algorithms HS256 HS384;
}}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    location / {{ proxy_pass http://@origin@; }}
}}
"""


def replace(file, text: str) -> None:
    """As careful programs do: a new file, then its name."""
    new = file.with_name(".new")
    new.write_text(text)
    os.replace(new, file)


def reloads(gateway, result: str) -> float:
    return gateway.metrics().sum("gateway_key_file_reloads_total", result=result)


def everywhere(question, within: float = 4.0) -> None:
    """Until it holds for six requests in a row, so that both workers are likely to have been asked."""
    wait_until(lambda: all(question() for _ in range(6)), within, 0.05)


# API keys


def document(*names: str, **members) -> str:
    entries = [{"id": name, "hash": hashlib.sha256(name.encode()).hexdigest(), **members} for name in names]
    return json.dumps({"keys": entries}, indent=1)


def ask(gateway, name: str, path: str = "/x"):
    return gateway.request(get(path, f"X-API-Key: {name}"))


def status(gateway, name: str, path: str = "/x") -> int:
    return ask(gateway, name, path).status


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "api_keys.json"
    file.write_text(document("old", "stays"))
    return file


@pytest.mark.parametrize("how", ["written", "replaced"])
def test_a_changed_file_of_api_keys_is_read_again(start, keys, how):
    gateway = start(KEYS, keys=keys)
    for _ in range(6):
        assert status(gateway, "old") == 200 and status(gateway, "new") == 401
    if how == "written":
        keys.write_text(document("new", "stays"))
    else:
        replace(keys, document("new", "stays"))
    everywhere(lambda: status(gateway, "new") == 200)
    for _ in range(6):
        # It was cached by both workers.
        check_answer(ask(gateway, "old"), 401, "api_key_invalid", closed=False)
        assert status(gateway, "stays") == 200
    gateway.wait_for_notice('[notice] provider "partners" has 2 API keys of a file that changed')
    assert reloads(gateway, "ok") == 1 and reloads(gateway, "failed") == 0


def test_what_a_key_may_do_changes_with_the_file(start, keys):
    gateway = start(KEYS, keys=keys)
    for _ in range(6):
        assert status(gateway, "stays", "/data") == 403
    replace(keys, document("stays", permissions=["read:data"]))
    everywhere(lambda: status(gateway, "stays", "/data") == 200)
    replace(keys, document("stays", permissions=["read:data"], revoked=True))
    everywhere(lambda: status(gateway, "stays") == 401)
    check_answer(ask(gateway, "stays"), 401, "api_key_revoked", closed=False)
    replace(keys, document("stays", expires_at=int(time.time()) - 1))
    everywhere(lambda: status(gateway, "stays") == 401 and ask(gateway, "stays").code == "api_key_invalid")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ":1:1: it is not JSON from here on"),
        ('{"keys":[\n{"id":"a","hash":"no"}]}', ":2:19: SHA-256 of the key"),
        (document("twice", "twice"), "is there twice"),
        (None, 'key file "'),
    ],
)
def test_a_bad_file_leaves_the_old_api_keys(start, keys, text, reason):
    gateway = start(KEYS, keys=keys)
    assert status(gateway, "old") == 200
    if text is None:
        keys.unlink()
    else:
        replace(keys, text)
    gateway.wait_for_notice('[error] the API keys of provider "partners" stay as they are: ')
    assert reason in gateway.log and reloads(gateway, "failed") >= 1
    for _ in range(6):
        assert status(gateway, "old") == 200 and status(gateway, "new") == 401
    replace(keys, document("new"))
    everywhere(lambda: status(gateway, "new") == 200)
    assert status(gateway, "old") == 401


def test_files_that_say_the_same_change_nothing(start, keys):
    gateway = start(KEYS, keys=keys)
    assert status(gateway, "old") == 200
    replace(keys, keys.read_text())
    time.sleep(1)
    assert reloads(gateway, "ok") == reloads(gateway, "failed") == 0


# Secrets

OLD, NEW = "o" * 48, "n" * 48


def token(secret: str, algorithm: str = "HS256", kid: str | None = None) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 600}
    return jwt.encode(claims, secret, algorithm, headers={"kid": kid} if kid else None)


@pytest.mark.parametrize("kid", [None, "shared"])
def test_a_changed_secret_is_read_again(start, tmp_path, kid):
    file = tmp_path / "secret"
    file.write_text(OLD + "\n")
    gateway = start(SECRETS, secret=file, name=f"kid={kid}" if kid else "")
    old, new = token(OLD, kid=kid), token(NEW, kid=kid)
    for _ in range(6):
        assert gateway.request(get("/x", bearer(old))).status == 200
    check_invalid_token(gateway.request(get("/x", bearer(new))), "signature_invalid")
    replace(file, NEW + "\n")
    everywhere(lambda: gateway.request(get("/x", bearer(new))).status == 200)
    for _ in range(6):
        # It was cached by both workers, and the refusal of the other one was remembered.
        check_invalid_token(gateway.request(get("/x", bearer(old))), "signature_invalid")
    assert reloads(gateway, "ok") == 1
    assert OLD not in gateway.log and NEW not in gateway.log


@pytest.mark.parametrize(
    ("text", "reason"),
    [("short", "HS256 needs a secret of at least 32 bytes"), ("x" * 40, "HS384 needs"), (None, "cannot be read"), ("\x00" * 64, "not text")],
)
def test_a_bad_secret_leaves_the_old_one(start, tmp_path, text, reason):
    file = tmp_path / "secret"
    file.write_text(OLD)
    gateway = start(SECRETS, secret=file, name="")
    if text is None:
        file.unlink()
    else:
        replace(file, text)
    gateway.wait_for_notice('[error] the keys of provider "main" stay as they are: ')
    assert reason in gateway.log
    for _ in range(6):
        assert gateway.request(get("/x", bearer(token(OLD, "HS384")))).status == 200
    replace(file, NEW)
    everywhere(lambda: gateway.request(get("/x", bearer(token(NEW, "HS384")))).status == 200)
