"""Certificates of clients: who is let in, who they are, and tokens that are bound to them (security row J69)."""

import datetime
import ipaddress
import json
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from harness.certificates import Authority
from harness.gateway import Gateway
from harness.raw import Client, get
from harness.refusals import check_answer, check_invalid_token, expect_only_good_at
from harness.tokens import b64, bearer, claims_of, key_set
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
def values(localhost, authority):
    return localhost | {"authority": authority.file}


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


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_ends_with_the_certificate_of_its_client(gateway, authority, version):
    """Who comes again with a ticket when the certificate has expired begins anew: with another one, or not at all."""

    def visit(ticket=None):
        plain = socket.create_connection(("127.0.0.1", gateway.tls_port), 5)
        with context.wrap_socket(
            plain, server_hostname="localhost", session=ticket, suppress_ragged_eofs=False
        ) as stream:
            stream.sendall(get("/x"))
            assert stream.recv(1000).startswith(b"HTTP/1.1 200")
            return stream.session_reused, stream.session

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client-1")])
    brief = authority.issue_to(name, [], "brief", remains=datetime.timedelta(seconds=5))
    context = authority.client_context(brief)
    context.minimum_version = context.maximum_version = version
    is_reused, first = visit()
    assert not is_reused
    is_reused, second = visit(first)
    assert is_reused
    end = x509.load_pem_x509_certificate(brief[0].read_bytes()).not_valid_after_utc
    time.sleep(max(0, end.timestamp() + 1.1 - time.time()))
    for ticket in (first, second):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            visit(ticket)
    context.load_cert_chain(*authority.issue("client-1"))
    for ticket in (first, second):
        is_reused, third = visit(ticket)
        assert not is_reused
    assert visit(third)[0]


IDENTITY = """
worker_processes 2;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
ssl_certificate @certificate@;
ssl_certificate_key @key@;
ssl_client_certificate @authority@;
ssl_verify_client optional;
auth_provider devices client_certificate { subject san; }
auth_provider names client_certificate { subject cn; }
auth_provider subjects client_certificate { subject dn; }
auth_provider main jwt { issuer https://id.example.com; audience orders; key_file @keys@; }
auth_provider strict jwt { issuer https://id.example.com; audience orders; key_file @keys@; bound_tokens require; }
auth_provider blind jwt { issuer https://id.example.com; audience orders; key_file @keys@; bound_tokens ignore; }
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    auth devices;
    location / { proxy_pass http://@origin@; }
    location /names { auth names; proxy_pass http://@origin@; }
    location /subjects { auth subjects; proxy_pass http://@origin@; }
    location /any { auth any main devices; proxy_pass http://@origin@; }
    location /bound { auth main; proxy_pass http://@origin@; }
    location /strict { auth strict; proxy_pass http://@origin@; }
    location /blind { auth blind; proxy_pass http://@origin@; }
    location /good { auth off; proxy_pass http://@origin@; }
    location /plant { require claim san_uri contains spiffe://plant/press-7; proxy_pass http://@origin@; }
    location /hall { require claim san_dns contains hall.plant.example; proxy_pass http://@origin@; }
    location /seven { require claim subject_cn = "press 7"; proxy_pass http://@origin@; }
    location /works { require claim subject_dn = "CN=press 7,O=Wörks\\\\, Ltd"; proxy_pass http://@origin@; }
    location /issued { require claim issuer_dn = "CN=Test authority"; proxy_pass http://@origin@; }
    location /address { require claim san_ip contains 192.0.2.7; proxy_pass http://@origin@; }
    location /facts {
        auth off;
        return 200 "$ssl_client_verify|$ssl_client_s_dn|$ssl_client_i_dn|$ssl_client_serial|$ssl_server_name|$ssl_session_reused";
    }
    location /told {
        identity_headers {
            X-Cert-Names $jwt_claim_san_dns;
            X-Cert-Serial $jwt_claim_serial;
        }
        proxy_pass http://@origin@;
    }
}
"""


