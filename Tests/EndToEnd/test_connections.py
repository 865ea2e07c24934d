"""Keep-alive, pipelining and the end of client connections."""

import pytest

from harness.origin import answering
from harness.raw import Client, get, post
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
keepalive_requests 5;
keepalive_timeout 2s;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
    location /own { return 200 "own\\n"; }
}
server {
    listen 127.0.0.1:@port2@;
    auth off;
    keepalive_timeout 0;
    location / { return 200 "one\\n"; }
}
"""


def test_keepalive_requests(gateway, origin):
    with gateway.connect() as client:
        answers = [client.request(get("/x")) for _ in range(5)]
        assert [one.says_close for one in answers] == [False] * 4 + [True]
        client.expect_close()


def test_connection_close_is_honoured(gateway, origin):
    for value in ("close", "Close", "x, close"):
        with gateway.connect() as client:
            assert client.request(get("/x", f"Connection: {value}")).says_close
            client.expect_close()


def test_no_keep_alive_when_the_timeout_is_zero(gateway, origin):
    with Client(gateway.values["port2"]) as client:
        assert client.request(get("/x")).says_close
        client.expect_close()


def test_pipelined_answers_keep_their_order(gateway, origin):
    def echo(connection):
        body = connection.read_request().target.encode()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    origin.serve(echo)
    with gateway.connect() as client:
        client.send(get("/1") + post("/2", b"hello") + get("/own") + get("/4"))
        assert [client.read_response().body for _ in range(4)] == [b"/1", b"/2", b"own\n", b"/4"]
    assert [seen.target for seen in origin.requests] == ["/1", "/2", "/4"]


def test_pipelined_byte_by_byte(gateway, origin):
    with gateway.connect() as client:
        client.send_in_pieces(get("/1") + post("/2", b"hello") + get("/3"))
        assert [client.read_response().status for _ in range(3)] == [200] * 3


def test_nothing_after_close_is_served(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/1", "Connection: close") + get("/2"))
        assert client.read_response().says_close
        client.expect_close()
    assert [seen.target for seen in origin.requests] == ["/1"]


def test_large_pipeline(gateway, start, origin):
    own = start(CONFIGURATION.replace("keepalive_requests 5", "keepalive_requests 100000"))
    count = 2_000
    with own.connect() as client:
        client.send(get("/own") * count)
        for _ in range(count):
            assert client.read_response(within=10).body == b"own\n"


def test_half_closed_client_gets_its_answer(gateway, origin):
    with gateway.connect() as client:
        client.send(get("/own") + get("/own"))
        client.end()
        assert [client.read_response().status for _ in range(2)] == [200, 200]
        client.expect_close()


def test_half_closed_client_of_an_upstream(gateway, origin):
    """It may be taken for one that has gone, as nginx does; then the log still has its line."""
    for _ in range(10):
        with gateway.connect() as client:
            client.send(get("/half-closed"))
            client.end()
            client.expect_cut()
    wait_until(lambda: sum(line["path"] == "/half-closed" for line in gateway.access_log()) == 10, 3)


@pytest.mark.parametrize("data", [b"", b"GET", b"GET /x HTTP/1.1\r\nHost: a\r\n"])
def test_client_that_leaves_in_the_head(gateway, origin, data):
    with gateway.connect() as client:
        client.send(data)
        client.end()
        assert b" 200 " not in client.expect_cut()
    assert origin.received == b""


def test_many_clients_at_once(gateway, origin):
    origin.serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    clients = [gateway.connect() for _ in range(100)]
    try:
        for client in clients:
            client.send(get("/x"))
        assert [client.read_response().status for client in clients] == [200] * 100
    finally:
        for client in clients:
            client.close()


def test_clients_that_vanish_leave_nothing_behind(gateway, origin):
    before = gateway.descriptors()
    clients = [gateway.connect() for _ in range(50)]
    for number, client in enumerate(clients):
        if number % 2:
            client.send(b"GET /x HT")
        client.reset()
    wait_until(lambda: gateway.descriptors() <= before + 1, 3, what="descriptors are given back")
    assert gateway.request(get("/x")).status == 200
