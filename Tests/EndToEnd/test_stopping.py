"""SIGTERM and SIGQUIT: no new work, work in flight finishes, then the process ends with 0."""

import signal
import socket
import time

import pytest

from harness.gateway import accepts
from harness.origin import OK
from harness.raw import get
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr notice;
access_log @folder@/access.log json;
worker_shutdown_timeout 2s;
pid @folder@/gateway.pid;
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
}
"""

both_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])


@both_signals
def test_idle_gateway_stops_at_once(start, number):
    gateway = start(CONFIGURATION)
    assert gateway.stop(number) < 1


@both_signals
def test_idle_connections_do_not_delay(start, origin, number):
    gateway = start(CONFIGURATION)
    clients = [gateway.connect() for _ in range(10)]
    for client in clients[:5]:
        assert client.request(get("/x")).status == 200
    assert gateway.stop(number) < 1.5
    for client in clients:
        client.expect_close()


@both_signals
def test_request_in_flight_finishes(start, origin, number):
    gateway = start(CONFIGURATION)
    origin.serve(lambda c: (c.read_request(), time.sleep(0.7), c.send(OK)))
    with gateway.connect() as client:
        client.send(get("/x"))
        origin.wait_for(1)
        gateway.send_signal(number)
        wait_until(lambda: not accepts(gateway.port), 0.5, what="no new connections")
        response = client.read_response()
        assert response.status == 200 and response.body == b"ok" and response.says_close
        client.expect_close()
    assert gateway.process.wait(2) == 0
    gateway.check_log()


def test_upload_in_flight_finishes(start, origin):
    gateway = start(CONFIGURATION)
    with gateway.connect() as client:
        client.send(get("/x", "Content-Length: 10", method="POST") + b"hello")
        wait_until(lambda: origin.received.endswith(b"hello"))
        gateway.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        client.send(b"world")
        assert client.read_response().status == 200
    assert gateway.process.wait(3) == 0


def test_what_takes_too_long_is_cut(start, origin):
    gateway = start(CONFIGURATION)
    origin.serve(lambda c: (c.read_request(), c.wait_for_end()))
    with gateway.connect() as client:
        client.send(get("/x"))
        origin.wait_for(1)
        taken = gateway.stop()
        assert 1.5 < taken < 4, "worker_shutdown_timeout is 2 s"
        assert b" 200 " not in client.expect_cut()


def test_second_signal(start, origin):
    gateway = start(CONFIGURATION.replace("worker_shutdown_timeout 2s", "worker_shutdown_timeout 20s"))
    origin.serve(lambda c: (c.read_request(), c.wait_for_end()))
    with gateway.connect() as client:
        client.send(get("/x"))
        origin.wait_for(1)
        gateway.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert gateway.alive, "the first signal waits for work in flight"
    assert gateway.process.wait(3) == 0, "the client has gone, nothing is left to wait for"


def test_pid_file(start):
    gateway = start(CONFIGURATION)
    assert int((gateway.folder / "gateway.pid").read_text()) == gateway.pid
    gateway.stop()
    assert not (gateway.folder / "gateway.pid").exists()


def test_port_is_free_again(start):
    first = start(CONFIGURATION)
    first.stop()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", first.port))


def test_SIGPIPE_is_ignored(start, origin):
    gateway = start(CONFIGURATION)
    gateway.send_signal(signal.SIGPIPE)
    time.sleep(0.1)
    assert gateway.request(get("/x")).status == 200
    ignored = next(line for line in open(f"/proc/{gateway.pid}/status") if line.startswith("SigIgn"))
    assert int(ignored.split()[1], 16) & (1 << (signal.SIGPIPE - 1))


def test_taken_port_is_one_clear_sentence(start, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        gateway = start(CONFIGURATION.replace("@port@", str(port)), ready=False)
        assert gateway.process.wait(5) != 0
        assert f"127.0.0.1:{port}" in gateway.log and "error: cannot listen" in gateway.log
