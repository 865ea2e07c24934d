"""Several servers and certificates on one address: who is shown what (RFC 6066 section 3), and which hosts a connection is
for (security row P08, RFC 9110 section 15.5.20)."""

import signal
import socket
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from harness.raw import Client, get
from harness.streams import Session, request
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
http2 on;
auth off;
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    server_name default.example;
    ssl_certificate @default_certificate@;
    ssl_certificate_key @default_key@;
    location / { return 200 "default\\n"; }
}
server {
    listen 127.0.0.1:@tls_port@ ssl;
    server_name both.example;
    ssl_certificate @both_rsa@;
    ssl_certificate_key @both_rsa_key@;
    ssl_certificate @both_ecdsa@;
    ssl_certificate_key @both_ecdsa_key@;
    location / { return 200 "both\\n"; }
}
server {
    listen 127.0.0.1:@tls_port@ ssl;
    server_name *.wild.example ~^n[0-9]+\\.example$;
    ssl_certificate @wild@;
    ssl_certificate_key @wild_key@;
    ssl_protocols TLSv1.2;
    location / { return 200 "wild\\n"; }
}
server {
    listen 127.0.0.1:@tls_port@ ssl;
    server_name secret.example;
    ssl_certificate @secret@;
    ssl_certificate_key @secret_key@;
    ssl_client_certificate @authority@;
    ssl_verify_client on;
    location / { return 200 "secret\\n"; }
}
server {
    listen 127.0.0.1:@tls_port@ ssl;
    server_name maybe.example;
    ssl_certificate @secret@;
    ssl_certificate_key @secret_key@;
    ssl_client_certificate @authority@;
    ssl_verify_client optional;
    location / { return 200 "maybe\\n"; }
}
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    server_name same.example;
    ssl_certificate @default_certificate@;
    ssl_certificate_key @default_key@;
    location / { return 200 "same\\n"; }
}
"""


@pytest.fixture(scope="module")
def values(authority):
    named = {"authority": authority.file}
    for word, name, kind in [
        ("default", "default.example", "ECDSA"),
        ("both_rsa", "both.example", "RSA"),
        ("both_ecdsa", "both.example", "ECDSA"),
        ("wild", "*.wild.example", "ECDSA"),
        ("secret", "secret.example", "ECDSA"),
    ]:
        certificate, key = authority.issue(name, kind)
        named[word if word != "default" else "default_certificate"] = certificate
        named[f"{word}_key"] = key
    return named


def context_for(authority) -> ssl.SSLContext:
    context = authority.client_context()
    context.check_hostname = False
    return context


def connect(port: int, context: ssl.SSLContext, name: str | None) -> ssl.SSLSocket:
    context.check_hostname = False
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname=name)


def shown(stream: ssl.SSLSocket) -> x509.Certificate:
    return x509.load_der_x509_certificate(stream.getpeercert(binary_form=True))


def name_of(stream: ssl.SSLSocket) -> str:
    return shown(stream).extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )[0]


def ask(stream: ssl.SSLSocket, host: str) -> bytes:
    stream.sendall(f"GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while part := stream.recv(4096):
        answer += part
    return answer


@pytest.mark.parametrize(
    ("name", "expected", "body"),
    [
        ("default.example", "default.example", b"default"),
        ("both.example", "both.example", b"both"),
        ("BOTH.Example", "both.example", b"both"),
        ("a.wild.example", "*.wild.example", b"wild"),
        ("b.a.wild.example", "*.wild.example", b"wild"),
        ("n17.example", "*.wild.example", b"wild"),
        ("same.example", "default.example", b"same"),
        ("wild.example", "default.example", b"default"),
        ("nobody.example", "default.example", b"default"),
        (None, "default.example", b"default"),
    ],
)
def test_the_name_chooses_the_server(gateway, authority, name, expected, body):
    with connect(gateway.tls_port, authority.client_context(), name) as stream:
        assert name_of(stream) == expected
        assert ask(stream, name or "default.example").endswith(body + b"\n")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
def test_a_client_is_shown_what_it_can_check(gateway, version, kind):
    algorithm = "rsa_pss_rsae_sha256" if kind == "RSA" else "ecdsa_secp256r1_sha256"
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.tls_port}", "-servername", "both.example"]
        + ["-sigalgs", algorithm, "-tls1_2" if version == "TLSv1_2" else "-tls1_3"],
        input=b"",
        capture_output=True,
        timeout=10,
    )
    text = done.stdout.decode()
    certificate = x509.load_pem_x509_certificate(text[text.index("-----BEGIN") :].encode())
    assert isinstance(certificate.public_key(), rsa.RSAPublicKey) == (kind == "RSA")


def test_each_server_has_its_own_versions(gateway, authority):
    with connect(gateway.tls_port, authority.client_context(), "a.wild.example") as stream:
        assert stream.version() == "TLSv1.2"
    with connect(gateway.tls_port, authority.client_context(), "both.example") as stream:
        assert stream.version() == "TLSv1.3"


def test_client_certificates_are_asked_for_by_name(gateway, authority):
    own = authority.issue("client-1")
    with connect(gateway.tls_port, authority.client_context(own), "secret.example") as stream:
        assert ask(stream, "secret.example").endswith(b"secret\n")
    with connect(gateway.tls_port, authority.client_context(), "maybe.example") as stream:
        assert ask(stream, "maybe.example").endswith(b"maybe\n")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with connect(gateway.tls_port, authority.client_context(), "secret.example") as stream:
            if not ask(stream, "secret.example"):
                raise ConnectionResetError


@pytest.mark.parametrize(
    ("name", "host", "status"),
    [
        ("default.example", "both.example", 200),
        ("both.example", "default.example", 200),
        ("default.example", "secret.example", 421),
        ("default.example", "maybe.example", 421),
        (None, "secret.example", 421),
        ("nobody.example", "secret.example", 421),
        ("nobody.example", "SECRET.example.:443", 421),
        ("secret.example", "default.example", 421),
        ("secret.example", "maybe.example", 421),
        ("maybe.example", "secret.example", 421),
        ("secret.example", "secret.example", 200),
    ],
)
def test_P08_a_host_with_other_demands_on_clients_is_misdirected(gateway, authority, name, host, status):
    own = authority.issue("client-1")
    with connect(gateway.tls_port, authority.client_context(own), name) as stream:
        answer = ask(stream, host)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
        assert (b"misdirected_request" in answer) == (status == 421)


def test_P08_a_misdirected_request_leaves_the_connection_in_use(gateway, authority):
    with Client(gateway.tls_port, tls=context_for(authority)) as client:
        for host, status in [("secret.example", 421), ("default.example", 200), ("maybe.example", 421)] * 2:
            assert client.request(get("/x", host=host)).status == status


def test_P08_the_same_holds_for_streams(gateway, authority):
    with Session(gateway.tls_port, context_for(authority)) as session:
        for host, status in [("secret.example", 421), ("default.example", 200), ("both.example", 200)]:
            assert session.request(request("/x", scheme="https", host=host)).status == status


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_P08_a_session_of_one_server_opens_no_other(gateway, authority, version):
    """A ticket that was got without a certificate is worth nothing where one is demanded."""
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    with connect(gateway.tls_port, context, "both.example") as stream:
        assert ask(stream, "both.example").endswith(b"both\n")
        session = stream.session
    assert session.has_ticket
    plain = socket.create_connection(("127.0.0.1", gateway.tls_port), 5)
    with context.wrap_socket(plain, server_hostname="both.example", session=session) as stream:
        assert stream.session_reused
    for name in ("secret.example", "default.example"):
        plain = socket.create_connection(("127.0.0.1", gateway.tls_port), 5)
        try:
            with context.wrap_socket(plain, server_hostname=name, session=session) as stream:
                assert not stream.session_reused
                assert b"secret" not in ask(stream, name)
        except (ssl.SSLError, ConnectionError):
            assert name == "secret.example"


@pytest.mark.parametrize(
    "extension",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\0\3\0\0\0",
        b"\0\4\0\0\0\1",
        b"\0\5\0\0\1\0",
        b"\0\6\1\0\3a.b",
        b"\xff\xff\0\0\1a",
        b"\0\4\0\xff\xffa",
        b"\1\3\0\1\0" + b"a" * 256,
    ],
)
def test_names_that_are_none(gateway, authority, extension):
    """A hello with a server_name extension that is damaged harms nobody else."""
    body = b"\3\3" + b"r" * 32 + b"\0" + b"\0\4\xc0\x2b\xc0\x2f" + b"\1\0"
    extensions = b"\0\0" + len(extension).to_bytes(2) + extension
    extensions += b"\0\x0a\0\4\0\2\0\x17" + b"\0\x0d\0\4\0\2\4\3"
    body += len(extensions).to_bytes(2) + extensions
    hello = b"\1" + len(body).to_bytes(3) + body
    with Client(gateway.tls_port) as client:
        client.send(b"\x16\3\1" + len(hello).to_bytes(2) + hello)
        client.end()
        client.expect_cut()
    with connect(gateway.tls_port, authority.client_context(), "both.example") as stream:
        assert ask(stream, "both.example").endswith(b"both\n")


def test_a_hello_in_pieces_is_put_together(gateway, authority):
    context = context_for(authority)
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(ours, theirs, server_hostname="both.example")
    with Client(gateway.tls_port) as client:
        for _ in range(20):
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.send_in_pieces(theirs.read())
                ours.write(client.socket.recv(65536))
        client.send_in_pieces(theirs.read())
        found = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
        assert found.subject.rfc4514_string() == "CN=both.example"


def test_certificates_are_read_again_on_reload(gateway, authority, values):
    def serial() -> int:
        with connect(gateway.tls_port, authority.client_context(), "both.example") as stream:
            return shown(stream).serial_number

    context = authority.client_context()
    with connect(gateway.tls_port, context, "both.example") as old:
        before = serial()
        files = values["both_ecdsa"].read_bytes(), values["both_ecdsa_key"].read_bytes()
        try:
            # Half of a pair: the gateway stays as it is.
            values["both_ecdsa"].write_bytes(authority.issue("both.example", file="new")[0].read_bytes())
            gateway.send_signal(signal.SIGHUP)
            gateway.wait_for_notice("the configuration was not reloaded")
            assert serial() == before
            values["both_ecdsa_key"].write_bytes((authority.folder / "new.key").read_bytes())
            gateway.send_signal(signal.SIGHUP)
            wait_until(lambda: serial() != before, what="the new certificate is shown")
            assert ask(old, "both.example").endswith(b"both\n"), "a connection that stands stays"
        finally:
            values["both_ecdsa"].write_bytes(files[0])
            values["both_ecdsa_key"].write_bytes(files[1])
            gateway.send_signal(signal.SIGHUP)
            wait_until(lambda: serial() == before, what="the old certificate is shown again")
