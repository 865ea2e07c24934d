"""The admin listener: health and metrics."""

import re
import socket
import urllib.request

import pytest

from harness.gateway import ROOT
from harness.jwks import KeyServer
from harness.raw import Client, get, post
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 2;
error_log stderr notice;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; jwks @jwks@; }}
server {{
    listen 127.0.0.1:@port@;
    auth off;
    location / {{ proxy_pass http://@origin@; }}
    location /api/ {{ auth main; proxy_pass http://@origin@; }}
    location /own {{ return 200 "x"; }}
}}
"""


@pytest.fixture(scope="module")
def values(rsa_key):
    server = KeyServer(key_set(rsa_key))
    yield {"jwks": server.url}
    server.close()


def admin(gateway, path: str, method: str = "GET"):
    with Client(gateway.admin_port) as client:
        client.send(get(path, method=method))
        return client.read_response(method)


def test_healthz(gateway):
    response = admin(gateway, "/healthz")
    assert response.status == 200
    with Client(gateway.admin_port) as client:
        for _ in range(3):
            if client.request(get("/healthz")).says_close:
                break


def test_every_code_of_a_refusal_is_a_label(gateway):
    """One table: what the operator's page lists, the metric counts, from its first page on."""
    page = (ROOT / "docs/operations.md").read_text()
    codes = set(re.findall(r"^\| `([a-z_0-9]+)` \| [1-5]\d\d \|", page, re.MULTILINE))
    assert len(codes) > 45
    counted = {
        value
        for name, labels in gateway.metrics().samples
        for key, value in labels
        if name == "gateway_rejected_total" and key == "reason"
    }
    assert codes <= counted and counted - codes <= {"other"}


def test_metrics_are_valid_and_typed(gateway):
    response = admin(gateway, "/metrics")
    assert response.status == 200 and response.get("content-type").startswith("text/plain; version=0.0.4")
    metrics = gateway.metrics()
    for name in (
        "requests_total",
        "rejected_total",
        "connections_accepted_total",
        "connections_active",
        "upstream_connects_total",
        "upstream_reuses_total",
        "jwt_cache_hits_total",
        "jwt_cache_misses_total",
        "request_duration_seconds_count",
    ):
        assert metrics.has(f"gateway_{name}"), name


@pytest.mark.parametrize("path", ["/", "/x", "/metricsx", "/../metrics", "/healthz/x"])
def test_unknown_admin_paths(gateway, path):
    assert admin(gateway, path).status in (400, 404)


def test_admin_methods(gateway):
    assert admin(gateway, "/metrics", "POST").status in (404, 405)
    with Client(gateway.admin_port) as client:
        client.send(get("/healthz", method="HEAD"))
        assert client.read_response("HEAD").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0",
        b"GET\r\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: a\n\n",
        b"x" * 100_000,
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_garbage_on_the_admin_port(gateway, data):
    with Client(gateway.admin_port) as client:
        try:
            client.send(data)
            client.end()
        except OSError:
            pass
        assert b" 200 " not in client.expect_cut()
    assert admin(gateway, "/healthz").status == 200


def test_a_stalled_admin_client_blocks_nobody(gateway):
    with Client(gateway.admin_port) as stalled:
        stalled.send(b"GET /metr")
        assert admin(gateway, "/healthz").status == 200


def test_admin_paths_are_not_served_to_clients(gateway, origin):
    gateway.request(get("/metrics"))
    assert origin.last.target == "/metrics", "an ordinary path goes to the upstream"


def test_requests_are_counted_by_route_and_class(gateway, origin):
    before = gateway.metrics()
    for _ in range(3):
        assert gateway.request(get("/own")).status == 200
    gateway.request(get("/api/x"))
    after = gateway.metrics()

    def grown(name: str, **labels) -> float:
        return after.sum(name, **labels) - before.sum(name, **labels)

    assert grown("gateway_requests_total") == 4
    assert grown("gateway_requests_total", status="2xx") == 3
    assert grown("gateway_requests_total", status="4xx") == 1
    assert grown("gateway_request_duration_seconds_count") == 4
    assert grown("gateway_rejected_total", reason="token_missing") == 1


def test_upstream_reuse_is_counted(gateway, origin):
    before = gateway.metrics()
    with gateway.connect() as client:
        for _ in range(4):
            assert client.request(get("/x")).status == 200
    after = gateway.metrics()
    assert after.sum("gateway_upstream_connects_total") - before.sum("gateway_upstream_connects_total") == 1
    assert after.sum("gateway_upstream_reuses_total") - before.sum("gateway_upstream_reuses_total") == 3


def test_connections_are_counted(gateway):
    before = gateway.metrics()
    clients = [gateway.connect() for _ in range(5)]
    wait_until(
        lambda: gateway.metrics().sum("gateway_connections_active") >= before.sum("gateway_connections_active") + 5,
        what="five more active",
    )
    for client in clients:
        client.close()
    wait_until(
        lambda: gateway.metrics().sum("gateway_connections_active") <= before.sum("gateway_connections_active"),
        what="none more active",
    )
    assert (
        gateway.metrics().sum("gateway_connections_accepted_total")
        >= before.sum("gateway_connections_accepted_total") + 5
    )


def test_bytes_are_counted(gateway, origin):
    before = gateway.metrics()
    assert gateway.request(post("/x", b"x" * 10_000)).status == 200
    after = gateway.metrics()
    for name in ("gateway_client_received_bytes_total", "gateway_upstream_sent_bytes_total"):
        assert 10_000 < after.sum(name) - before.sum(name) < 12_000, name


def test_R11_labels_come_from_the_configuration(gateway, origin, rsa_key):
    """Whatever clients send, the number of series stays the same, and no word of theirs becomes a label."""
    wait_until(lambda: gateway.request(get("/api/x", bearer(rsa_key.token()))).status == 200, what="keys arrive")
    before = set(gateway.metrics().samples)
    for number in range(30):
        gateway.request(get(f"/path-{number}", host=f"host-{number}.example"))
        gateway.request(
            get(f"/api/{number}", bearer(rsa_key.token(sub=f"sub-{number}", header={"kid": f"kid-{number}"})))
        )
        gateway.request(get("/x", method=f"METHOD{number}"))
    after = gateway.metrics()
    assert set(after.samples) == before
    text = urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin_port}/metrics").read().decode()
    for word in ("path-", "host-", "sub-", "kid-", "METHOD", "alice"):
        assert word not in text


def test_admin_on_a_unix_socket(start, tmp_path):

    path = tmp_path / "admin.sock"
    start(
        f"admin {{ listen unix:{path}; }} server {{ listen 127.0.0.1:@port@; auth off; location / {{ return 204; }} }}"
    )
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(3)
        wait_until(lambda: path.exists() and client.connect_ex(str(path)) == 0, what="the socket takes connections")
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
