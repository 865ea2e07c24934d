"""SIGHUP: all or nothing, and nobody who is connected notices."""

import json
import signal
import threading
import time

import pytest

from harness.origin import OK
from harness.ports import take_port
from harness.raw import Client, get
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr notice;
access_log @folder@/access.log json;
worker_shutdown_timeout 5s;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
    location /version { return 200 "one"; }
}
"""


def version(gateway) -> bytes:
    return gateway.request(get("/version")).body


def reload(gateway, configuration: str) -> None:
    gateway.configure(configuration)
    gateway.send_signal(signal.SIGHUP)


def wait_for_version(gateway, wanted: bytes) -> None:
    wait_until(lambda: all(version(gateway) == wanted for _ in range(8)), what=f"version {wanted!r} everywhere")


def test_new_configuration_takes_effect(start, origin):
    gateway = start(CONFIGURATION)
    assert version(gateway) == b"one"
    reload(gateway, CONFIGURATION.replace('"one"', '"two"'))
    wait_for_version(gateway, b"two")
    assert gateway.metrics().sum("gateway_config_reloads_total", result="ok") == 1
    assert gateway.alive


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (CONFIGURATION.replace("return 200", "retrun 200"), ["retrun", "return"]),
        (CONFIGURATION + "}", ["}"]),
        ("", []),
        (CONFIGURATION.replace('"one"; }', '"two"; } location ~ "(" { return 200; }'), []),
        (
            CONFIGURATION.replace('"one"', '"two"')
            + "auth_provider x jwt { issuer a; audience b; key_file /nonexistent; }",
            ["/nonexistent"],
        ),
        (CONFIGURATION.replace("http://@origin@", "http://nowhere"), ["nowhere"]),
    ],
    ids=["unknown directive", "brace", "empty", "pattern", "file", "upstream"],
)
def test_bad_file_changes_nothing(start, origin, broken, words):
    gateway = start(CONFIGURATION)
    with gateway.connect() as client:
        assert client.request(get("/x")).status == 200
        reload(gateway, broken)
        wait_until(lambda: gateway.metrics().sum("gateway_config_reloads_total", result="failed") == 1)
        for word in words:
            gateway.wait_for_notice(word)
        gateway.wait_for_notice("gateway.conf")
        assert client.request(get("/version")).body == b"one"
    wait_for_version(gateway, b"one")


def test_several_diagnostics_are_printed_on_reload(start, origin):
    gateway = start(CONFIGURATION)
    reload(gateway, CONFIGURATION.replace("return 200", "retrun 200").replace("proxy_pass", "proxy_psas"))
    gateway.wait_for_notice("retrun")
    gateway.wait_for_notice("proxy_psas")
    assert version(gateway) == b"one"


def test_good_after_bad(start, origin):
    gateway = start(CONFIGURATION)
    reload(gateway, "nonsense")
    wait_until(lambda: gateway.metrics().sum("gateway_config_reloads_total", result="failed") == 1)
    reload(gateway, CONFIGURATION.replace('"one"', '"two"'))
    wait_for_version(gateway, b"two")


def test_keep_alive_connections_survive(start, origin):
    gateway = start(CONFIGURATION)
    clients = [gateway.connect() for _ in range(20)]
    for client in clients:
        assert client.request(get("/version")).body == b"one"
    reload(gateway, CONFIGURATION.replace('"one"', '"two"'))
    wait_for_version(gateway, b"two")
    for client in clients:
        assert client.request(get("/version")).body == b"two"
        client.close()


def test_request_in_flight_keeps_its_configuration(start, origin):
    gateway = start(CONFIGURATION)
    going = threading.Event()

    def slow(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        going.wait(5)
        connection.send(b"world")

    origin.serve(slow)
    with gateway.connect() as client:
        client.send(get("/x"))
        head = client.read_head()
        reload(gateway, CONFIGURATION.replace('"one"', '"two"').replace("proxy_pass http://@origin@;", "return 404;"))
        wait_for_version(gateway, b"two")
        going.set()
        assert head.status == 200 and client.read_exactly(10, time.monotonic() + 3) == b"helloworld"
        assert client.request(get("/x")).status == 404


def test_uploads_in_flight_survive(start, origin):
    gateway = start(CONFIGURATION)
    with gateway.connect() as client:
        client.send(get("/x", "Content-Length: 10", method="POST") + b"hello")
        wait_until(lambda: origin.received.endswith(b"hello"))
        reload(gateway, CONFIGURATION.replace('"one"', '"two"'))
        wait_for_version(gateway, b"two")
        client.send(b"world")
        assert client.read_response().status == 200
    assert origin.last.body == b"helloworld"


def test_upstream_pool_of_an_unchanged_group_survives(start, origin):
    gateway = start(CONFIGURATION.replace("worker_processes 2", "worker_processes 1"))
    for name in (b"two", b"three"):
        assert gateway.request(get("/x")).status == 200
        reload(
            gateway,
            CONFIGURATION.replace("worker_processes 2", "worker_processes 1").replace('"one"', f'"{name.decode()}"'),
        )
        wait_for_version(gateway, name)
    assert gateway.request(get("/x")).status == 200
    assert len({seen.connection for seen in origin.requests}) == 1


def test_listeners_come_and_go(start, origin):
    gateway = start(CONFIGURATION)
    extra = take_port()
    reload(gateway, CONFIGURATION.replace("auth off;", f"listen 127.0.0.1:{extra}; auth off;", 1))
    wait_until(lambda: _answers(extra), what="the new listener answers")
    assert version(gateway) == b"one"
    reload(gateway, CONFIGURATION)
    wait_until(lambda: not _answers(extra), what="the removed listener is closed")
    assert version(gateway) == b"one"


def _answers(port: int) -> bool:
    try:
        with Client(port) as client:
            return client.request(get("/version")).status == 200
    except (OSError, AssertionError):
        return False


def test_no_request_fails_during_many_reloads(start, origin):
    gateway = start(CONFIGURATION)
    stopped, failures, count = threading.Event(), [], [0]

    def ask():
        client = None
        while not stopped.is_set():
            try:
                client = client or gateway.connect()
                response = client.request(get("/version"))
                count[0] += 1
                if response.status != 200:
                    failures.append(response)
                if count[0] % 10 == 0:
                    client.close()
                    client = None
            except Exception as error:
                failures.append(error)
                client = None

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(15):
        reload(gateway, CONFIGURATION.replace('"one"', f'"{number}"'))
        wait_until(lambda: version(gateway) == str(number).encode())
    stopped.set()
    for thread in threads:
        thread.join(5)
    assert not failures and count[0] > 100


def test_changed_files_are_read_again(start, origin, authority, rsa_key, ec_key, tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(key_set(rsa_key)))
    gateway = start(
        CONFIGURATION.replace("auth off;", "auth main;", 1)
        + f"auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}",
        keys=keys,
    )
    assert gateway.request(get("/version", bearer(rsa_key.token()))).status == 200
    assert gateway.request(get("/version", bearer(ec_key.token()))).status == 401
    keys.write_text(json.dumps(key_set(ec_key)))
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: all(gateway.request(get("/version", bearer(ec_key.token()))).status == 200 for _ in range(6)))
    assert gateway.request(get("/version", bearer(rsa_key.token()))).status == 401


def test_changed_certificate_is_served_after_reload(start, origin, authority):
    certificate, key = authority.issue("localhost")
    gateway = start(
        CONFIGURATION.replace(
            "auth off;",
            "listen 127.0.0.1:@tls_port@ ssl; ssl_certificate @cert@; ssl_certificate_key @key@; auth off;",
            1,
        ),
        cert=certificate,
        key=key,
    )

    def serial() -> int:
        with Client(gateway.tls_port, tls=authority.client_context()) as client:
            return client.socket.getpeercert()["serialNumber"]

    before = serial()
    authority.issue("localhost")
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: all(serial() != before for _ in range(4)), what="the new certificate")


def test_signals_while_stopping_do_not_hurt(start, origin):
    gateway = start(CONFIGURATION)
    origin.serve(lambda c: (c.read_request(), time.sleep(0.5), c.send(OK)))
    with gateway.connect() as client:
        client.send(get("/x"))
        origin.wait_for(1)
        gateway.send_signal(signal.SIGTERM)
        gateway.send_signal(signal.SIGHUP)
        assert client.read_response().status == 200
    assert gateway.process.wait(5) == 0
