"""Groups of endpoints: round robin, weights, endpoints that fail, several workers."""

import collections
import time

import pytest

from harness.gateway import run_command
from harness.origin import Ended, Origin
from harness.ports import take_port
from harness.raw import get, post
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
upstream group {
    server @first@;
    server @second@;
    server @third@;
}
upstream weighted {
    server @first@ weight=3;
    server @second@;
}
upstream half_down {
    server 127.0.0.1:@nobody@ max_fails=1 fail_timeout=2s;
    server @first@;
}
upstream all_down { server 127.0.0.1:@nobody@; server 127.0.0.1:@nobody2@; }
upstream excluded { server @first@ down; server @second@; }
upstream watched { server @third@ max_fails=2 fail_timeout=1s; server @second@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location /group/ { proxy_pass http://group; }
    location /weighted/ { proxy_pass http://weighted; }
    location /half/ { proxy_pass http://half_down; }
    location /none/ { proxy_pass http://all_down; }
    location /excluded/ { proxy_pass http://excluded; }
    location /watched/ { proxy_pass http://watched; proxy_read_timeout 500ms; }
    location /uri/ { proxy_pass http://group/base/; }
}
"""


@pytest.fixture
def origins(tmp_path):
    three = {name: Origin() for name in ("first", "second", "third")}
    yield three
    for one in three.values():
        one.close()


@pytest.fixture
def group(start, origins):
    return start(
        CONFIGURATION, nobody=take_port(), nobody2=take_port(), **{name: one.address for name, one in origins.items()}
    )


def counts(origins) -> dict[str, int]:
    return {name: len(one.requests) for name, one in origins.items()}


def test_round_robin(group, origins):
    with group.connect() as client:
        for _ in range(9):
            assert client.request(get("/group/x")).status == 200
    assert counts(origins) == {"first": 3, "second": 3, "third": 3}
    assert {one.last.get("host") for one in origins.values()} == {"group"}


def test_turn_by_turn_not_in_blocks(group, origins):
    order = []
    for name, one in origins.items():
        one.serve(
            lambda c, name=name: (c.read_request(), order.append(name), c.send(b"HTTP/1.1 204 No Content\r\n\r\n"))
        )
    for _ in range(6):
        group.request(get("/group/x"))
    assert all(a != b for a, b in zip(order, order[1:]))


def test_weights(group, origins):
    for _ in range(16):
        assert group.request(get("/weighted/x")).status == 200
    assert counts(origins) == {"first": 12, "second": 4, "third": 0}


def test_endpoint_that_is_down_is_passed_over(group, origins):
    """Each request succeeds: a refused connection is tried elsewhere, POST too, for nothing was sent."""
    for number in range(12):
        data = post("/half/x", b"hello") if number % 2 else get("/half/x")
        assert group.request(data).status == 200
    assert counts(origins)["first"] == 12


def test_failed_endpoint_is_left_out_for_a_while(group, origins):
    before = group.metrics().sum("gateway_upstream_failures_total", upstream="half_down")
    for _ in range(20):
        assert group.request(get("/half/x")).status == 200
    failures = group.metrics().sum("gateway_upstream_failures_total", upstream="half_down") - before
    assert 1 <= failures <= 3


def test_all_endpoints_down(group, origins):
    with group.connect() as client:
        for _ in range(5):
            response = client.request(get("/none/x"))
            assert response.status == 502
            assert response.code in ("upstream_unavailable", "no_live_upstream")


def test_down_in_the_configuration(group, origins):
    for _ in range(6):
        assert group.request(get("/excluded/x")).status == 200
    assert counts(origins) == {"first": 0, "second": 6, "third": 0}


def test_max_fails_and_recovery(group, origins):
    """Answers that never come count as failures; after fail_timeout the endpoint is tried again."""
    third = origins["third"]

    def drop(connection):
        connection.read_request()
        raise Ended

    third.serve(drop)
    for _ in range(12):
        assert group.request(get("/watched/x")).status in (200, 502)
    assert 1 <= len(third.requests) <= 4
    third.serve(third.default)
    third.forget()
    time.sleep(1.2)
    for _ in range(8):
        group.request(get("/watched/x"))
    assert third.requests, "the endpoint is back in service"


def test_uri_with_a_group(group, origins):
    for _ in range(3):
        assert group.request(get("/uri/a?b")).status == 200
    assert {one.last.target for one in origins.values()} == {"/base/a?b"}


def test_several_workers_share_one_port(start, origins):
    group = start(
        CONFIGURATION.replace("worker_processes 1", "worker_processes 4"),
        nobody=take_port(),
        nobody2=take_port(),
        **{name: one.address for name, one in origins.items()},
    )
    statuses = collections.Counter(group.request(get("/group/x")).status for _ in range(60))
    assert statuses == {200: 60}
    assert sum(counts(origins).values()) == 60
    wait_until(lambda: group.metrics().sum("gateway_requests_total") == 60, what="all workers are counted")


def test_pool_is_bounded(start, origins):
    group = start(
        """
        worker_processes 1;
        upstream one { server @first@; keepalive 2; }
        server { listen 127.0.0.1:@port@; auth off; location / { proxy_pass http://one; } }
    """,
        first=origins["first"].address,
    )
    clients = [group.connect() for _ in range(10)]
    going = []

    def slow(connection):
        connection.read_request()
        wait_until(lambda: going, 5)
        connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    origins["first"].serve(slow)
    for client in clients:
        client.send(get("/x"))
    origins["first"].wait_for(10)
    going.append(True)
    assert [client.read_response().status for client in clients] == [204] * 10
    wait_until(lambda: origins["first"].open_connections == 2, what="two idle connections are kept")
    for client in clients:
        client.close()


def test_idle_upstream_connections_end(start, origins):
    group = start(
        """
        worker_processes 1;
        upstream one { server @first@; keepalive_timeout 1s; keepalive_requests 3; }
        server { listen 127.0.0.1:@port@; auth off; location / { proxy_pass http://one; } }
    """,
        first=origins["first"].address,
    )
    for _ in range(7):
        assert group.request(get("/x")).status == 200
    assert len({seen.connection for seen in origins["first"].requests}) == 3
    wait_until(lambda: origins["first"].open_connections == 0, 3, what="idle connections end after keepalive_timeout")


def test_unix_socket_upstream_is_a_clear_message_or_works(tmp_path):
    file = tmp_path / "gateway.conf"
    file.write_text("server { listen 127.0.0.1:1; auth off; location / { proxy_pass http://unix:/tmp/x.sock; } }")
    done = run_command("check", "-c", file)
    assert done.returncode == 0 or "proxy_pass" in done.stdout + done.stderr or "unix" in done.stdout + done.stderr
