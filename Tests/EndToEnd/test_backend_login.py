"""Login: who gets tokens, what is in them, and what is refused."""

import base64
import contextlib
import hashlib
import json
import random
import socket
import sqlite3
import statistics
import time
import unicodedata

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from harness.backend import backend, backend_key, module_backend, prepare, private_key, problem  # noqa: F401

LOGIN_PATHS = ["/api/v1/auth/login", "/auth/login", "/login"]


@pytest.mark.parametrize("path", LOGIN_PATHS)
def test_answer_is_that_of_rfc_6749(backend, path):
    answer = backend.auth.post(path, json={"username": "alice", "password": "correct horse"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 600
    assert len(answer.json()["refresh_token"]) == 43


def test_access_token_carries_the_user(backend):
    before = int(time.time())
    claims = backend.claims(backend.login("admin", "battery staple")["access_token"])
    assert claims["sub"] == "admin"
    assert claims["name"] == "Ada Min"
    assert claims["role"] == "admin"
    assert claims["roles"] == ["admin", "user"]
    assert claims["permissions"] == ["read:admin_panel", "read:data", "write:admin_panel"]
    assert claims["client_id"] == "web"
    assert before <= claims["iat"] <= time.time()
    assert claims["nbf"] == claims["iat"]
    assert claims["exp"] == claims["iat"] + 600
    assert len(claims["sid"]) == 36 and len(claims["jti"]) == 36
    assert "email" not in claims
    assert backend.claims(backend.login()["access_token"])["email"] == "alice@example.com"


def test_every_login_is_a_session_of_its_own(backend):
    first, second = backend.login(), backend.login()
    one, two = backend.claims(first["access_token"]), backend.claims(second["access_token"])
    assert one["sid"] != two["sid"] and one["jti"] != two["jti"]
    assert first["refresh_token"] != second["refresh_token"]


@pytest.mark.parametrize("name,password", [("alice", "wrong"), ("nobody", "correct horse"), ("gone", "was here"),
                                           ("ALICE", "correct horse"), ("alice ", "correct horse"),
                                           ("' OR 1=1 --", "x"), ("alice", "correct horse ")])
def test_B01_wrong_credentials_get_one_answer(backend, name, password):
    answer = backend.auth.post("/login", json={"username": name, "password": password})
    problem(answer, 401, "invalid_credentials")
    reference = backend.auth.post("/login", json={"username": "alice", "password": "wrong"})
    assert answer.content == reference.content
    # The owner's login forgets the failures, which would lock the name after ten.
    backend.login()


def test_B01_unknown_names_take_as_long_as_wrong_passwords(backend):
    def seconds(name: str) -> float:
        start = time.perf_counter()
        backend.auth.post("/login", json={"username": name, "password": "wrong"})
        return time.perf_counter() - start

    known, unknown = [], []
    for turn in range(15):
        known.append(seconds("alice"))
        unknown.append(seconds(f"nobody-{turn}"))
        backend.login()
    ratio = statistics.median(unknown) / statistics.median(known)
    # Without the hash an unknown name would take a tenth of the time or less.
    assert 0.5 < ratio < 2, ratio


@pytest.mark.parametrize("body,member", [
    ('{"username": "alice"}', "password"),
    ('{"password": "x"}', "username"),
    ('{"username": "alice", "password": "x", "role": "admin"}', "role"),
    ('{"username": 1, "password": "x"}', "username"),
    ('{"username": "alice", "password": null}', "password"),
    ('{"username": "alice", "password": ["x"]}', "password"),
    ('{"username": "", "password": "x"}', "username"),
    ('{"username": "alice", "password": "a\\u0000b"}', "password"),
    ('{"username": "alice", "username": "admin", "password": "x"}', "username"),
    ('{"username": "alice", "\\u0075sername": "admin", "password": "x"}', "username"),
    ('{"username": "alice", "password": "' + "x" * 257 + '"}', "password"),
    ('{"username": "' + "x" * 255 + '", "password": "x"}', "username"),
])
def test_B14_body_is_read_strictly_and_the_member_named(backend, body, member):
    answer = backend.auth.post("/login", content=body, headers={"Content-Type": "application/json"})
    members = problem(answer, 400, "invalid_request")
    assert members["member"] == member
    assert member in members["detail"]


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'"alice"', b"null", b'{"username": "alice", "password": "x"} x', b"{'username': 'alice'}",
    b'{"username": "alice", "password": "\xff"}', b'{"username": "alice", "password": "\\ud800"}',
    b'{"username": "alice", "password": "\\udc00\\ud800"}', b'{"username": "alice", "password": "\\ud800\\u0000"}',
    b'{"username": "alice", "password": "x",}', b'{"username": "alice", "password": 01}', b"[" * 5000,
    b'{"username": "alice", "password": "a\nb"}', b"\xef\xbb\xbf{}", b'{"a": 1e999}',
])
def test_what_is_not_json_is_refused(backend, body):
    answer = backend.auth.post("/login", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 400, "invalid_request")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", None,
                                        "application/json; charset=latin1", "multipart/form-data; boundary=x"])
def test_B06_other_media_types_are_refused(backend, media_type):
    fields = {"Content-Type": media_type} if media_type else {}
    answer = backend.auth.post("/login", content=b'{"username": "alice", "password": "correct horse"}', headers=fields)
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8",
                                        'application/json;charset="UTF-8"'])
def test_json_in_all_its_spellings_is_read(backend, media_type):
    answer = backend.auth.post("/login", content=b'{"username": "alice", "password": "correct horse"}',
                               headers={"Content-Type": media_type})
    assert answer.status_code == 200


def test_B07_large_bodies_are_refused(backend):
    body = b'{"username": "alice", "password": "' + b"x" * 1_000_000 + b'"}'
    answer = backend.auth.post("/login", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 413, "body_too_large")


