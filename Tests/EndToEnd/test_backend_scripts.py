"""What scripts/setup and scripts/start say when they cannot go on: one sentence each, before anything is changed."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from harness.backend import ROOT

TOOLS = ["bash", "env", "sed", "head", "dirname", "cmp", "cat"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with a few real tools and a Swift that is new enough; tests put in or take out what they are about."""
    for tool in TOOLS:
        (tmp_path / tool).symlink_to(shutil.which(tool))
    program(tmp_path, "swift", "echo 'Swift version 6.3.1 (swift-6.3.1-RELEASE)'")
    program(tmp_path, "dpkg-query", "echo installed")
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def run(script: str, *arguments: str, path: Path) -> tuple[int, list[str]]:
    """The exit status of the script, called from elsewhere, and the lines that it printed."""
    done = subprocess.run([str(ROOT / "scripts" / script), *arguments], env={"PATH": str(path), "HOME": "/"},
                          cwd="/", capture_output=True, text=True, timeout=30)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_nothing_is_said_or_done_when_all_is_there(path):
    program(path, "apt-get", "echo apt-get was called; exit 1")
    assert run("setup", "--run", path=path) == (0, [])


def test_missing_toolchain(path):
    (path / "swift").unlink()
    status, lines = run("setup", "--run", path=path)
    assert status == 1
    assert lines == ["setup: Swift 6.3 or newer is needed and there is none: install one from "
                     "https://www.swift.org/install/linux/ and put it on the PATH"]


@pytest.mark.parametrize("version,good", [("5.10.1", False), ("6.2.4", False), ("6.3", True), ("6.10", True),
                                          ("7.0", True)])
def test_version_of_the_toolchain(path, version, good):
    program(path, "swift", f"echo 'Swift version {version} (x)'")
    status, lines = run("setup", "--run", path=path)
    assert (status == 0) is good
    assert good or lines[0].startswith("setup: Swift 6.3 or newer is needed, this is")


def test_no_root_and_no_sudo(path):
    program(path, "dpkg-query", 'for name; do :; done; [ "$name" = libargon2-dev ] || echo installed')
    program(path, "id", "echo 1000")
    program(path, "apt-get", "echo apt-get was called; exit 1")
    status, lines = run("setup", "--run", path=path)
    assert status == 1
    assert lines == ["setup: these Debian packages are missing:",
                     "  libargon2-dev   password hashes of the backend",
                     "setup: only root can install packages and there is no sudo: run as root: "
                     "apt-get install libargon2-dev"]


def test_not_a_debian(path):
    program(path, "dpkg-query", "exit 1")
    status, lines = run("setup", "--run", path=path)
    assert status == 1
    assert lines[-1].startswith("setup: these packages are needed and there is no apt-get here: libssl-dev ")


def test_unknown_arguments():
    everything = Path(os.environ["PATH"])
    for script in ("setup", "start"):
        status, lines = run(script, "--wrong", path=everything)
        assert status == 1 and len(lines) == 1 and "usage: scripts/" in lines[0]


def test_taken_port():
    """The first of the five ports that is free is taken; one that somebody else has taken does as well."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", 8080))
            listener.listen()
        except OSError:
            pass
        status, lines = run("start", "--check", path=Path(os.environ["PATH"]))
    assert status == 1
    assert lines[-1] == ("start: port 8080 is taken: another program listens where the gateway (HTTP) should; "
                         "stop it and start again")
