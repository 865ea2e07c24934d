"""Cookies that an upstream does not get (security row A15)."""

import pytest

from harness.raw import get, post

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
server {
    listen 127.0.0.1:@port@;
    auth off;
    strip_cookies __Host-refresh __Secure-x;
    location / { proxy_pass http://@origin@; }
    location /auth/ { strip_cookies off; proxy_pass http://@origin@; }
    location /other/ { strip_cookies sid; proxy_pass http://@origin@; }
    location /set/ { proxy_set_header Cookie "mine=1"; proxy_pass http://@origin@; }
    location /none/ { proxy_set_header Cookie ""; proxy_pass http://@origin@; }
}
"""
REFRESH = "__Host-refresh=aGVsbG8.x-_~"


def seen_cookies(gateway, origin, path: str, *lines: str) -> list[str]:
    origin.forget()
    assert gateway.request(get(path, *lines)).status == 200
    assert REFRESH.encode() not in origin.last.head or path.startswith(("/auth/", "/other/"))
    return origin.last.all("cookie")


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (REFRESH, None),
        (f"a=1; {REFRESH}", "a=1"),
        (f"{REFRESH}; a=1", "a=1"),
        (f"a=1; {REFRESH}; b=2", "a=1; b=2"),
        (f"a=1;{REFRESH};b=2", "a=1;b=2"),
        (f"{REFRESH}; {REFRESH}; __Secure-x=1", None),
        (f'a="x y";  {REFRESH}; b=c=d; e', 'a="x y"; b=c=d; e'),
        (f"a=1; {REFRESH};", "a=1;"),
    ],
)
def test_A15_refresh_cookie_stays_here(gateway, origin, value, left):
    assert seen_cookies(gateway, origin, "/x", f"Cookie: {value}") == ([left] if left else [])


@pytest.mark.parametrize(
    "value",
    [
        "__host-refresh=1; __HOST-REFRESH=2; _Host-refresh=3",
        "__Host-refresh2=1; x__Host-refresh=2; Host-refresh=3",
        'a="__Host-refresh=1"; b=__Host-refresh=1',
        "a=1;; ;b=2; ",
        'theme="dark";  lang = en;x',
    ],
)
def test_A15_other_cookies_pass_byte_for_byte(gateway, origin, value):
    assert seen_cookies(gateway, origin, "/x", f"Cookie: {value}") == [value.rstrip()]


def test_A15_several_fields_keep_their_places(gateway, origin):
    lines = ("X-A: 1", f"Cookie: a=1; {REFRESH}", "X-B: 2", f"cookie: {REFRESH}", "X-C: 3", "COOKIE: b=2")
    assert seen_cookies(gateway, origin, "/x", *lines) == ["a=1", "b=2"]
    names = [name for name, _ in origin.last.fields]
    assert [name for name in names if name.startswith("X-") and len(name) == 3] == ["X-A", "X-B", "X-C"]
    order = [name for name in names if name in ("X-A", "X-B", "X-C", "Cookie", "COOKIE")]
    assert order == ["X-A", "Cookie", "X-B", "X-C", "COOKIE"]


def test_A15_disguised_names_do_not_help(gateway, origin):
    assert seen_cookies(gateway, origin, "/x", f"Coo_kie: {REFRESH}", f"Cookie: \t{REFRESH}\t;a=1") == ["a=1"]
    assert seen_cookies(gateway, origin, "/x", "Connection: cookie", f"Cookie: a=1; {REFRESH}") == []


def test_A15_where_the_configuration_says_otherwise(gateway, origin):
    assert seen_cookies(gateway, origin, "/auth/refresh", f"Cookie: a=1; {REFRESH}") == [f"a=1; {REFRESH}"]
    assert seen_cookies(gateway, origin, "/other/x", f"Cookie: sid=1; {REFRESH}") == [REFRESH]
    assert seen_cookies(gateway, origin, "/set/x", f"Cookie: a=1; {REFRESH}") == ["mine=1"]
    assert seen_cookies(gateway, origin, "/none/x", f"Cookie: a=1; {REFRESH}") == []


def test_A15_with_a_body_and_on_a_kept_connection(gateway, origin):
    with gateway.connect() as client:
        for _ in range(3):
            assert client.request(post("/x", b"hello", f"Cookie: {REFRESH}; a=1")).status == 200
            assert origin.last.body == b"hello" and origin.last.all("cookie") == ["a=1"]
