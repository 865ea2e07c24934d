"""The cookie of the refresh token: who gets one, which is read, when it goes; and what pages of other sites cannot do."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest

from harness.backend import backend, backend_key, bearer, module_backend, prepare, problem  # noqa: F401

ORIGIN = "https://localhost:8443"
BROWSER = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}
SCRIPT = {"X-Requested-With": "web"}
TLS = {"X-Forwarded-Proto": "https"}
PASSWORD = {"username": "alice", "password": "correct horse"}
KINDS = {"__Host-refresh": TLS, "refresh-dev": {}}
TOKEN_PATHS = ["/api/v1/auth", "/auth", ""]
#: What a cookie authenticates, and login.
PROTECTED = ["login", "refresh", "logout", "logout-all"]


def post(backend, path: str, body: dict | None = None, cookie: str | None = None, **fields: str) -> httpx.Response:
    """A request without the memory of a browser: what it sends is what is said here."""
    if cookie:
        fields["Cookie"] = cookie
    return httpx.post(address(backend, path), json={} if body is None else body, headers=fields, timeout=20)


def address(backend, path: str) -> str:
    return f"http://127.0.0.1:{backend.auth_port}{path}"


def set_cookie(answer: httpx.Response) -> tuple[str, str, set[str]]:
    """Name, value and attributes of the one cookie that the answer sets."""
    (field,) = answer.headers.get_list("set-cookie")
    pair, *attributes = field.split("; ")
    name, value = pair.split("=", 1)
    return name, value, set(attributes)


def sign_in(backend, kind: str = "refresh-dev") -> tuple[str, str]:
    """A browser's login: its cookie as it will send it, and its access token."""
    answer = post(backend, "/login", PASSWORD, **BROWSER, **KINDS[kind])
    assert answer.status_code == 200, answer.text
    name, value, _ = set_cookie(answer)
    return f"{name}={value}", answer.json()["access_token"]


def is_removed(answer: httpx.Response, kind: str) -> bool:
    name, value, attributes = set_cookie(answer)
    return (name, value) == (kind, "") and "Max-Age=0" in attributes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("folder", TOKEN_PATHS)
def test_browser_gets_the_refresh_token_as_cookie_alone(backend, kind, folder):
    answer = post(backend, f"{folder}/login", PASSWORD, **BROWSER, **KINDS[kind])
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
    name, value, attributes = set_cookie(answer)
    assert name == kind and len(value) == 43
    secure = {"Secure"} if kind == "__Host-refresh" else set()
    assert attributes == {"Path=/", "HttpOnly", "SameSite=Strict", f"Max-Age={7 * 86400}"} | secure
    assert answer.headers["cache-control"] == "no-store"

    # Whether the browser says so again or not: it came by cookie, so it goes by cookie.
    for fields in (BROWSER | SCRIPT, SCRIPT):
        renewed = post(backend, f"{folder}/refresh", cookie=f"{kind}={value}", **fields, **KINDS[kind])
        assert renewed.status_code == 200, renewed.text
        assert set(renewed.json()) == {"access_token", "token_type", "expires_in"}
        name, successor, again = set_cookie(renewed)
        assert name == kind and successor != value and again == attributes
        assert backend.get("/api/protected/data", renewed.json()["access_token"]).status_code == 200
        value = successor


def test_refresh_by_cookie_needs_no_body(backend):
    cookie, _ = sign_in(backend)
    answer = httpx.post(address(backend, "/refresh"),
                        headers={"Content-Type": "application/json", "Cookie": cookie} | SCRIPT)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("fields", [{}, TLS])
def test_programs_get_no_cookie(backend, fields):
    login = post(backend, "/login", PASSWORD, **fields)
    assert "set-cookie" not in login.headers and len(login.json()["refresh_token"]) == 43
    renewed = post(backend, "/refresh", {"refresh_token": login.json()["refresh_token"]}, **fields)
    assert "set-cookie" not in renewed.headers and len(renewed.json()["refresh_token"]) == 43


