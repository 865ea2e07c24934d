"""Starting and stopping: files with something wrong in them, settings and their order, ports, signals, logs."""

import json
import socket
import time

import pytest

from harness.backend import ROLES, USERS, backend_key, prepare, private_key, private_pem, problem, public_pem  # noqa: F401

HASH = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$cpx6VEQbwTVZvcpxNIxOVUWZ5xnAipUmAe1cg2GMG70"
ALICE = {"name": "alice", "password_hash": HASH, "roles": ["user"]}


def users(*entries: dict) -> str:
    return json.dumps({"users": entries})


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_signing_key_must_be_private(prepare, mode):
    backend = prepare()
    (backend.folder / "keys/private_key.pem").chmod(mode)
    said = backend.refuses_to_start()
    assert said == (f"backend: keys/private_key.pem: its mode is 0{mode:o}, but only its owner may read it: "
                    "run `chmod 600 keys/private_key.pem`")


def test_users_file_must_be_private(prepare):
    backend = prepare()
    (backend.folder / "keys/secrets.json").chmod(0o644)
    assert "keys/secrets.json: its mode is 0644" in backend.refuses_to_start()


@pytest.mark.parametrize("name", ["private_key.pem", "public_key.pem", "secrets.json", "permissions.json"])
def test_missing_file(prepare, name):
    backend = prepare()
    (backend.folder / "keys" / name).unlink()
    assert backend.refuses_to_start() == f"backend: keys/{name}: the file does not exist"


def test_file_that_is_a_folder(prepare):
    backend = prepare()
    (backend.folder / "keys/permissions.json").unlink()
    (backend.folder / "keys/permissions.json").mkdir()
    assert backend.refuses_to_start() == "backend: keys/permissions.json: this is not a file"


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_signing_key_that_is_none(prepare, text):
    backend = prepare()
    backend.write("keys/private_key.pem", text, mode=0o600)
    assert backend.refuses_to_start().startswith("backend: keys/private_key.pem: this is not the PEM of a private key")


def test_weak_signing_key(prepare):
    from cryptography.hazmat.primitives.asymmetric import rsa
    backend = prepare(key=rsa.generate_private_key(65537, 1024))
    assert "RSA of 2048 bits or more" in backend.refuses_to_start()


def test_halves_of_two_key_pairs(prepare):
    backend = prepare()
    backend.write("keys/public_key.pem", public_pem(private_key()))
    assert backend.refuses_to_start() == (
        "backend: keys/public_key.pem is not the public half of keys/private_key.pem")


@pytest.mark.parametrize("text,said", [
    ('{"users": [\n  {"name": "alice",}\n]}', "2:20: a member name in double quotes is expected here"),
    ('{"users": [', "1:12: the text ends where a value is expected"),
    ('{"users": 1}', '1:11: "users" must be an array, not a number'),
    ('{}', '1:1: "users" is missing'),
    ('{"users": [], "groups": []}', '1:15: unknown member "groups"; known are "clients", "users"'),
    (users(ALICE | {"admin": True}), 'unknown member "users[0].admin"'),
    (users(ALICE | {"roles": ["root"]}), 'unknown role "root"; the permissions file has "admin", "guest", "user"'),
    (users(ALICE | {"roles": ["user", "user"]}), 'the role "user" stands here twice'),
    (users(ALICE | {"roles": "user"}), '"users[0].roles" must be an array, not a string'),
    (users(ALICE, ALICE), 'the user "alice" stands here twice'),
    (users(ALICE | {"name": "a\nb"}), '"users[0].name" must not contain control characters'),
    (users(ALICE | {"name": ""}), '"users[0].name" must not be empty'),
    (users({"name": "alice", "roles": []}), '"users[0].password_hash" is missing'),
    (users(ALICE | {"password": "x"}), 'give either "password" or "password_hash", not both'),
    (users(ALICE | {"password_hash": "5f4dcc3b5aa765d61d8327deb882cf99"}), "is not an Argon2id hash"),
    (users(ALICE | {"password_hash": HASH.replace("m=64", "m=4294967295")}), "is not an Argon2id hash"),
    (users(ALICE | {"password_hash": HASH.replace("argon2id", "argon2i")}), "is not an Argon2id hash"),
    ('{"users": [], "users": []}', '1:15: the member "users" stands here twice'),
    (b'{"users":\n [{"name": "\xff"}]}', "2:1: the text is not UTF-8"),
])
def test_users_file_with_a_mistake(prepare, text, said):
    backend = prepare()
    backend.write("keys/secrets.json", text, mode=0o600)
    message = backend.refuses_to_start()
    assert message.startswith("backend: keys/secrets.json:")
    assert said in message