def test_B07_password_may_come_in_either_unicode_form(prepare):
    composed = unicodedata.normalize("NFC", "café crème 🔑")
    backend = prepare(users=[{"name": "zoé", "password": composed, "roles": []}]).start()
    for form in ("NFC", "NFD"):
        assert backend.login("zoé", unicodedata.normalize(form, composed))["access_token"]
    backend.stop()


def test_B07_longest_password(prepare):
    longest = "🔑" * 256
    backend = prepare(users=[{"name": "alice", "password": longest, "roles": ["user"]}]).start()
    assert backend.login("alice", longest)
    problem(backend.auth.post("/login", json={"username": "alice", "password": longest[1:]}), 401,
            "invalid_credentials")
    backend.stop()


def test_claims_are_json_whatever_a_name_holds(prepare):
    """They are written without an encoder."""
    name = 'Ä "quoted" \\ / \u0001\b\t\n\r\u001f\u007f\u2028 😀 </script>'
    backend = prepare(users=[{"name": 'a"b\\c', "password": "correct horse", "display_name": name,
                              "email": '"a b"@example.com', "roles": []}]).start()
    claims = backend.claims(backend.login('a"b\\c')["access_token"])
    assert (claims["sub"], claims["name"], claims["email"]) == ('a"b\\c', name, '"a b"@example.com')
    assert claims["roles"] == claims["permissions"] == [] and "role" not in claims
    backend.stop()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_each_kind_of_key_signs(prepare, algorithm):
    backend = prepare(key=private_key(algorithm)).start()
    token = backend.login()["access_token"]
    assert backend.key_set()[0]["alg"] == algorithm
    assert backend.claims(token)["sub"] == "alice"
    assert backend.get("/api/protected/data", token).status_code == 200
    problem(backend.get("/api/protected/data", token[:-8] + "AAAAAAAA"), 401, "signature_invalid")
    backend.stop()


def test_weak_hash_is_upgraded_at_login(prepare):
    weak = Argon2id(salt=b"somesalt", length=32, iterations=1, lanes=1,
                    memory_cost=64).derive_phc_encoded(b"correct horse")
    backend = prepare(users=[{"name": "alice", "password_hash": weak, "roles": ["user"]}]).start()

    def stored() -> str:
        with contextlib.closing(sqlite3.connect(backend.folder / "run/backend.sqlite")) as database:
            return database.execute("SELECT password_hash FROM users").fetchone()[0]

    problem(backend.auth.post("/login", json={"username": "alice", "password": "wrong"}), 401, "invalid_credentials")
    assert stored() == weak
    assert backend.login()
    strong = stored()
    assert strong.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert backend.login()
    assert stored() == strong
    backend.stop()
    # The file still has the weak hash, but it is no new password.
    backend.start()
    assert stored() == strong
    assert backend.login()
    backend.stop()


def test_more_logins_than_fit_are_told_to_come_back(backend):
    def request(number: int) -> bytes:
        body = json.dumps({"username": f"flood-{number}", "password": "wrong"})
        return (f"POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}").encode()

    # 64 may wait for two threads; the requests are on the wire long before the first hundred hashes are done.
    clients = [socket.create_connection(("127.0.0.1", backend.auth_port)) for _ in range(300)]
    for number, client in enumerate(clients):
        client.sendall(request(number))
    answers = []
    for client in clients:
        with client:
            answers.append(client.makefile("rb").read())
    refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
    wrong = [answer for answer in answers if answer.startswith(b"HTTP/1.1 401 ")]
    assert len(refused) + len(wrong) == 300
    assert len(wrong) >= 64
    assert refused
    assert all(b"Retry-After: 1\r\n" in answer and b'"code":"overloaded"' in answer for answer in refused)
    assert backend.login()


def test_B08_strings_reach_no_statement(backend):
    """Random strings of what SQL, JSON and shells care about, through both endpoints that read strings."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    pieces = ["'", '"', ";", "--", "/*", "\\", "%", "_", "?", ":a", "$1", ")", " OR 1=1", " UNION SELECT", "\n", "\u202e",
              "é", "🔑", "users", "DROP TABLE users", "x'00'", "alice"]
    for _ in range(150):
        text = "".join(dice.choices(pieces, k=dice.randint(1, 8)))
        login = backend.auth.post("/login", json={"username": text, "password": "wrong" + text})
        assert login.status_code == 401, (seed, text, login.text)
        problem(backend.refresh(text), 401, "refresh_invalid")
    assert backend.login()


def test_unknown_paths_and_methods_are_problems(backend):
    problem(backend.auth.get("/nothing"), 404, "not_found")
    problem(backend.auth.get("/login"), 404, "not_found")


def test_names_and_passwords_of_users_are_not_in_the_error_log(backend):
    backend.auth.post("/login", json={"username": "typed-my-password-here", "password": "hunter2-secret"})
    assert "typed-my-password-here" not in backend.log
    assert "hunter2-secret" not in backend.log


def test_B16_key_set_is_public_and_may_be_cached(backend):
    answer = backend.auth.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert "max-age=300" in answer.headers["cache-control"]
    key = answer.json()["keys"][0]
    assert set(key) == {"kty", "alg", "use", "kid", "n", "e"}
    numbers = backend.key.public_key().public_numbers()
    assert int.from_bytes(_unpadded(key["n"])) == numbers.n
    assert _unpadded(key["e"]) == b"\x01\x00\x01"


def test_key_id_is_the_thumbprint(backend):
    key = backend.key_set()[0]
    text = json.dumps({name: key[name] for name in ("e", "kty", "n")}, sort_keys=True, separators=(",", ":"))
    assert _unpadded(key["kid"]) == hashlib.sha256(text.encode()).digest()


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
