"""The limit of open files: honoured, announced, and nothing dies at it."""

import time

from harness.raw import get
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
worker_connections 20000;
error_log stderr notice;
access_log @folder@/access.log json;
keepalive_timeout 60s;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
    location /own { return 200 "own"; }
}
"""

LIMIT = 128


def test_worker_connections_are_clamped_with_a_notice(start, origin):
    gateway = start(CONFIGURATION, descriptors=LIMIT)
    gateway.wait_for_notice("worker_connections")
    notice = next(line for line in gateway.log.splitlines() if "worker_connections" in line)
    assert "[notice]" in notice or "[warn]" in notice
    assert "20000" in notice


def test_no_notice_when_everything_fits(start, origin):
    gateway = start(CONFIGURATION.replace("worker_connections 20000", "worker_connections 200"), descriptors=4096)
    assert gateway.request(get("/own")).status == 200
    assert "worker_connections" not in gateway.log


def test_idle_connections_go_first(start, origin):
    """More clients than there is room for: each new one is served, old idle ones are closed, none is refused."""
    gateway = start(CONFIGURATION, descriptors=LIMIT)
    clients = []
    for _ in range(3 * LIMIT):
        client = gateway.connect()
        client.send(get("/own"))
        assert client.read_response().status == 200
        clients.append(client)
    assert gateway.alive and gateway.descriptors() <= LIMIT
    assert gateway.metrics().sum("gateway_connections_evicted_total") > 0
    newest = clients[-1]
    assert newest.request(get("/own")).status == 200
    for client in clients:
        client.close()
    wait_until(lambda: gateway.metrics().sum("gateway_connections_active") == 0, what="everything drains")
    assert gateway.request(get("/x")).status == 200


def test_at_the_limit_with_work_in_flight_nothing_dies(start, origin):
    """Nobody is idle, so newcomers wait in the queue until there is room."""
    gateway = start(CONFIGURATION, descriptors=LIMIT)
    going = []

    def slow(connection):
        connection.read_request()
        wait_until(lambda: going, 20)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    origin.serve(slow)
    clients = [gateway.connect() for _ in range(2 * LIMIT)]
    for client in clients:
        client.send(get("/x"))
    time.sleep(0.5)
    assert gateway.alive and gateway.descriptors() <= LIMIT
    going.append(True)
    statuses = []
    for client in clients:
        statuses.append(client.read_response(within=15).status)
        client.close()
    assert set(statuses) <= {200, 503} and statuses.count(200) >= LIMIT // 4
    wait_until(lambda: gateway.metrics().sum("gateway_connections_active") == 0, what="everything drains")
    origin.serve(origin.default)
    assert gateway.request(get("/x")).status == 200


def test_many_connections_that_send_nothing(start, origin):
    """They end by client_header_timeout at the latest, and make room."""
    gateway = start("client_header_timeout 1s;" + CONFIGURATION, descriptors=LIMIT)
    silent = [gateway.connect() for _ in range(2 * LIMIT)]
    assert gateway.request(get("/own"), within=12).status == 200
    for client in silent:
        client.close()
    assert gateway.alive


def test_worker_connections_bound_without_a_low_limit(start, origin):
    gateway = start(CONFIGURATION.replace("worker_connections 20000", "worker_connections 16"))
    clients = []
    for _ in range(64):
        client = gateway.connect()
        client.send(get("/own"))
        assert client.read_response().status == 200
        clients.append(client)
    for client in clients:
        client.close()
    assert gateway.metrics().sum("gateway_connections_active") <= 16
