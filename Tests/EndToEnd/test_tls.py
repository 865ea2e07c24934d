"""TLS 1.2 and 1.3 on the client side, with Python's ssl and with curl."""

import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from harness.gateway import run_command
from harness.raw import Client, get, post
from harness.turns import Turns
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
client_header_timeout 2s;
keepalive_timeout 5s;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth off;
    location / { proxy_pass http://@origin@; }
}
server {
    listen 127.0.0.1:@new_tls_port@ ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth off;
    location / { return 200 "ok\\n"; }
}
"""


@pytest.fixture(scope="module")
def values(localhost):
    return localhost


def context_of(authority, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = authority.client_context()
    if version:
        context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(gateway, origin, authority, version):
    with Client(gateway.tls_port, tls=context_of(authority, version)) as client:
        assert client.socket.version() == version.name.replace("_", ".")
        for _ in range(3):
            assert client.request(get("/x")).status == 200
        assert client.request(post("/x", b"x" * 200_000)).status == 200
        response = client.request(get("/x", "Connection: close"))
        assert response.says_close
        client.expect_close()
    assert origin.last.get("x-forwarded-proto") == "https"


@pytest.mark.parametrize("option", ["--tls-max 1.2", "--tlsv1.3"])
def test_curl(gateway, origin, authority, option):
    url = f"https://localhost:{gateway.tls_port}/x"
    done = subprocess.run(
        [
            "curl",
            "-sS",
            "--http1.1",
            "--cacert",
            authority.file,
            "--resolve",
            f"localhost:{gateway.tls_port}:127.0.0.1",
            *option.split(),
            url,
            url,
        ],
        capture_output=True,
        timeout=10,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"okok"


def test_versions_can_be_narrowed(gateway, authority):
    port = gateway.values["new_tls_port"]
    with Client(port, tls=context_of(authority)) as client:
        assert client.socket.version() == "TLSv1.3" and client.request(get("/x")).status == 200
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Client(port, tls=context_of(authority, ssl.TLSVersion.TLSv1_2))


def test_old_versions_are_refused(gateway):
    for port in (gateway.tls_port, gateway.values["new_tls_port"]):
        done = subprocess.run(
            ["openssl", "s_client", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", "-connect", f"127.0.0.1:{port}"],
            input=b"",
            capture_output=True,
            timeout=10,
        )
        assert done.returncode != 0 or b"Cipher is (NONE)" in done.stdout


def test_large_bodies_in_both_directions(gateway, origin, authority):
    body = bytes(range(256)) * 20_000

    def echo(connection):
        seen = connection.read_request().body
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(seen) + seen)

    origin.serve(echo)
    with Client(gateway.tls_port, tls=context_of(authority)) as client:
        response = client.request(post("/x", body), within=10)
        assert response.body == body


def test_records_of_one_byte(gateway, origin, authority):
    with Client(gateway.tls_port, tls=context_of(authority)) as client:
        client.send_in_pieces(get("/1") + post("/2", b"hello") + get("/3"))
        assert [client.read_response().status for _ in range(3)] == [200] * 3


def test_pipelined_in_one_record(gateway, origin, authority):
    with Client(gateway.tls_port, tls=context_of(authority)) as client:
        client.send(b"".join(get(f"/{n}") for n in range(20)))
        assert [client.read_response().status for _ in range(20)] == [200] * 20
    assert [seen.target for seen in origin.requests] == [f"/{n}" for n in range(20)]


def test_answer_byte_by_byte(gateway, origin, authority):
    origin.serve(lambda c: (c.read_request(), c.send_in_pieces(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")))
    with Client(gateway.tls_port, tls=context_of(authority)) as client:
        assert client.request(get("/x")).body == b"hello"


def test_session_is_resumed(gateway, origin, authority):
    context = context_of(authority, ssl.TLSVersion.TLSv1_3)
    with Client(gateway.tls_port, tls=context) as client:
        assert client.request(get("/x")).status == 200
        session = client.socket.session
    raw = socket.create_connection(("127.0.0.1", gateway.tls_port))
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as again:
        assert again.session_reused


def test_clear_text_on_a_tls_port(gateway, authority):
    with Client(gateway.tls_port) as client:
        client.send(get("/x"))
        assert b" 200 " not in client.expect_cut()
    with Client(gateway.tls_port, tls=context_of(authority)) as client:
        assert client.request(get("/x")).status == 200


def test_handshake_that_stalls(gateway):
    with Client(gateway.tls_port) as client:
        client.send(b"\x16\x03\x01")
        started = time.monotonic()
        client.expect_cut(8)
        assert time.monotonic() - started < 7, "five seconds are given to a handshake"


def hello(authority) -> bytes:
    """The first bytes of a client."""
    sent = ssl.MemoryBIO()
    session = context_of(authority).wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return sent.read()


def test_a_flood_of_handshakes_waits_in_line(start, values, authority, tmp_path):
    """Whatever arrives at once, and in whatever order: who has a connection is served first, then come eight steps in each
    turn of the worker."""
    turns = Turns(tmp_path)
    configuration = CONFIGURATION.replace("proxy_pass http://@origin@;", "return 200;")
    gateway = start(configuration, environment=turns.environment, **values)
    port = gateway.values["new_tls_port"]
    with Client(port, tls=context_of(authority)) as known:
        assert known.request(get("/x")).status == 200
    # Not more than one batch of events brings, with the client that is known.
    strangers = [Client(port) for _ in range(24)]
    with gateway.connect() as known:
        for _ in range(3):
            assert known.request(get("/x")).status == 200, "and all before it are accepted"
        before = "|".join(turns.seen())
        gateway.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: all(") T " in task.read_text() for task in Path(f"/proc/{gateway.pid}/task").glob("*/stat")))
            for stranger in strangers:
                stranger.send(hello(authority))
            known.send(get("/x"))
        finally:
            gateway.send_signal(signal.SIGCONT)
        assert known.read_response().status == 200
        for stranger in strangers:
            assert stranger.socket.recv(1) == b"\x16"
    after = "|".join(turns.seen())
    assert after.startswith(before)
    seen = after[len(before) :].split("|")
    assert sum(turn.count("H") for turn in seen) == 24, seen
    assert [turn.count("H") for turn in seen if "H" in turn] == [8, 8, 8], seen
    assert "S" in next(turn for turn in seen if "H" in turn).split("H")[0], seen
    for stranger in strangers:
        stranger.close()


@pytest.mark.parametrize("data", [b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\0" * 500, b"\x15\x03\x01\0\x02\x02\x28"])
def test_garbage_in_the_handshake(gateway, authority, data):
    with Client(gateway.tls_port) as client:
        client.send(data)
        client.end()
        client.expect_cut()
    with Client(gateway.tls_port, tls=context_of(authority)) as client:
        assert client.request(get("/x")).status == 200


def test_cut_inside_a_record(gateway, origin, authority):
    before = gateway.descriptors()
    for _ in range(10):
        client = Client(gateway.tls_port, tls=context_of(authority))
        client.send(b"GET /x HT")
        client.reset()
    wait_until(lambda: gateway.descriptors() <= before + 1, 4, what="descriptors are given back")


def test_cut_answer_has_no_close_notify_that_looks_whole(gateway, origin, authority):
    def half(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        time.sleep(0.1)
        connection.reset()

    origin.serve(half)
    with Client(gateway.tls_port, tls=context_of(authority)) as client:
        client.send(get("/x"))
        head = client.read_head()
        if head.status == 200:
            assert not client.expect_cut().endswith(b"0\r\n\r\n")


@pytest.mark.slow
def test_memory_of_a_slow_tls_client_is_bounded(gateway, origin, authority):
    size = 128 << 20
    body = bytes(1 << 20)
    origin.serve(
        lambda c: (
            c.read_request(),
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size),
            [c.send(body) for _ in range(size >> 20)],
        )
    )
    before = gateway.resident_bytes()
    with Client(gateway.tls_port, tls=context_of(authority), receive_buffer=8192) as client:
        client.send(get("/x"))
        client.read_head()
        time.sleep(1)
        assert gateway.resident_bytes() - before < 16 << 20


FILES = """
server {
    listen 127.0.0.1:@port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth off;
    location / { return 200; }
}
"""


def test_bad_files_are_named(authority, tmp_path):
    certificate, key = authority.issue("localhost")
    _, other_key = authority.issue("elsewhere")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n")
    cut = tmp_path / "cut.pem"
    cut.write_text(certificate.read_text() + garbage.read_text())
    missing = tmp_path / "missing.pem"
    for certificate_file, key_file, named in [
        (missing, key, missing),
        (certificate, missing, missing),
        (garbage, key, garbage),
        (cut, key, cut),
        (certificate, garbage, garbage),
        (certificate, other_key, other_key),
        (key, key, key),
        (certificate, certificate, certificate),
        (tmp_path, key, tmp_path),
    ]:
        file = tmp_path / "gateway.conf"
        file.write_text(
            FILES.replace("@port@", "1").replace("@certificate@", str(certificate_file)).replace("@key@", str(key_file))
        )
        done = run_command("check", "-c", file)
        assert done.returncode == 1, (certificate_file, key_file, done)
        assert str(named) in done.stderr + done.stdout
        assert "gateway.conf:" in done.stderr + done.stdout


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_chain_that_does_not_fit_the_socket_is_sent_as_the_client_takes_it(start, authority, version):
    certificate, key = authority.issue("localhost", file="long")
    with certificate.open("a") as chain:
        chain.writelines(authority.voluminous(kibibytes=23) for _ in range(4))
    gateway = start(FILES, certificate=certificate, key=key)
    with Client(gateway.port, tls=context_of(authority, version), receive_buffer=4096, segment=536) as client:
        assert client.request(get("/x")).status == 200


def test_handshakes_are_counted(gateway, origin, authority):
    def handshakes(result: str) -> float:
        return gateway.metrics().sum("gateway_tls_handshakes_total", result=result)

    good, bad = handshakes("ok"), handshakes("failed")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with Client(gateway.tls_port, tls=context_of(authority, version)) as client:
            assert client.request(get("/x")).status == 200
    assert (handshakes("ok"), handshakes("failed")) == (good + 2, bad)
    with socket.create_connection(("127.0.0.1", gateway.tls_port), timeout=5) as stranger:
        stranger.sendall(get("/x"))
        while stranger.recv(4096):
            pass
    wait_until(lambda: handshakes("failed") == bad + 1)
    assert handshakes("ok") == good + 2