@pytest.fixture(scope="module")
def known(authority):
    """A certificate with all kinds of names."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Wörks, Ltd"), x509.NameAttribute(NameOID.COMMON_NAME, "press 7")]
    )
    names = [
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
        x509.UniformResourceIdentifier("spiffe://plant/press-7"),
        x509.DNSName("press-7.plant.example"),
    ]
    return authority.issue_to(subject, names, "press-7")


@pytest.fixture(scope="module")
def nameless(authority):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("a", "b")])
    return authority.issue_to(subject, [x509.IPAddress(ipaddress.ip_address("192.0.2.8"))], "nameless")


@pytest.fixture(scope="module")
def identity_gateway(tmp_path_factory, module_origin, values, rsa_key):
    folder = tmp_path_factory.mktemp("identity")
    keys = folder / "jwks.json"
    keys.write_text(json.dumps(key_set(rsa_key)))
    gateway = Gateway(IDENTITY, folder, origin=module_origin.address, keys=keys, **values)
    try:
        yield gateway
        gateway.stop()
    finally:
        gateway.kill()


def ask(gateway, authority, own, path: str, *fields: str):
    with Client(gateway.tls_port, tls=authority.client_context(own)) as client:
        return client.request(get(path, *fields))


def thumbprint(own) -> str:
    certificate = x509.load_pem_x509_certificate(own[0].read_bytes())
    return b64(certificate.fingerprint(hashes.SHA256()))


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("/x", "spiffe://plant/press-7"),
        ("/names", "press 7"),
        ("/subjects", "CN=press 7,O=W%C3%B6rks\\, Ltd"),
    ],
)
def test_who_a_certificate_is(identity_gateway, origin, authority, known, path, subject):
    for _ in range(3):
        assert ask(identity_gateway, authority, known, path).status == 200
    assert origin.last.get("x-auth-subject") == subject
    line = identity_gateway.wait_for_log_line(lambda line: line["auth_cache"] == "hit")
    assert line["auth_provider"] in ("devices", "names", "subjects")


def test_no_certificate_and_no_name(identity_gateway, origin, authority, nameless):
    origin.reset()
    check_answer(ask(identity_gateway, authority, None, "/x"), 403, "certificate_missing", closed=False)
    check_answer(identity_gateway.request(get("/x")), 403, "certificate_missing", closed=False)
    for path in ("/x", "/names"):
        check_answer(ask(identity_gateway, authority, nameless, path), 403, "certificate_invalid", closed=False)
    expect_only_good_at(origin)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/plant", 200), ("/hall", 403), ("/seven", 200), ("/works", 200), ("/issued", 200), ("/address", 200)],
)
def test_rules_know_all_names_of_a_certificate(identity_gateway, authority, known, path, status):
    for _ in range(2):
        assert ask(identity_gateway, authority, known, path).status == status
    other = authority.issue("client-9")
    assert ask(identity_gateway, authority, other, path).status == (200 if path == "/issued" else 403)


def test_names_of_a_certificate_are_told_upstream(identity_gateway, origin, authority, known):
    assert ask(identity_gateway, authority, known, "/told", "X-Cert-Serial: 7").status == 200
    assert origin.last.get("x-cert-names") == "press-7.plant.example"
    serial = x509.load_pem_x509_certificate(known[0].read_bytes()).serial_number
    assert int(origin.last.get("x-cert-serial"), 16) == serial


def test_facts_about_a_connection(identity_gateway, authority, known):
    serial = x509.load_pem_x509_certificate(known[0].read_bytes()).serial_number
    verify, subject, issuer, number, name, reused = ask(identity_gateway, authority, known, "/facts").body.decode().split("|")
    assert (verify, subject) == ("SUCCESS", "CN=press 7,O=W\\C3\\B6rks\\, Ltd")
    assert (issuer, int(number, 16), name, reused) == ("CN=Test authority", serial, "localhost", ".")
    assert ask(identity_gateway, authority, None, "/facts").body == b"NONE||||localhost|."
    assert identity_gateway.request(get("/facts")).body == b"|||||"


def test_a_token_counts_before_the_certificate(identity_gateway, origin, authority, known, rsa_key):
    assert ask(identity_gateway, authority, known, "/any").status == 200
    assert origin.last.get("x-auth-provider") == "devices"
    assert ask(identity_gateway, authority, known, "/any", bearer(rsa_key.token())).status == 200
    assert origin.last.get("x-auth-provider") == "main"
    response = ask(identity_gateway, authority, known, "/any", bearer("a.b.c"))
    check_invalid_token(response, "token_malformed")
    check_answer(ask(identity_gateway, authority, None, "/any"), 401, "token_missing", closed=False)


def test_J69_a_token_bound_to_a_certificate(identity_gateway, origin, authority, known, rsa_key):
    other = authority.issue("client-2")
    token = rsa_key.token(cnf={"x5t#S256": thumbprint(known)}, sub="owner")
    for _ in range(3):
        assert ask(identity_gateway, authority, known, "/bound", bearer(token)).status == 200
        assert origin.last.get("x-auth-subject") == "owner"
    origin.reset()
    for _ in range(2):
        for own in (other, None):
            check_invalid_token(ask(identity_gateway, authority, own, "/bound", bearer(token)), "binding_mismatch")
        check_invalid_token(identity_gateway.request(get("/bound", bearer(token))), "binding_mismatch")
    expect_only_good_at(origin)
    assert ask(identity_gateway, authority, known, "/bound", bearer(token)).status == 200
    assert identity_gateway.request(get("/blind", bearer(token))).status == 200


@pytest.mark.parametrize(
    "confirmation",
    [
        {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
        {"x5t#S256": "short"},
        {"x5t#S256": 7},
        {"kid": "k"},
        {},
        "x",
        None,
    ],
)
def test_J69_bindings_that_nobody_has_shown(identity_gateway, origin, authority, known, rsa_key, confirmation):
    payload = json.dumps(claims_of() | {"cnf": confirmation})
    token = rsa_key.token_of(json.dumps(rsa_key.header()), payload)
    origin.reset()
    check_invalid_token(ask(identity_gateway, authority, known, "/bound", bearer(token)), "binding_mismatch")
    check_invalid_token(identity_gateway.request(get("/bound", bearer(token))), "binding_mismatch")
    expect_only_good_at(origin)
    assert identity_gateway.request(get("/blind", bearer(token))).status == 200


def test_J69_two_bindings_are_no_binding(identity_gateway, authority, known, rsa_key):
    token = rsa_key.token(cnf={"x5t#S256": thumbprint(known), "jkt": "x"})
    check_invalid_token(ask(identity_gateway, authority, known, "/bound", bearer(token)), "binding_mismatch")


def test_J69_tokens_that_must_be_bound(identity_gateway, authority, known, rsa_key):
    bound = rsa_key.token(cnf={"x5t#S256": thumbprint(known)})
    assert ask(identity_gateway, authority, known, "/strict", bearer(bound)).status == 200
    check_invalid_token(ask(identity_gateway, authority, known, "/strict", bearer(rsa_key.token())), "binding_mismatch")
    assert ask(identity_gateway, authority, known, "/bound", bearer(rsa_key.token())).status == 200