@pytest.mark.parametrize("text,said", [
    ('{"roles": {"user": ["read:data", 1]}}', '1:34: a permission of the role "user" must be a word'),
    ('{"roles": {"user": ["read data"]}}', '1:21: a permission of the role "user" must be a word'),
    ('{"roles": {"user": ["read:data", "read:data"]}}', '1:34: the role "user" has the permission "read:data" twice'),
    ('{"roles": {"the boss": []}}', '1:12: the role "the boss" is not a word'),
    ('{"roles": []}', '1:11: "roles" must be an object, not an array'),
    ('{"roles": {}, "x": 1}', '1:15: unknown member "x"'),
])
def test_roles_file_with_a_mistake(prepare, text, said):
    backend = prepare()
    backend.write("keys/permissions.json", text)
    assert backend.refuses_to_start().startswith(f"backend: keys/permissions.json:{said}")


def test_plain_passwords_are_replaced_by_their_hashes(prepare):
    backend = prepare()
    text = ('{"users": [\n  {"name": "alice", "password": "first \\"word\\"", "roles": ["user"]},\n'
            '  {"roles": [], "password" : "second", "name": "bob"}\n]}\n')
    backend.write("keys/secrets.json", text, mode=0o600)
    backend.start()
    replaced = backend.read("keys/secrets.json")
    assert "first" not in replaced and "second" not in replaced
    content = json.loads(replaced)["users"]
    assert [list(user) for user in content] == [["name", "password_hash", "roles"], ["roles", "password_hash", "name"]]
    assert all(user["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$") for user in content)
    assert replaced.count("\n") == text.count("\n")
    assert (backend.folder / "keys/secrets.json").stat().st_mode & 0o777 == 0o600
    assert backend.log.count("a plain password was replaced by its hash") == 2
    assert backend.login("alice", 'first "word"') and backend.login("bob", "second")
    backend.stop()
    backend.start()
    assert backend.read("keys/secrets.json") == replaced
    assert backend.log.count("a plain password was replaced by its hash") == 2
    backend.stop()


@pytest.mark.parametrize("service", ["auth", "resource"])
def test_taken_port(prepare, service):
    backend = prepare()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        addresses = {"auth": f"127.0.0.1:{backend.auth_port}", "resource": f"127.0.0.1:{backend.resource_port}"}
        addresses[service] = f"127.0.0.1:{port}"
        said = backend.refuses_to_start("--auth-listen", addresses["auth"], "--resource-listen", addresses["resource"])
    assert said == (f"backend: 127.0.0.1:{port} is taken: another program listens where the {service} service should")


def test_settings_flag_over_environment_over_file_over_default(prepare):
    backend = prepare()
    backend.write("settings.json", json.dumps({"access_token_lifetime": "1m", "client_id": "from-file",
                                               "refresh_grace": "3s", "database": "elsewhere/db.sqlite"}))
    environment = {"BACKEND_ACCESS_TOKEN_LIFETIME": "2m", "BACKEND_CLIENT_ID": "from-environment"}
    backend.start("--config", "settings.json", "--access-token-lifetime", "3m", environment=environment)
    login = backend.login()
    assert login["expires_in"] == 180
    assert backend.claims(login["access_token"])["client_id"] == "from-environment"
    assert (backend.folder / "elsewhere/db.sqlite").exists()
    assert not (backend.folder / "run").exists()
    backend.stop()


@pytest.mark.parametrize("text,said", [
    ('{"audience": "api",\n "acess_token_lifetime": "1m"}', 'settings.json:2:2: unknown member "acess_token_lifetime"'),
    ('{"refresh_grace": 10}', 'settings.json:1:19: "refresh_grace" must be a string, not a number'),
    ("[]", "settings.json:1:1: the text must be an object, not an array"),
    ('{"audience": "a", "audience": "b"}', 'settings.json:1:19: the member "audience" stands here twice'),
])
def test_settings_file_with_a_mistake(prepare, text, said):
    backend = prepare()
    backend.write("settings.json", text)
    assert backend.refuses_to_start("--config", "settings.json").startswith(f"backend: {said}")


