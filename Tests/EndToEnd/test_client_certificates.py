"""Certificates of clients: who is let in, and what a resumed session is worth."""

import socket
import ssl

import pytest

from harness.certificates import Authority
from harness.raw import Client, get
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
ssl_certificate @certificate@;
ssl_certificate_key @key@;
ssl_client_certificate @authority@;
auth off;
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_verify_client on;
    location / { proxy_pass http://@origin@; }
}
server {
    listen 127.0.0.1:@optional_tls_port@ ssl;
    ssl_verify_client optional;
    location / { proxy_pass http://@origin@; }
}
server {
    listen 127.0.0.1:@open_tls_port@ ssl;
    location / { proxy_pass http://@origin@; }
}
"""


@pytest.fixture(scope="module")
def values(authority):
    certificate, key = authority.issue("localhost")
    return {"certificate": certificate, "key": key, "authority": authority.file}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A certificate of the same name from another authority."""
    return Authority(tmp_path_factory.mktemp("stranger")).issue("client-1")


def status(port: int, context: ssl.SSLContext) -> int:
    with Client(port, tls=context) as client:
        return client.request(get("/x")).status


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_required(gateway, authority, stranger, version):
    def context(own=None):
        made = authority.client_context(own)
        made.minimum_version = made.maximum_version = version
        return made

    known = authority.issue("client-1")
    failed = gateway.metrics().sum("gateway_tls_handshakes_total", result="failed")
    assert status(gateway.tls_port, context(known)) == 200
    for own in (None, stranger):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            status(gateway.tls_port, context(own))
    wait_until(lambda: gateway.metrics().sum("gateway_tls_handshakes_total", result="failed") >= failed + 2)
    assert status(gateway.tls_port, context(known)) == 200


def test_optional(gateway, authority, stranger):
    port = gateway.values["optional_tls_port"]
    assert status(port, authority.client_context()) == 200
    assert status(port, authority.client_context(authority.issue("client-1"))) == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        status(port, authority.client_context(stranger))


def test_a_session_is_resumed_only_where_it_would_have_been_made(gateway, authority):
    """A ticket of a listener that asks for no certificate opens no other one."""

    def session(port: int, context: ssl.SSLContext):
        with Client(port, tls=context) as client:
            assert client.request(get("/x")).status == 200
            return client.socket.session

    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    ticket = session(gateway.values["open_tls_port"], context)
    plain = socket.create_connection(("127.0.0.1", gateway.tls_port), 5)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with context.wrap_socket(plain, server_hostname="localhost", session=ticket) as stream:
            stream.sendall(get("/x"))
            if stream.recv(1000):
                pytest.fail("no certificate was ever shown")
    own = authority.client_context(authority.issue("client-1"))
    own.maximum_version = ssl.TLSVersion.TLSv1_2
    ticket = session(gateway.tls_port, own)
    plain = socket.create_connection(("127.0.0.1", gateway.tls_port), 5)
    with own.wrap_socket(plain, server_hostname="localhost", session=ticket) as stream:
        stream.sendall(get("/x"))
        assert stream.recv(1000).startswith(b"HTTP/1.1 200")
        assert stream.session_reused
