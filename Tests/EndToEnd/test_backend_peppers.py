"""Peppers: secrets that passwords are hashed with, which are not where the hashes are; from files and from a vault."""

import contextlib
import json
import secrets
import sqlite3

import pytest

from harness.accounts import is_in_step, login_status, user, users
from harness.backend import backend_key, bearer, prepare, private_key  # noqa: F401
from harness.vaulted import flags, log_in, pem, refusal_to_sign, rotate, vaults  # noqa: F401
from harness.waiting import wait_until

MARK = "$argon2id$v=19$m=19456,t=2,p=1,keyid="


def pepper(backend, name: str, secret: str | None = None, mode: int = 0o600) -> str:
    return str(backend.write(f"keys/{name}.secret", (secret or secrets.token_hex(32)) + "\n", mode=mode))


def hashes(backend) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(backend.folder / "run/backend.sqlite")) as database:
        return dict(database.execute("SELECT name, password_hash FROM users"))


def test_every_new_hash_is_made_with_it(prepare):
    backend = prepare()
    secret = secrets.token_hex(32)
    backend.start("--password-peppers", pepper(backend, "pepper-2026a", secret), "--log-level", "trace")
    # Of the plain password in the file, in the file too.
    assert users(backend)["alice"]["password_hash"].startswith(MARK + "pepper-2026a$")
    assert hashes(backend)["alice"] == users(backend)["alice"]["password_hash"]
    assert login_status(backend, "alice", "correct horse") == 200
    assert login_status(backend, "alice", "correct horses") == 401
    # By an administrator.
    admin = bearer(backend.login("admin", "battery staple"))
    made = backend.auth.post("/api/v1/admin/users", headers=admin, json={
        "name": "bob", "display_name": "Bob", "password": "a very long password", "roles": ["user"]})
    assert made.status_code == 201, made.text
    assert users(backend)["bob"]["password_hash"].startswith(MARK + "pepper-2026a$")
    assert login_status(backend, "bob", "a very long password") == 200
    assert secret not in backend.log and secret not in backend.read("keys/secrets.json")


def test_stolen_hashes_are_worth_nothing_without_it(prepare):
    """Who has the files but not the pepper is told that no password fits; who runs the backend is told why."""
    backend = prepare()
    backend.start("--password-peppers", pepper(backend, "pepper-2026a"))
    backend.stop()
    backend.start()
    assert login_status(backend, "alice", "correct horse") == 401
    assert "a password was hashed with a pepper that is not there" in backend.log
    assert "pepper=pepper-2026a" in backend.log and "sub=alice" in backend.log
    backend.stop()
    # Another one of the same name is no better.
    backend.start("--password-peppers", pepper(backend, "pepper-2026a"))
    assert login_status(backend, "alice", "correct horse") == 401


def test_older_hashes_get_it_at_the_next_login(prepare):
    backend = prepare().start()
    assert "keyid" not in hashes(backend)["alice"]
    backend.stop()
    first, second = pepper(backend, "first"), pepper(backend, "second")
    backend.start("--password-peppers", first)
    assert "keyid" not in hashes(backend)["alice"]
    assert login_status(backend, "alice", "wrong") == 401 and "keyid" not in hashes(backend)["alice"]
    assert login_status(backend, "alice", "correct horse") == 200
    assert hashes(backend)["alice"].startswith(MARK + "first$")
    assert login_status(backend, "alice", "correct horse") == 200
    backend.stop()
    # A new one before it, and the old one taken away.
    backend.start("--password-peppers", f"{second}, {first}")
    assert login_status(backend, "alice", "correct horse") == 200
    assert hashes(backend)["alice"].startswith(MARK + "second$")
    backend.stop()
    backend.start("--password-peppers", second)
    assert login_status(backend, "alice", "correct horse") == 200


def test_command_makes_hashes_with_it(prepare):
    backend = prepare()
    file = pepper(backend, "pepper-2026a")
    backend.start("--password-peppers", file)
    for words in (["add", "carol", "--role", "user"], ["passwd", "alice"]):
        done = user(backend, *words, "--password-peppers", file, password="a very long password")
        assert done.returncode == 0, done.stderr
    wait_until(lambda: is_in_step(backend), what="the backend follows")
    for name in ("carol", "alice"):
        assert users(backend)[name]["password_hash"].startswith(MARK + "pepper-2026a$")
        assert login_status(backend, name, "a very long password") == 200


@pytest.mark.parametrize("value,sentence", [
    ("{short}", "the secret has 8 bytes and needs 32 or more"),
    ("{open}", "open.secret"),
    ("{good},{good}", "there is another pepper of the name good"),
    ("nowhere.secret", "nowhere.secret"),
    ("vault", "password_peppers vault needs a vault"),
    ("{good},", "the setting password_peppers must be files"),
])
def test_pepper_that_will_not_do_is_refused_at_the_start(prepare, value, sentence):
    backend = prepare()
    files = {"short": pepper(backend, "short", "12345678"), "open": pepper(backend, "open", mode=0o644),
             "good": pepper(backend, "good")}
    assert sentence in backend.refuses_to_start("--password-peppers", value.format(**files))


@pytest.mark.parametrize("changed", [",keyid=", ",keyid", ",kid=x", ",keyid=x,data=y", ",", "keyid=x"])
def test_hash_with_something_else_in_it_is_refused(prepare, changed):
    backend = prepare().start()
    backend.stop()
    file = json.loads(backend.read("keys/secrets.json"))
    file["users"][0]["password_hash"] = file["users"][0]["password_hash"].replace(",p=1$", f",p=1{changed}$")
    backend.write("keys/secrets.json", json.dumps(file), mode=0o600)
    assert "is not an Argon2id hash" in backend.refuses_to_start()


def test_vault_holds_it_beside_the_keys(prepare, vaults):
    """A rotation of keys leaves it there; the one of before still verifies; commands ask the vault themselves."""
    vault = vaults()
    first, second = secrets.token_hex(32), secrets.token_hex(32)
    keys = {"private_key": pem(private_key("ES256")), "next_private_key": pem(private_key("ES256"))}
    vault.put(age=60, **keys, password_pepper=first, password_pepper_id="first")
    backend = prepare()
    known = flags(backend, vault, "--password-peppers", "vault", "--vault-refresh", "1s")
    backend.start(*known)
    assert hashes(backend)["alice"].startswith(MARK + "first$")
    assert log_in(backend).status_code == 200
    done = user(backend, "add", "carol", "--role", "user", *known, password="a very long password")
    assert done.returncode == 0, done.stderr
    assert users(backend)["carol"]["password_hash"].startswith(MARK + "first$")
    vault.put(age=60, **keys, password_pepper=second, password_pepper_id="second", previous_password_pepper=first,
              previous_password_pepper_id="first")
    wait_until(lambda: log_in(backend).status_code == 200 and hashes(backend)["alice"].startswith(MARK + "second$"),
               what="the new pepper is used")
    rotated = rotate(backend, known)
    assert rotated.returncode == 0, rotated.stderr
    assert vault.versions[-1].members["password_pepper"] == second
    assert vault.versions[-1].members["previous_password_pepper_id"] == "first"
    assert log_in(backend).status_code == 200
    assert first not in backend.log and second not in backend.log


def test_vault_without_it_lets_nobody_log_in(prepare, vaults):
    vault = vaults()
    vault.put(private_key=pem(private_key("ES256")), next_private_key=pem(private_key("ES256")))
    backend = prepare()
    backend.start(*flags(backend, vault, "--password-peppers", "vault"))
    refusal_to_sign(log_in(backend))
    assert '"password_pepper" is missing' in backend.log