def test_token_in_the_body_of_a_browser_becomes_a_cookie(backend):
    token = backend.login()["refresh_token"]
    answer = post(backend, "/refresh", {"refresh_token": token}, **BROWSER)
    assert answer.status_code == 200 and "refresh_token" not in answer.json()
    assert set_cookie(answer)[0] == "refresh-dev"


def test_only_the_cookie_of_the_scheme_is_read(backend):
    cookie, _ = sign_in(backend, "__Host-refresh")
    value = cookie.split("=")[1]
    problem(post(backend, "/refresh", cookie=f"refresh-dev={value}", **SCRIPT, **TLS), 401, "refresh_invalid")
    problem(post(backend, "/refresh", cookie=f"__Host-refresh={value}", **SCRIPT), 401, "refresh_invalid")
    problem(post(backend, "/refresh", cookie=f"__host-refresh={value}", **SCRIPT, **TLS), 401, "refresh_invalid")
    other, _ = sign_in(backend)
    both = post(backend, "/refresh", cookie=f"a=b; {other}; {cookie}; c", **SCRIPT, **TLS)
    assert both.status_code == 200 and set_cookie(both)[0] == "__Host-refresh"
    assert post(backend, "/refresh", cookie=other, **SCRIPT).status_code == 200


def test_scheme_is_believed_from_configured_peers_only(prepare):
    backend = prepare().start("--trusted-proxies", "192.0.2.1")
    assert set_cookie(post(backend, "/login", PASSWORD, **BROWSER, **TLS))[0] == "refresh-dev"
    backend.stop()


@pytest.mark.parametrize("scheme", ["http", "https, http", "HTTPS", "wss"])
def test_anything_but_https_is_clear_text(backend, scheme):
    answer = post(backend, "/login", PASSWORD, **BROWSER, **{"X-Forwarded-Proto": scheme})
    assert set_cookie(answer)[0] == "refresh-dev"


@pytest.mark.parametrize("path", ["/login", "/refresh"])
def test_nothing_secret_is_taken_in_clear_text_from_elsewhere(backend, path):
    body = PASSWORD if path == "/login" else {"refresh_token": backend.login()["refresh_token"]}
    elsewhere = {"X-Forwarded-For": "203.0.113.5"}
    problem(post(backend, path, body, **elsewhere), 403, "policy_violation")
    problem(post(backend, path, body, **elsewhere, **{"X-Forwarded-Proto": "http"}), 403, "policy_violation")
    assert "event=clear_text" in backend.log
    assert post(backend, path, body, **elsewhere, **TLS).status_code == 200
    for here in ("127.0.0.1", "127.8.8.8", "::1"):
        assert backend.login()
        assert post(backend, "/login", PASSWORD, **{"X-Forwarded-For": here}).status_code == 200


def test_two_answers_to_one_question_are_refused(backend):
    cookie, access_token = sign_in(backend)
    for path in ("/refresh", "/logout", "/logout-all"):
        twice = post(backend, path, cookie=f"{cookie}; refresh-dev=x", **SCRIPT)
        problem(twice, 400, "invalid_request")
        both = post(backend, path, {"refresh_token": "A" * 43}, cookie=cookie, **SCRIPT)
        assert problem(both, 400, "invalid_request")["member"] == "refresh_token"
        assert "set-cookie" not in twice.headers and "set-cookie" not in both.headers
    # Nothing was ended by these.
    assert backend.validate(access_token) == "Valid"
    assert post(backend, "/refresh", cookie=cookie, **SCRIPT).status_code == 200


@pytest.mark.parametrize("path", ["/refresh", "/logout", "/logout-all"])
def test_no_token_at_all(backend, path):
    problem(post(backend, path), 401, "refresh_invalid")
    problem(post(backend, path, cookie="refresh-dev=", **SCRIPT), 401, "refresh_invalid")