@pytest.mark.parametrize("flag,value", [
    ("--access-token-lifetime", "10"), ("--access-token-lifetime", "0s"), ("--access-token-lifetime", "-1s"),
    ("--refresh-token-lifetime", "99999999999999999999d"), ("--refresh-grace", "1h30m"), ("--auth-listen", "5000"),
    ("--auth-listen", "127.0.0.1:99999"), ("--resource-listen", ":5001"), ("--log-level", "loud"),
])
def test_setting_with_a_mistake(prepare, flag, value):
    said = prepare().refuses_to_start(f"{flag}={value}")
    assert said.startswith(f"backend: the setting {flag[2:].replace('-', '_')} must")


def test_empty_setting(prepare):
    said = prepare().refuses_to_start(environment={"BACKEND_ISSUER": ""})
    assert said == "backend: the setting issuer must not be empty"


def test_unknown_flag_is_refused(prepare):
    backend = prepare()
    backend.launch("--port", "1")
    assert backend.process.wait(10) == 64
    assert "Unknown option '--port'" in backend.log


@pytest.mark.parametrize("broken", ["folder", "garbage"])
def test_database_that_cannot_be_opened(prepare, broken):
    backend = prepare()
    (backend.folder / "run").mkdir()
    if broken == "folder":
        (backend.folder / "run/backend.sqlite").mkdir()
    else:
        backend.write("run/backend.sqlite", b"not a database" * 500)
    assert backend.refuses_to_start().startswith("backend: run/backend.sqlite: the database cannot be opened:")


def test_stops_at_once_with_idle_connections_open(prepare):
    backend = prepare().start()
    idle = [socket.create_connection(("127.0.0.1", port)) for port in (backend.auth_port, backend.resource_port)]
    half = socket.create_connection(("127.0.0.1", backend.auth_port))
    half.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Le")
    assert backend.stop() < 5
    for connection in [*idle, half]:
        connection.close()


def test_answers_what_it_was_asked_before_the_signal(prepare):
    backend = prepare().start()
    with socket.create_connection(("127.0.0.1", backend.auth_port)) as connection:
        body = json.dumps({"username": "alice", "password": "correct horse"})
        connection.sendall(f"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        time.sleep(0.01)
        backend.stop()
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200 OK")


def test_logs_hold_no_secret(prepare):
    backend = prepare().start("--log-level", "trace")
    login = backend.login()
    renewed = backend.refresh(login["refresh_token"]).json()
    backend.refresh(login["refresh_token"])
    backend.get("/protected", login["access_token"])
    backend.get("/protected", login["access_token"][:-5] + "AAAAA")
    problem(backend.auth.post("/login", json={"username": "alice", "password": "a secret typo"}), 401,
            "invalid_credentials")
    problem(backend.auth.post("/login", json={"username": "alice", "passwort": "a secret typo"}), 400,
            "invalid_request")
    backend.stop()
    secrets = [login["refresh_token"], login["access_token"], login["access_token"].split(".")[2],
               renewed["refresh_token"], renewed["access_token"], "a secret typo", "correct horse", "$argon2id",
               "PRIVATE KEY"]
    assert "request" in backend.log
    for secret in secrets:
        assert secret not in backend.log


def test_request_id_of_the_gateway_is_in_the_log(prepare):
    backend = prepare().start()
    backend.get("/protected", **{"X-Request-ID": "req-4711"})
    backend.get("/protected", **{"X-Request-ID": 'forged" line'})
    assert "request_id=req-4711" in backend.log
    assert "forged" not in backend.log
    backend.stop()


def test_help_names_every_setting(prepare):
    backend = prepare()
    backend.launch("--help")
    assert backend.process.wait(10) == 0
    for flag in ("--auth-listen", "--resource-listen", "--database", "--private-key", "--public-key", "--secrets",
                 "--permissions", "--issuer", "--audience", "--client-id", "--access-token-lifetime",
                 "--refresh-token-lifetime", "--refresh-token-idle", "--refresh-grace", "--log-level", "--config"):
        assert flag in backend.log
