"""Sessions are resumed by tickets: at any worker, across the change of their keys, for as long as they live, and never after
that (RFC 5077, RFC 8446 section 4.6.1)."""

import re
import signal
import ssl
import subprocess
import time

import pytest

from harness.raw import Client, get
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
ssl_certificate @certificate@;
ssl_certificate_key @key@;
ssl_session_timeout @lifetime@;
auth off;
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    location / { return 200 "ok\\n"; }
}
server {
    listen 127.0.0.1:@bare_tls_port@ ssl;
    ssl_session_tickets off;
    location / { return 200 "ok\\n"; }
}
"""


@pytest.fixture(scope="module")
def values(localhost):
    return localhost | {"lifetime": "1h"}


VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])


def s_client(port: int, version: str, *options: object) -> str:
    """One request over a connection of OpenSSL's client; what it has to say about the session."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", version]
        + ["-ign_eof", *map(str, options)],
        input=get("/x", "Connection: close"),
        capture_output=True,
        timeout=10,
    )
    assert b"HTTP/1.1 200" in done.stdout, done.stdout + done.stderr
    return done.stdout.decode("latin-1")


def is_reused(text: str) -> bool:
    assert ("Reused, " in text) != ("New, " in text), text
    return "Reused, " in text


@VERSIONS
def test_any_worker_resumes(gateway, tmp_path, version):
    """Which worker gets a connection is left to the kernel: among twenty there are both."""
    kept = tmp_path / "session"
    assert not is_reused(s_client(gateway.tls_port, version, "-sess_out", kept))
    for _ in range(20):
        assert is_reused(s_client(gateway.tls_port, version, "-sess_in", kept))


@VERSIONS
def test_none_where_they_are_off(gateway, tmp_path, version):
    port = gateway.values["bare_tls_port"]
    kept = tmp_path / "session"
    text = s_client(port, version, "-sess_out", kept)
    assert "TLS session ticket:" not in text
    if kept.exists():
        assert not is_reused(s_client(port, version, "-sess_in", kept))


@VERSIONS
def test_a_ticket_is_announced_with_its_lifetime(gateway, version):
    text = s_client(gateway.tls_port, version)
    assert re.findall(r"lifetime hint: (\d+)", text)[-1] == "3600"


@VERSIONS
def test_a_reload_keeps_the_keys(gateway, tmp_path, version):
    kept = tmp_path / "session"
    s_client(gateway.tls_port, version, "-sess_out", kept)
    generation = gateway.metrics().sum("gateway_config_generation")
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.metrics().sum("gateway_config_generation") > generation)
    assert is_reused(s_client(gateway.tls_port, version, "-sess_in", kept))


def test_a_restart_forgets_the_keys(start, authority, values, tmp_path):
    kept = tmp_path / "session"
    first = start(CONFIGURATION, **values)
    s_client(first.tls_port, "-tls1_3", "-sess_out", kept)
    second = start(CONFIGURATION, **values)
    assert not is_reused(s_client(second.tls_port, "-tls1_3", "-sess_in", kept))


@VERSIONS
def test_keys_are_replaced_and_old_ones_open_for_a_while(start, values, tmp_path, version):
    """A ticket sealed with one key is opened while the next one seals, and not by the one after that."""
    gateway = start(CONFIGURATION, **(values | {"lifetime": "3s"}))
    kept, names = tmp_path / "session", set()

    def key_name(text: str) -> str:
        return re.findall(r"TLS session ticket:\s+0000 - ([0-9a-f -]{47})", text)[-1]

    names.add(key_name(s_client(gateway.tls_port, version, "-sess_out", kept)))
    sealed = time.monotonic()
    reused, refused = [], []
    while time.monotonic() < sealed + 8.5:
        text = s_client(gateway.tls_port, version, "-sess_in", kept)
        (reused if is_reused(text) else refused).append(time.monotonic() - sealed)
        names.add(key_name(s_client(gateway.tls_port, version)))
        time.sleep(0.2)
    assert len(names) >= 3, "a key each three seconds"
    # Seconds are whole in a ticket.
    assert all(at < 4.3 for at in reused) and max(reused) > 1.5, reused
    assert refused and min(refused) > 1.9, refused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_resumption_brings_a_new_ticket(gateway, authority, version):
    """In TLS 1.3 a ticket that is used again tells whoever listens that it is the same client."""
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    tickets = []
    session = None
    for _ in range(3):
        plain = Client(gateway.tls_port)
        with context.wrap_socket(plain.socket, server_hostname="localhost", session=session) as stream:
            stream.sendall(get("/x", "Connection: close"))
            while stream.recv(4096):
                pass
            assert stream.session_reused == (session is not None)
            session = stream.session
            tickets.append(session.id)
    assert session.has_ticket
    if version == ssl.TLSVersion.TLSv1_3:
        assert len(set(tickets)) == 3


def test_a_ticket_that_was_changed_opens_nothing(gateway, tmp_path):
    kept = tmp_path / "session"
    text = s_client(gateway.tls_port, "-tls1_2", "-sess_out", kept)
    ticket = bytes.fromhex(
        "".join(re.findall(r"^\s+[0-9a-f]{4} - ((?:[0-9a-f]{2}[ -]?){1,16})", text, re.M)).replace("-", "").replace(" ", "")
    )
    der = subprocess.run(
        ["openssl", "sess_id", "-in", kept, "-outform", "DER"], capture_output=True, check=True, timeout=10
    ).stdout
    sealed = ticket[:100]
    assert der.count(sealed) == 1
    at = der.index(sealed)
    for place in (0, 20, 40, 99):
        broken = bytearray(der)
        broken[at + place] ^= 1
        pem = subprocess.run(
            ["openssl", "sess_id", "-inform", "DER", "-outform", "PEM"], input=bytes(broken), capture_output=True, timeout=10
        ).stdout
        (tmp_path / "broken").write_bytes(pem)
        assert not is_reused(s_client(gateway.tls_port, "-tls1_2", "-sess_in", tmp_path / "broken"))
    assert is_reused(s_client(gateway.tls_port, "-tls1_2", "-sess_in", kept))
