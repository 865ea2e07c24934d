"""Regular expressions in a configuration against paths that are made for them (security row R09)."""

import time

import pytest

from harness.raw import Client, get
from harness.refusals import expect_refusal

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    client_header_line_size 64k; client_header_size 128k;
    location ~ "^/(a+)+$" { proxy_pass http://@origin@; }
    location ~ "^/b/(x|xx)+y$" { proxy_pass http://@origin@; }
    location ~ "^/c/(?<name>([a-z]*)*)!$" { proxy_pass http://@origin@; }
    location /good { proxy_pass http://@origin@; }
    location / { return 204; }
}
"""
# One look at a path may take PCRE2's match limit of steps; a path is looked at a few times (guard included).
SECONDS_MAX = 1.0


@pytest.mark.parametrize("count", [30, 1000, 30_000])
@pytest.mark.parametrize("path", ["/{}!", "/b/{}z", "/c/{}-"])
def test_R09_a_path_made_for_the_expression_is_bounded(gateway, origin, path, count):
    letter = "x" if path.startswith("/b") else "a"
    target = path.format(letter * count)
    started = time.monotonic()
    response = gateway.request(get(target))
    assert time.monotonic() - started < SECONDS_MAX
    # Either the expression was decided, and the path is another location's, or it was given up and nothing is guessed.
    assert response.status == 204 or (response.status, response.code) == (400, "path_ambiguous")
    assert origin.received == b""


def test_R09_what_was_given_up_is_refused(gateway, origin):
    expect_refusal(gateway, origin, get("/" + "a" * 40 + "!"), 400, "path_ambiguous", closed=False)


def test_R09_others_are_served_meanwhile(gateway, origin):
    evil = [get("/" + "a" * 2000 + "!") for _ in range(20)]
    with Client(gateway.port) as attacker, Client(gateway.port) as other:
        attacker.send(b"".join(evil))
        times = []
        for _ in range(20):
            started = time.monotonic()
            assert other.request(get("/good")).status == 200
            times.append(time.monotonic() - started)
        assert [attacker.read_response(within=10).status for _ in evil] == [400] * len(evil)
    assert max(times) < SECONDS_MAX


def test_R09_expressions_still_match(gateway, origin):
    for path in ["/aaaa", "/b/xxxy", "/c/abc!"]:
        assert gateway.request(get(path)).status == 200
