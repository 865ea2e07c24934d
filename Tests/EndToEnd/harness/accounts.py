"""`backend user …`, and what a backend beside it knows of users."""

import contextlib
import json
import os
import sqlite3
import subprocess

from .backend import BINARY, Backend


def user(backend: Backend, *words: str, password: str | None = None) -> subprocess.CompletedProcess:
    """Runs `backend user …` in the backend's folder; a password goes through the pipe of standard input."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BACKEND_")}
    return subprocess.run([BINARY, "user", *words], input="" if password is None else password + "\n", text=True,
                          capture_output=True, timeout=30, cwd=backend.folder, env=environment)


def users(backend: Backend) -> dict[str, dict]:
    return {entry["name"]: entry for entry in json.loads(backend.read("keys/secrets.json"))["users"]}


def login_status(backend: Backend, name: str, password: str) -> int:
    return backend.auth.post("/login", json={"username": name, "password": password}).status_code


def is_in_step(backend: Backend) -> bool:
    """Whether the backend has taken over what the file says about users."""
    wanted = {(name, entry["password_hash"], int(entry.get("disabled", False))) for name, entry in users(backend).items()}
    with contextlib.closing(sqlite3.connect(backend.folder / "run/backend.sqlite")) as database:
        return wanted == set(database.execute("SELECT name, imported_hash, disabled FROM users"))