def test_cookie_goes_when_its_session_is_over(prepare):
    backend = prepare().start("--refresh-grace", "0s", "--refresh-token-idle", "2s")
    idle, _ = sign_in(backend, "__Host-refresh")
    spent, _ = sign_in(backend)
    current = post(backend, "/refresh", cookie=spent, **SCRIPT)
    assert current.status_code == 200
    reused = post(backend, "/refresh", cookie=spent, **SCRIPT)
    problem(reused, 401, "refresh_reused")
    assert is_removed(reused, "refresh-dev")
    name, value, _ = set_cookie(current)
    revoked = post(backend, "/refresh", cookie=f"{name}={value}", **SCRIPT)
    problem(revoked, 401, "refresh_revoked")
    assert is_removed(revoked, "refresh-dev")
    time.sleep(2.1)
    expired = post(backend, "/refresh", cookie=idle, **SCRIPT, **TLS)
    problem(expired, 401, "refresh_expired")
    assert is_removed(expired, "__Host-refresh") and "Secure" in set_cookie(expired)[2]
    backend.stop()


def test_cookie_stays_with_every_other_refusal(prepare):
    backend = prepare().start("--login-rate", "1")
    cookie, _ = sign_in(backend)
    for answer, status, code in [
        (post(backend, "/refresh", cookie="refresh-dev=" + "A" * 43, **SCRIPT), 401, "refresh_invalid"),
        (post(backend, "/refresh", cookie=cookie), 403, "origin_denied"),
        (post(backend, "/refresh", {"x": 1}, cookie=cookie, **SCRIPT), 400, "invalid_request"),
    ]:
        problem(answer, status, code)
        assert "set-cookie" not in answer.headers
    # Without a password, which would take longer than the bucket takes to fill again.
    limited = [post(backend, "/login", {}, cookie=cookie, **BROWSER) for _ in range(20)][-1]
    problem(limited, 429, "rate_limited")
    assert "set-cookie" not in limited.headers
    # Another writer holds the file for longer than a request waits.
    with closing(sqlite3.connect(backend.folder / "run/backend.sqlite", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        busy = post(backend, "/refresh", cookie=cookie, **SCRIPT)
        problem(busy, 503, "storage_unavailable")
        assert "set-cookie" not in busy.headers
        database.execute("ROLLBACK")
    assert post(backend, "/refresh", cookie=cookie, **SCRIPT).status_code == 200
    backend.stop()


def test_B04_fifty_tabs_with_one_cookie_live_on(backend):
    cookie, _ = sign_in(backend)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(backend, "/refresh", cookie=cookie, **BROWSER, **SCRIPT), range(50)))
    assert [answer.status_code for answer in answers] == [200] * 50
    (successor,) = {set_cookie(answer)[1] for answer in answers}
    assert successor
    assert post(backend, "/refresh", cookie=f"refresh-dev={successor}", **SCRIPT).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["/logout", "/api/v1/auth/logout", "/logout-all", "/api/v1/auth/logout-all"])
def test_logout_by_cookie(backend, path, kind):
    cookie, access_token = sign_in(backend, kind)
    answer = post(backend, path, cookie=cookie, **BROWSER, **SCRIPT, **KINDS[kind])
    assert (answer.status_code, answer.content) == (204, b"")
    assert is_removed(answer, kind)
    assert backend.validate(access_token) == "Invalid"
    problem(post(backend, "/refresh", cookie=cookie, **SCRIPT, **KINDS[kind]), 401, "refresh_revoked")


@pytest.mark.parametrize("path", ["/logout", "/logout-all"])
def test_logout_ends_all_that_the_browser_holds(backend, path):
    """The tab has the tokens of one login, the browser the cookie of a later one."""
    _, in_memory = sign_in(backend)
    cookie, access_token = sign_in(backend)
    other = backend.login("admin", "battery staple")["access_token"]
    answer = post(backend, path, cookie=cookie, **BROWSER, **SCRIPT, **bearer(in_memory))
    assert answer.status_code == 204 and is_removed(answer, "refresh-dev")
    assert backend.validate(in_memory) == backend.validate(access_token) == "Invalid"
    assert backend.validate(other) == "Valid"


