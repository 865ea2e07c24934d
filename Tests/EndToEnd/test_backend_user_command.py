"""`backend user add|passwd|disable|enable`: asks for passwords, edits secrets.json, and a running backend follows."""

import concurrent.futures
import getpass
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import termios
import time

import pytest

from harness.accounts import is_in_step, login_status, user, users
from harness.backend import BINARY, ROLES, USERS, Backend, backend_key, prepare, problem  # noqa: F401
from harness.waiting import wait_until

ADMIN_ALONE = [{"name": "root", "password": "battery staple", "roles": ["admin"]}]


def refused(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert done.stdout == ""
    *before, line = done.stderr.splitlines()
    assert all("was replaced by its hash" in other for other in before) and line.startswith("backend: "), done.stderr
    return line


def audited(done: subprocess.CompletedProcess) -> dict[str, str]:
    """The one line that it wrote to its log, as its members."""
    (line,) = done.stderr.splitlines()
    assert " notice backend: " in line and line.endswith(" audit"), line
    return dict(re.findall(r"(\w+)=((?:[^ =]| (?!\w+=|\[))*)", line.split(" backend: ", 1)[1]))


def followed(backend: Backend, *words: str, password: str | None = None) -> subprocess.CompletedProcess:
    """Runs the command beside a running backend, and waits until that has read the file again."""
    done = user(backend, *words, password=password)
    assert done.returncode == 0 and audited(done), done.stderr
    wait_until(lambda: is_in_step(backend), within=5, what="the file is re-read")
    return done


class Terminal:
    """The command at a terminal of its own."""

    def __init__(self, backend: Backend, *words: str):
        self.output = ""
        self.process, self.master = pty.fork()
        if self.process == 0:
            os.chdir(backend.folder)
            os.execv(BINARY, [BINARY, "user", *words])

    def see(self, text: str) -> None:
        """Waits until the text appears behind what was seen before."""
        deadline = time.monotonic() + 20
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            if not self.read():
                assert text in self.output, self.output
                return
        self.output = self.output.split(text, 1)[1]

    def read(self) -> bool:
        if not select.select([self.master], [], [], 1)[0]:
            return True
        try:
            self.output += os.read(self.master, 4096).decode()
            return True
        except OSError:
            return False

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> tuple[int, str]:
        deadline = time.monotonic() + 20
        while self.read() and time.monotonic() < deadline:
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        os.close(self.master)
        return status, self.output


def test_user_is_added_and_can_log_in_at_a_running_backend(prepare):
    backend = prepare().start()
    before = backend.read("keys/secrets.json")
    done = followed(backend, "add", "bea", "--role", "user", "--role", "guest", "--email", "bea@example.com",
                    "--display-name", 'Bea "B" Ö', password="tr0ub4dor")
    assert done.stdout == "keys/secrets.json: the user bea was added\n"
    entry = users(backend)["bea"]
    assert entry.pop("password_hash").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert entry == {"name": "bea", "roles": ["user", "guest"], "email": "bea@example.com",
                     "display_name": 'Bea "B" Ö'}
    # The others stay as they were written, to the byte.
    for other in json.loads(before)["users"]:
        assert other == users(backend)[other["name"]]
    assert stat.S_IMODE((backend.folder / "keys/secrets.json").stat().st_mode) == 0o600
    assert backend.claims(backend.login("bea", "tr0ub4dor")["access_token"])["roles"] == ["user", "guest"]
    assert "tr0ub4dor" not in backend.log + backend.read("keys/secrets.json")
    backend.stop()


def test_new_password_ends_the_sessions_of_the_old_one(prepare):
    backend = prepare().start()
    tokens, other = backend.login(), backend.login("admin", "battery staple")
    followed(backend, "passwd", "alice", password="tr0ub4dor")
    assert login_status(backend, "alice", "tr0ub4dor") == 200
    assert login_status(backend, "alice", "correct horse") == 401
    problem(backend.refresh(tokens["refresh_token"]), 401, "refresh_revoked")
    assert backend.refresh(other["refresh_token"]).status_code == 200
    backend.stop()


def test_B11_disabled_user_is_out_and_an_enabled_one_in(prepare):
    backend = prepare().start()
    tokens = backend.login()
    assert followed(backend, "disable", "alice").stdout == "keys/secrets.json: the user alice is disabled\n"
    assert login_status(backend, "alice", "correct horse") == 401
    problem(backend.refresh(tokens["refresh_token"]), 401, "refresh_revoked")
    followed(backend, "enable", "alice")
    assert login_status(backend, "alice", "correct horse") == 200
    problem(backend.refresh(tokens["refresh_token"]), 401, "refresh_revoked")
    backend.stop()


def test_each_change_is_audited_and_nothing_else(prepare):
    backend = prepare()
    user(backend, "enable", "alice")  # plain passwords are hashed by the first run
    for words, password, members in [
        (["add", "bea", "--role", "user", "--role", "guest"], "tr0ub4dor", {"event": "user_created", "sub": "bea",
                                                                            "roles": "user guest"}),
        (["passwd", "bea"], "tr0ub4dor and 3", {"event": "password_set", "sub": "bea"}),
        (["disable", "bea"], None, {"event": "user_changed", "sub": "bea", "disabled": "true"}),
        (["enable", "bea"], None, {"event": "user_changed", "sub": "bea", "disabled": "false"}),
    ]:
        done = user(backend, *words, password=password)
        assert done.returncode == 0
        actor = f"{getpass.getuser()}@localhost"
        assert audited(done) == {"log": "audit", "actor": actor} | members, done.stderr
        assert "tr0ub4dor" not in done.stderr + done.stdout and "argon2" not in done.stderr
    assert "log=audit" not in user(backend, "passwd", "nobody", password="tr0ub4dor").stderr


@pytest.mark.parametrize("words,password,reason", [
    (["add", "alice", "--role", "user"], "tr0ub4dor", 'there is a user "alice" already'),
    (["add", "bea", "--role", "boss"], "tr0ub4dor", 'there is no role "boss"'),
    (["add", "a/b"], "tr0ub4dor", "must not contain a slash"),
    (["add", "a\nb"], "tr0ub4dor", "must not contain control characters"),
    (["add", "x" * 255], "tr0ub4dor", "is longer than 254 characters"),
    (["add", "bea", "--email", ""], "tr0ub4dor", "must not be empty"),
    (["add", "bea"], "short", "a password has 8 to 256 characters"),
    (["add", "bea"], "x" * 257, "a password has 8 to 256 characters"),
    (["add", "bea"], None, "there is no password"),
    (["passwd", "nobody"], "tr0ub4dor", "there is no user of this name"),
    (["passwd", "alice"], "", "a password has 8 to 256 characters"),
    (["disable", "nobody"], None, "there is no user of this name"),
    (["enable", "ALICE"], None, "there is no user of this name"),
])
def test_what_cannot_be_done_is_said_and_changes_nothing(prepare, words, password, reason):
    backend = prepare(users=[entry for entry in USERS if entry["name"] != "gone"])
    user(backend, "enable", "alice")  # plain passwords are hashed by the first run
    before = backend.read("keys/secrets.json")
    assert reason in refused(user(backend, *words, password=password))
    assert backend.read("keys/secrets.json") == before


def test_password_is_no_argument(prepare):
    backend = prepare()
    for words in (["add", "bea", "--password", "tr0ub4dor"], ["passwd", "alice", "tr0ub4dor"]):
        done = user(backend, *words, password="tr0ub4dor")
        assert done.returncode == 64, done
    assert json.loads(backend.read("keys/secrets.json"))["users"] == USERS


def test_B15_last_administrator_is_disabled_only_by_force(prepare):
    backend = prepare(users=ADMIN_ALONE + [{"name": "off", "password": "battery staple", "roles": ["admin"],
                                            "disabled": True}])
    assert "write:admin_panel" in refused(user(backend, "disable", "root"))
    assert "disabled" not in users(backend)["root"]
    assert user(backend, "disable", "root", "--force").returncode == 0
    assert users(backend)["root"]["disabled"] is True
    # Now there is none to protect.
    assert user(backend, "disable", "off").returncode == 0


def test_what_people_wrote_stays(prepare):
    backend = prepare()
    hashed = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2E$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A"
    entries = (f'{{ "roles":["user"],  "name":"\\u0061lice",\n      "password_hash":"{hashed}" }}',
               f'{{"name": "bob", "password_hash": "{hashed}", "roles": []}}')
    clients = '"clients": [{"id": "gateway", "secret_hash": "sha256:' + "A" * 43 + '", "rights": [ "introspect" ]}]'
    backend.write("keys/secrets.json", f'{{{clients},\n "users": [{entries[0]}, {entries[1]}] }}\n', mode=0o600)
    assert user(backend, "disable", "bob").returncode == 0
    text = backend.read("keys/secrets.json")
    assert entries[0] in text and clients in text and entries[1] not in text
    assert users(backend)["bob"] == json.loads(entries[1]) | {"disabled": True}


def test_missing_file_is_made_for_the_first_user(prepare):
    backend = prepare()
    (backend.folder / "keys/secrets.json").unlink()
    assert user(backend, "add", "root", "--role", "admin", password="battery staple").returncode == 0
    assert list(users(backend)) == ["root"]
    assert stat.S_IMODE((backend.folder / "keys/secrets.json").stat().st_mode) == 0o600
    backend.start()
    assert backend.login("root", "battery staple")
    backend.stop()
    (backend.folder / "keys/secrets.json").unlink()
    assert "the file does not exist" in refused(user(backend, "passwd", "root", password="battery staple"))


def test_settings_say_which_files(prepare):
    backend = prepare()
    backend.write("keys/permissions.json", json.dumps({"roles": {}}))
    backend.write("other-permissions.json", json.dumps({"roles": {"boss": []}}))
    backend.write("other-secrets.json", '{"users": []}', mode=0o600)
    assert "no role" in refused(user(backend, "add", "bea", "--role", "boss", "--secrets", "other-secrets.json",
                                     password="tr0ub4dor"))
    done = user(backend, "add", "bea", "--role", "boss", "--secrets", "other-secrets.json", "--permissions",
                "other-permissions.json", password="tr0ub4dor")
    assert (done.returncode, done.stdout) == (0, "other-secrets.json: the user bea was added\n"), done.stderr
    backend.write("other-secrets.json", '{"users": [', mode=0o600)
    assert "other-secrets.json:1:12: " in refused(user(backend, "disable", "bea", "--secrets", "other-secrets.json"))


def test_file_that_others_can_read_is_refused(prepare):
    backend = prepare()
    (backend.folder / "keys/secrets.json").chmod(0o640)
    assert "chmod 600" in refused(user(backend, "disable", "alice"))


def test_thirty_at_once_beside_a_running_backend_lose_nothing(prepare):
    backend = prepare().start()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: user(backend, "add", f"user-{number}", "--role", "user",
                                                 password="tr0ub4dor").returncode, range(30)))
    assert done == [0] * 30
    assert list(users(backend))[:3] == [entry["name"] for entry in USERS]
    assert set(list(users(backend))[3:]) == {f"user-{number}" for number in range(30)}
    followed(backend, "add", "last", password="tr0ub4dor")
    assert login_status(backend, "user-29", "tr0ub4dor") == login_status(backend, "last", "tr0ub4dor") == 200
    assert [path.name for path in (backend.folder / "keys").iterdir() if "secrets" in path.name] == ["secrets.json"]
    backend.stop()


