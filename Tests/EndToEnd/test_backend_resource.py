"""The resource service trusts no one in front of it: it verifies every token itself and asks for permissions."""

import base64
import fcntl
import json
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest

from harness.backend import backend, backend_key, module_backend, prepare, private_key, problem, public_pem  # noqa: F401
from harness.waiting import wait_until


def segment(value: dict | str) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def refused(backend, token: str, code: str) -> None:
    answer = backend.get("/api/protected/data", token)
    problem(answer, 401, code)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/api/protected/data", "/protected"])
def test_reader_sees_protected_data(backend, path):
    answer = backend.get(path, backend.login()["access_token"], **{"X-Auth-Subject": "alice", "X-Other": "1"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    content = answer.json()
    assert content["subject"] == "alice"
    assert content["permissions"] == ["read:data"]
    assert content["roles"] == ["user"]
    assert content["identity_headers"] == {"X-Auth-Subject": "alice"}


def test_identity_fields_alone_open_nothing(backend):
    answer = backend.get("/api/admin/stats", **{"X-Auth-Subject": "admin", "X-Auth-Permissions": "read:admin_panel"})
    problem(answer, 401, "token_missing")


@pytest.mark.parametrize("path", ["/api/admin/stats", "/admin", "/admin/stats"])
def test_administration_needs_its_permission(backend, path):
    problem_of_reader = backend.get(path, backend.login()["access_token"])
    problem(problem_of_reader, 403, "insufficient_scope")
    assert problem_of_reader.headers["www-authenticate"] == (
        'Bearer realm="api", error="insufficient_scope", scope="read:admin_panel"')
    answer = backend.get(path, backend.login("admin", "battery staple")["access_token"])
    assert answer.status_code == 200
    assert answer.json()["users"] == 2
    assert answer.json()["sessions"] >= 2


def test_user_without_permissions_sees_nothing(prepare):
    backend = prepare(users=[{"name": "guest", "password": "come in", "roles": ["guest"]}]).start()
    token = backend.login("guest", "come in")["access_token"]
    assert backend.claims(token)["permissions"] == []
    problem(backend.get("/api/protected/data", token), 403, "insufficient_scope")
    backend.stop()


def test_no_token_is_a_plain_challenge(backend):
    answer = backend.get("/api/protected/data")
    problem(answer, 401, "token_missing")
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'


def test_good_forgery_by_the_key_itself_passes(backend):
    """The tool of the tests below makes tokens that are accepted when nothing is wrong with them."""
    assert backend.get("/api/protected/data", backend.forge()).status_code == 200
    assert backend.get("/api/protected/data", backend.forge(aud=["other", "gateway-demo"])).status_code == 200
    assert backend.get("/api/protected/data", backend.forge(header={"typ": "application/AT+JWT"})).status_code == 200


@pytest.mark.parametrize("claims,code", [
    ({"iss": "https://localhost:8443/"}, "issuer_mismatch"), ({"iss": None}, "issuer_mismatch"),
    ({"aud": "gateway-demos"}, "audience_mismatch"), ({"aud": None}, "audience_mismatch"), ({"aud": []}, "audience_mismatch"),
    ({"aud": ["other"]}, "audience_mismatch"),
    ({"exp": 1_000_000_000}, "token_expired"), ({"exp": 0}, "token_expired"), ({"exp": -1}, "token_expired"),
    ({"exp": None}, "claim_missing"),
    ({"nbf": 9_000_000_000}, "token_not_yet_valid"), ({"iat": 9_000_000_000}, "token_not_yet_valid"),
    ({"sub": None}, "claim_missing"), ({"sub": ""}, "claim_missing"),
])
def test_claims_are_checked(backend, claims, code):
    refused(backend, backend.forge(**claims), code)


def test_expiry_has_the_leeway_of_the_gateway(backend):
    now = int(time.time())
    assert backend.get("/protected", backend.forge(exp=now - 20)).status_code == 200
    refused(backend, backend.forge(exp=now - 31), "token_expired")


def test_token_is_not_remembered_longer_than_it_counts(backend):
    """A signature that was checked is not checked again; time is looked at each time."""
    expires = int(time.time()) - 27
    token = backend.forge(exp=expires)
    for _ in range(3):
        assert backend.get("/protected", token).status_code == 200
    wait_until(lambda: backend.get("/protected", token).status_code == 401, within=5, what="it has expired")
    assert time.time() >= expires + 30
    for _ in range(2):
        refused(backend, token, "token_expired")


def test_what_is_remembered_of_a_token_is_of_that_token_alone(backend):
    token = backend.forge()
    assert backend.get("/protected", token).status_code == 200
    head, payload, signature = token.split(".")
    for other in (f"{head}.{payload}.{signature[:-4]}AAAA", f"{head}.{payload}.", f"{head}.{payload}.{signature}=",
                  f"{head}.{segment({'sub': 'admin'})}.{signature}"):
        assert backend.get("/protected", other).status_code == 401
    assert backend.get("/protected", token).status_code == 200


def test_more_tokens_than_are_remembered(prepare):
    """Five thousand, after which the first are still good, and so is one that was asked for all the time."""
    backend = prepare(key=private_key("ES256")).start("--log-level", "critical")
    one = backend.forge()
    fields, claims = jwt.get_unverified_header(one), jwt.decode(one, options={"verify_signature": False})
    tokens = [jwt.encode(claims | {"jti": str(number)}, backend.key, algorithm="ES256", headers=fields)
              for number in range(5000)]
    kept, ended = backend.login(), backend.login()
    for number, token in enumerate(tokens):
        assert backend.get("/protected", token).status_code == 200
        if number % 500 == 0:
            assert backend.validate(kept["access_token"]) == "Valid"
    assert backend.validate(ended["access_token"]) == "Valid"
    assert backend.auth.post("/logout", headers={"Authorization": f"Bearer {ended['access_token']}"}).status_code == 204
    assert [backend.validate(login["access_token"]) for login in (kept, ended)] == ["Valid", "Invalid"]
    assert backend.get("/protected", tokens[0]).status_code == 200
    backend.stop()


@pytest.mark.parametrize("expiry", ["2000000000", True, [2_000_000_000], {}])
def test_expiry_of_another_type(backend, expiry):
    payload = segment({"iss": "https://localhost:8443", "aud": "gateway-demo", "sub": "alice", "exp": expiry})
    refused(backend, signed(backend, header(backend), payload), "claim_type")


def header(backend, **members) -> str:
    key = backend.key_set()[0]
    return segment({"alg": key["alg"], "typ": "at+jwt", "kid": key["kid"]} | members)


def signed(backend, header: str, payload: str) -> str:
    algorithm = jwt.get_algorithm_by_name("RS256")
    signature = algorithm.sign(f"{header}.{payload}".encode(), backend.key)
    return f"{header}.{payload}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_duplicate_claims_are_refused(backend):
    payload = segment('{"iss": "https://localhost:8443", "aud": "gateway-demo", "sub": "alice", "sub": "admin", '
                      '"exp": 9000000000, "permissions": ["read:data"]}')
    refused(backend, signed(backend, header(backend), payload), "token_malformed")


@pytest.mark.parametrize("permissions", ["read:database", ["read:database", "unread:data"], 1, {"read:data": 1},
                                         ["read:data", 1], None])
def test_permissions_match_whole_and_by_type(backend, permissions):
    problem(backend.get("/protected", backend.forge(permissions=permissions)), 403, "insufficient_scope")


def test_another_key_is_refused(backend):
    refused(backend, backend.forge(key=private_key()), "signature_invalid")


def test_unknown_key_id_is_refused(backend):
    refused(backend, backend.forge(header={"kid": "other"}), "key_unknown")


@pytest.mark.parametrize("type", ["JWT", "logout+jwt", "", "at+jwt "])
def test_other_types_of_token_are_refused(backend, type):
    refused(backend, backend.forge(header={"typ": type}), "typ_not_allowed")


def test_critical_headers_are_refused(backend):
    refused(backend, signed(backend, header(backend, crit=["b64"], b64=False), segment({})), "unsupported_crit")


@pytest.mark.parametrize("algorithm", ["none", "None", "RS384", "PS256", "ES256", ""])
def test_the_header_does_not_choose_the_algorithm(backend, algorithm):
    token = backend.forge()
    forged = f"{header(backend, alg=algorithm)}.{token.split('.')[1]}.{token.split('.')[2]}"
    refused(backend, forged, "alg_not_allowed")


def test_public_key_is_no_hmac_secret(backend):
    import hashlib
    import hmac
    text = f"{header(backend, alg='HS256')}.{backend.forge().split('.')[1]}"
    signature = hmac.digest(public_pem(backend.key), text.encode(), hashlib.sha256)
    refused(backend, f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}", "alg_not_allowed")


def test_changed_payload_is_refused(backend):
    head, payload, signature = backend.login()["access_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["permissions"] = ["read:admin_panel"]
    refused(backend, f"{head}.{segment(claims)}.{signature}", "signature_invalid")


@pytest.mark.parametrize("token", ["x", "a.b", "..", "a.b.c.d", "." * 1000, "e30.e30.", "e30=.e30.e30", "e30.e31.AA",
                                   "[].[].[]"])
def test_what_is_not_a_token_is_refused(backend, token):
    answer = backend.get("/protected", token)
    assert answer.status_code == 401
    assert answer.json()["code"] in {"token_malformed", "alg_not_allowed"}


def test_huge_tokens_are_not_decoded(backend):
    refused(backend, "A" * 9000, "token_too_large")


@pytest.mark.parametrize("fields", [
    [("Authorization", "Basic YTpi")], [("Authorization", "Bearer")], [("Authorization", "")],
    [("Authorization", "Bearer TOKEN"), ("Authorization", "Bearer TOKEN")],
])
def test_other_authorization_fields_are_refused(backend, fields):
    token = backend.login()["access_token"]
    answer = backend.resource.get("/protected", headers=[(name, value.replace("TOKEN", token))
                                                         for name, value in fields])
    problem(answer, 400, "invalid_request")


def test_scheme_in_any_case(backend):
    token = backend.login()["access_token"]
    assert backend.get("/protected", Authorization=f"bEARER {token}").status_code == 200


def test_health_needs_no_token(backend):
    for service in (backend.auth, backend.resource):
        assert service.get("/healthz").json() == {"status": "ok"}
        assert service.get("/readyz").json() == {"status": "ready"}
        assert service.head("/healthz").status_code == 200


def test_resources_behind_a_token_need_no_database(backend):
    """While every lock of the journal's index is taken nobody can read: SQLite's write lock is byte 120 of the file, then
    come those of checkpoint, recovery and five kinds of readers."""
    login = backend.login()
    with open(backend.folder / "run/backend.sqlite-shm", "r+b") as index, ThreadPoolExecutor(1) as pool:
        wait_until(lambda: takes_locks(index), within=5, what="the locks are free")
        refreshed = pool.submit(backend.refresh, login["refresh_token"])
        with pytest.raises(TimeoutError):
            refreshed.result(timeout=0.5)
        for _ in range(20):
            assert backend.get("/api/protected/data", login["access_token"]).status_code == 200
        assert not refreshed.done()
        fcntl.lockf(index, fcntl.LOCK_UN, 8, 120)
        assert refreshed.result(timeout=10).status_code == 200


def takes_locks(index) -> bool:
    try:
        fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 8, 120)
        return True
    except OSError:
        return False