@pytest.mark.parametrize("path", ["/logout", "/logout-all"])
def test_logout_works_with_an_access_token_that_has_died(backend, path):
    cookie, access_token = sign_in(backend)
    dead = backend.forge(exp=int(time.time()) - 60)
    assert post(backend, path, cookie=cookie, **BROWSER, **SCRIPT, **bearer(dead)).status_code == 204
    assert backend.validate(access_token) == "Invalid"
    problem(post(backend, path, **BROWSER, **bearer(dead)), 401, "token_expired")


def test_logout_everywhere_of_one_user_leaves_the_sessions_of_another(backend):
    admin = backend.login("admin", "battery staple")["access_token"]
    elsewhere = backend.login()["access_token"]
    cookie, access_token = sign_in(backend)
    answer = post(backend, "/logout-all", cookie=cookie, **BROWSER, **SCRIPT, **bearer(admin))
    assert answer.status_code == 204
    assert backend.validate(admin) == backend.validate(access_token) == "Invalid"
    assert backend.validate(elsewhere) == "Valid"


# B06: pages of other sites


def attack(backend, path: str, **fields: str) -> httpx.Response:
    cookie, _ = sign_in(backend)
    return post(backend, f"/{path}", PASSWORD if path == "login" else {}, cookie=cookie, **(SCRIPT | fields))


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("fields", [
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""},
    {"Origin": "http://localhost:8443"}, {"Origin": "https://localhost"}, {"Origin": ORIGIN + ".evil.example"},
    {"Origin": "https://evil.example", "Host": "evil.example"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
])
def test_B06_pages_of_other_origins_are_denied(backend, path, fields):
    answer = attack(backend, path, **fields)
    problem(answer, 403, "origin_denied")
    assert "set-cookie" not in answer.headers
    assert "event=origin_denied" in backend.log


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("fields", [{}, BROWSER, {"Sec-Fetch-Site": "same-origin"}, {"Origin": ORIGIN},
                                    {"Origin": ORIGIN, "Host": "whatever.example"}])
def test_B06_our_own_pages_and_programs_are_not(backend, path, fields):
    assert attack(backend, path, **fields).status_code in (200, 204)


@pytest.mark.parametrize("path", ["refresh", "logout", "logout-all"])
def test_B06_what_a_cookie_authenticates_needs_a_field_that_only_scripts_send(backend, path):
    cookie, access_token = sign_in(backend)
    problem(post(backend, f"/{path}", cookie=cookie, **BROWSER), 403, "origin_denied")
    problem(post(backend, f"/{path}", cookie=cookie, **BROWSER, **{"X-Requested-With": ""}), 403, "origin_denied")
    assert backend.validate(access_token) == "Valid"
    assert post(backend, f"/{path}", cookie=cookie, **BROWSER, **SCRIPT).status_code in (200, 204)


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_B06_forms_are_refused(backend, path, media_type):
    cookie, access_token = sign_in(backend)
    fields = {"Cookie": cookie} | SCRIPT | BROWSER | ({"Content-Type": media_type} if media_type else {})
    answer = httpx.post(address(backend, f"/{path}"), content=b"{}", headers=fields)
    problem(answer, 415, "unsupported_media_type")
    assert backend.validate(access_token) == "Valid"


def test_public_origin_is_configured(prepare):
    backend = prepare().start("--public-origin", "http://localhost:8080")
    assert post(backend, "/login", PASSWORD, Origin="http://localhost:8080").status_code == 200
    problem(post(backend, "/login", PASSWORD, Origin=ORIGIN), 403, "origin_denied")
    backend.stop()


def test_without_a_public_origin_no_page_is_ours(prepare):
    backend = prepare().start("--issuer", "our issuer")
    assert post(backend, "/login", PASSWORD).status_code == 200
    for origin in (ORIGIN, "null", ""):
        problem(post(backend, "/login", PASSWORD, Origin=origin), 403, "origin_denied")
    backend.stop()


@pytest.mark.parametrize("text", ["https://localhost", "http://[::1]:8080", "https://xn--mnchen-3ya.example"])
def test_origins_as_browsers_write_them(prepare, text):
    backend = prepare().start("--public-origin", text)
    assert post(backend, "/login", PASSWORD, Origin=text).status_code == 200
    backend.stop()