def test_terminal_asks_twice_and_shows_nothing(prepare):
    backend = prepare()
    terminal = Terminal(backend, "passwd", "alice")
    terminal.see("New password: ")
    terminal.type("tr0ub4dor\n")
    terminal.see("The same again: ")
    terminal.type("tr0ub4dor\n")
    terminal.see("alice has a new password")
    status, rest = terminal.end()
    assert status == 0 and "tr0ub4dor" not in rest
    backend.start()
    assert backend.login("alice", "tr0ub4dor")
    backend.stop()


def test_terminal_shows_no_password_while_it_is_typed(prepare):
    backend = prepare()
    user(backend, "enable", "alice")
    before = backend.read("keys/secrets.json")
    terminal = Terminal(backend, "passwd", "alice")
    terminal.see("New password: ")
    terminal.type("tr0ub4dor\n")
    terminal.see("The same again: ")
    terminal.type("tr0ub4dor?\n")
    status, rest = terminal.end()
    assert status == 1 and "the two passwords differ" in rest and "tr0ub4dor" not in rest
    assert backend.read("keys/secrets.json") == before


def test_interrupted_prompt_leaves_the_terminal_as_it_was(prepare):

    backend = prepare()
    terminal = Terminal(backend, "passwd", "alice")
    terminal.see("New password: ")
    wait_until(lambda: not termios.tcgetattr(terminal.master)[3] & termios.ECHO, within=5, what="the echo is off")
    os.kill(terminal.process, signal.SIGINT)
    wait_until(lambda: termios.tcgetattr(terminal.master)[3] & termios.ECHO, within=5, what="the echo is on again")
    status, _ = terminal.end()
    assert status == 130
    assert login_status(backend.start(), "alice", "correct horse") == 200
    backend.stop()


def test_nobody_is_asked_for_the_password_of_a_wrong_name(prepare):
    terminal = Terminal(prepare(), "passwd", "nobody")
    status, output = terminal.end()
    assert status == 1 and "New password" not in output and "there is no user of this name" in output
