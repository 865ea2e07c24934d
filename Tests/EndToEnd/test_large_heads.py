"""Heads larger than what is read at once, where a configuration allows them; and fields whose value turns out empty."""

import pytest

from harness.raw import get

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
admin { listen 127.0.0.1:@admin_port@; }
client_header_line_size 700k;
client_header_size 1m;
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / {
        proxy_pass http://@origin@;
        proxy_set_header X-Agent $http_user_agent;
        proxy_set_header X-Query $args;
        proxy_set_header X-Both "$args-$args";
    }
}
"""


@pytest.mark.parametrize("size", [200_000, 256 * 1024, 300_000, 600_000])
def test_large_field_is_forwarded(gateway, origin, size):
    value = "v" * size
    assert gateway.request(get("/x", f"X-Large: {value}"), within=20).status == 200
    assert origin.last.get("x-large") == value


def test_larger_than_allowed(gateway, origin):
    assert gateway.request(get("/x", *(f"X-{i}: {'v' * 300_000}" for i in range(4))), within=20).status == 431
    assert not origin.requests


def test_field_without_value_is_left_out(gateway, origin):
    assert gateway.request(get("/x")).status == 200
    assert origin.last.get("x-agent") is None and origin.last.get("x-query") is None
    assert origin.last.get("x-both") == "-"
    assert gateway.request(get("/x?a=b", "User-Agent: tester")).status == 200
    assert origin.last.get("x-agent") == "tester" and origin.last.get("x-query") == "a=b"
