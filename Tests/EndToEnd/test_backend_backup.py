"""A copy of the database made while the backend works on it: whole, private, and good for another backend."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading

from harness.backend import BINARY, backend_key, prepare, problem  # noqa: F401


def back_up(backend, *arguments: str) -> subprocess.CompletedProcess:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BACKEND_")}
    return subprocess.run([BINARY, "backup", *arguments], cwd=backend.folder, env=inherited, capture_output=True,
                          text=True, timeout=60)


def test_backup_of_a_working_backend_is_one_moment_of_it(prepare):
    backend = prepare().start()
    login, ended = backend.login(), backend.login()
    assert backend.auth.post("/logout", json={"refresh_token": ended["refresh_token"]}).status_code == 204
    stop = threading.Event()
    refreshed: list[int] = []

    def work() -> None:
        token = backend.login("admin", "battery staple")["refresh_token"]
        while not stop.is_set():
            answer = backend.refresh(token)
            refreshed.append(answer.status_code)
            token = answer.json()["refresh_token"]

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for number in range(5):
            done = back_up(backend, f"copy-{number}.sqlite")
            assert done.returncode == 0 and done.stderr == "", done.stderr
    finally:
        stop.set()
        worker.join()
    assert refreshed and set(refreshed) == {200}
    copy = backend.folder / "copy-4.sqlite"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert not list(backend.folder.glob("*.partial*"))
    with contextlib.closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    backend.stop()

    other = prepare()
    (other.folder / "run").mkdir()
    shutil.copy(copy, other.folder / "run/backend.sqlite")
    # The same users: another hash in the file would be another password.
    other.write("keys/secrets.json", backend.read("keys/secrets.json"), mode=0o600)
    other.start()
    assert other.refresh(login["refresh_token"]).status_code == 200
    problem(other.refresh(ended["refresh_token"]), 401, "refresh_revoked")
    other.stop()


def test_backup_overwrites_nothing_and_says_what_is_missing(prepare):
    backend = prepare()
    done = back_up(backend, "copy.sqlite")
    assert (done.returncode, done.stderr) == (1, "backend: run/backend.sqlite: the database does not exist\n")
    backend.start()
    backend.stop()
    backend.write("copy.sqlite", "precious")
    done = back_up(backend, "copy.sqlite")
    assert (done.returncode, done.stderr) == (
        1, "backend: copy.sqlite: the file exists already: name another one\n")
    assert backend.read("copy.sqlite") == "precious"
    done = back_up(backend, "missing/copy.sqlite")
    assert done.returncode == 1 and done.stderr.startswith("backend: missing/copy.sqlite: the copy cannot be written:")
