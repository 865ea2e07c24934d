"""TLS to upstreams: who is believed, what is shown and told, and that a request is never sent to anybody else."""

import ipaddress
import signal
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest
from concurrent import futures
from cryptography import x509
from cryptography.x509.oid import NameOID

from harness.certificates import Authority
from harness.framed_origin import FramedOrigin
from harness.gateway import run_command
from harness.origin import OK, Origin, answering
from harness.ports import take_port
from harness.raw import get, post
from harness.refusals import check_answer
from harness.streams import Session, request
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
proxy_ssl_trusted_certificate @authority@;
proxy_connect_timeout 500ms;
http2 on;
upstream group { server @good@; }
upstream mixed { server @stranger@ max_fails=0; server @good@ max_fails=0; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location /good { proxy_pass https://@good@; }
    location /named { proxy_pass https://group; proxy_ssl_name upstream.test; }
    location /silent { proxy_pass https://group; proxy_ssl_name upstream.test; proxy_ssl_server_name off; }
    location /misnamed { proxy_pass https://@good@; proxy_ssl_name other.test; }
    location /foreign { proxy_pass https://@foreign@; }
    location /anybody { proxy_pass https://@foreign@; proxy_ssl_verify off; }
    location /expired { proxy_pass https://@expired@; }
    location /stranger { proxy_pass https://@stranger@; }
    location /system { proxy_pass https://@good@; proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt; }
    location /mixed { proxy_pass https://mixed; proxy_ssl_name 127.0.0.1; }
    location /asking { proxy_pass https://@asking@; }
    location /showing {
        proxy_pass https://@asking@;
        proxy_ssl_certificate @certificate@; proxy_ssl_certificate_key @key@;
    }
    location /old { proxy_pass https://@old@; proxy_ssl_protocols TLSv1.3; }
    location /older { proxy_pass https://@old@; }
    location /injected { proxy_pass https://@strange@; }
    location /framed { proxy_pass https://@framed@; proxy_http_version 2; }
    location /test.Open/ { proxy_pass grpcs://@calls@; client_max_body_size 0; }
    location /no_frames { proxy_pass https://@good@; proxy_http_version 2; }
    location /clear_frames { proxy_pass http://@clear_framed@; proxy_http_version 2; }
}
"""


class Strange:
    """Something that is no TLS server: it says what a test wants, and keeps what it is sent."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.said, self.heard, self.waits = b"", b"", 0.0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(2)
                try:
                    if self.said:
                        sock.sendall(self.said)
                    time.sleep(self.waits)
                    while part := sock.recv(65_536):
                        self.heard += part
                except OSError:
                    pass

    def close(self) -> None:
        self._listener.close()


class Origins:
    def __init__(self, authority: Authority, folder):
        self.told: list[str | None] = []
        self.good = Origin(tls=self._context(authority.issue("upstream.test")))
        names = [x509.DNSName("foreign.test")]
        self.foreign = Origin(tls=self._context(authority.issue_to(_subject("foreign"), names, "foreign")))
        own = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        self.expired = Origin(tls=self._context(authority.issue_to(_subject("expired"), own, "expired", age=3)))
        self.stranger = Origin(tls=self._context(Authority(folder).issue("stranger")))
        asking = self._context(authority.issue("asking"))
        asking.load_verify_locations(str(authority.file))
        asking.verify_mode = ssl.CERT_REQUIRED
        self.asking = Origin(tls=asking)
        old = self._context(authority.issue("old"))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        self.old = Origin(tls=old)
        self.strange = Strange()
        framed = self._context(authority.issue("framed"))
        framed.set_alpn_protocols(["h2"])
        self.framed = FramedOrigin(tls=framed)
        self.clear_framed = FramedOrigin()

    def _context(self, files) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, files))
        context.sni_callback = lambda sock, name, context: self.told.append(name)
        return context

    @property
    def plain(self) -> dict[str, Origin]:
        names = ("good", "foreign", "expired", "stranger", "asking", "old")
        return {name: getattr(self, name) for name in names}


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Reversing(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda message, context: message[::-1])


@pytest.fixture(scope="module")
def module_origins(authority, tmp_path_factory):
    return Origins(authority, tmp_path_factory.mktemp("stranger"))


@pytest.fixture(scope="module")
def values(module_origins, authority):
    certificate, key = authority.issue("client-1")
    call_certificate, call_key = authority.issue("calls")
    server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Reversing(),))
    pair = (call_key.read_bytes(), call_certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    yield {
        **{name: origin.address for name, origin in module_origins.plain.items()},
        "strange": module_origins.strange.address,
        "framed": module_origins.framed.address,
        "clear_framed": module_origins.clear_framed.address,
        "calls": f"127.0.0.1:{port}",
        "authority": authority.file,
        "certificate": certificate,
        "key": key,
    }
    server.stop(None)


@pytest.fixture
def origins(module_origins):
    for origin in module_origins.plain.values():
        origin.reset()
    module_origins.told.clear()
    module_origins.strange.said, module_origins.strange.heard, module_origins.strange.waits = b"", b"", 0.0
    return module_origins


def handshakes(gateway, result: str) -> float:
    return gateway.metrics().sum("gateway_upstream_tls_handshakes_total", result=result)


def expect_refusal(gateway, path: str, code: str, reason: str) -> None:
    """502 with its code, counted, and in the log with the words of OpenSSL."""
    failed, rejected = handshakes(gateway, "failed"), gateway.rejected(code)
    with gateway.connect() as client:
        check_answer(client.request(post(path, b"secret")), 502, code, closed=False)
        assert client.request(get("/good")).status == 200
    assert handshakes(gateway, "failed") >= failed + 1 and gateway.rejected(code) == rejected + 1
    gateway.wait_for_notice(f"{code}: {reason}")


def test_requests_go_over_tls(gateway, origins):
    body = bytes(range(256)) * 4000
    origins.good.serve(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)))
    with gateway.connect() as client:
        for _ in range(5):
            answer = client.request(post("/good/x?y", body), 10)
            assert answer.status == 200 and answer.body == body
    assert [r.line for r in origins.good.requests] == ["POST /good/x?y HTTP/1.1"] * 5
    assert all(r.body == body for r in origins.good.requests)
    assert origins.good.last.get("host") == origins.good.address
    assert len({r.connection for r in origins.good.requests}) == 1, "the connection is kept"


def test_names_are_told_and_addresses_are_not(gateway, origins):
    for path in ("/named", "/silent", "/good"):
        assert gateway.request(get(path)).status == 200
    assert sorted(origins.told, key=str) == [None, None, "upstream.test"]


@pytest.mark.parametrize(
    ("path", "origin", "reason"),
    [
        ("/misnamed", "good", "hostname mismatch"),
        ("/foreign", "foreign", "IP address mismatch"),
        ("/expired", "expired", "certificate has expired"),
        ("/stranger", "stranger", "certificate signature failure"),
        ("/system", "good", "unable to get local issuer certificate"),
    ],
)
def test_U06_who_proves_nothing_gets_nothing(gateway, origins, path, origin, reason):
    origins.good.accepted = 0
    expect_refusal(gateway, path, "upstream_untrusted", reason)
    served = getattr(origins, origin)
    assert b"secret" not in served.received
    assert all(request.target == "/good" for request in served.requests)


def test_anybody_may_serve_where_nothing_is_verified(gateway, origins):
    assert gateway.request(get("/anybody")).status == 200
    assert origins.foreign.last.target == "/anybody"
    # The connection of a location that verifies nothing is none for one that does.
    expect_refusal(gateway, "/foreign", "upstream_untrusted", "IP address mismatch")
    assert len(origins.foreign.requests) == 1


def test_another_endpoint_is_asked_where_one_proves_nothing(gateway, origins):
    answers = [gateway.request(post("/mixed", b"once")) for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 4
    assert len(origins.good.requests) == 4 and not origins.stranger.requests


def test_certificates_are_shown(gateway, origins):
    assert gateway.request(get("/showing")).status == 200
    assert gateway.request(get("/asking")).status == 502
    assert [r.target for r in origins.asking.requests] == ["/showing"]


def test_versions(gateway, origins):
    assert gateway.request(get("/older")).status == 200
    expect_refusal(gateway, "/old", "upstream_tls_failed", "tlsv1 alert protocol version")


@pytest.mark.parametrize("said", [OK, b"\0" * 100, b"220 ready\r\n" * 10])
def test_U06_plain_text_before_the_handshake(gateway, origins, said):
    """What is sent before TLS begins is nobody's answer (nginx CVE-2026-1642)."""
    origins.strange.said = said
    expect_refusal(gateway, "/injected", "upstream_tls_failed", "wrong version number")
    assert b"secret" not in origins.strange.heard


def test_a_handshake_has_the_time_of_connecting(gateway, origins):
    origins.strange.waits = 1.5
    started = time.monotonic()
    answer = gateway.request(get("/injected"))
    assert (answer.status, answer.code) == (504, "upstream_timeout")
    assert 0.3 < time.monotonic() - started < 1.4


def test_sessions_go_on(gateway, origins):
    before = handshakes(gateway, "resumed")
    for _ in range(3):
        assert gateway.request(get("/older")).status == gateway.request(get("/good")).status == 200
        origins.old.close_connections()
        origins.good.close_connections()
        time.sleep(0.1)
    assert handshakes(gateway, "resumed") >= before + 4
    # A session that nobody verified is none for who verifies.
    assert gateway.request(get("/anybody")).status == 200
    expect_refusal(gateway, "/foreign", "upstream_untrusted", "IP address mismatch")


def test_a_body_that_ends_without_a_goodbye_is_cut_short(gateway, origins):
    """Only TLS itself says where such a body ends: a FIN can come from anybody."""

    def script(connection, says_goodbye):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        if says_goodbye:
            try:
                connection.socket.settimeout(1)
                connection.socket.unwrap()
            except OSError:
                pass
        connection.socket.close()

    origins.good.serve(lambda connection: script(connection, True))
    assert gateway.request(get("/good")).body == b"half of it"
    origins.good.serve(lambda connection: script(connection, False))
    with gateway.connect() as client:
        client.send(get("/good"))
        client.expect_cut()


def test_frames_over_tls(gateway, origins):
    for origin in (origins.framed, origins.clear_framed):
        origin.reset()
    with Session(gateway.port) as session:
        for _ in range(3):
            assert session.request(request("/framed/x")).body == b"ok"
        assert session.request(request("/clear_frames")).body == b"ok"
    assert [call.get(":scheme") for call in origins.framed.calls] == ["https"] * 3
    assert origins.framed.accepted == 1
    assert [call.get(":scheme") for call in origins.clear_framed.calls] == ["http"]
    assert gateway.request(get("/framed")).body == b"ok"


def test_a_server_without_http2_gets_no_frames(gateway, origins):
    expect_refusal(gateway, "/no_frames", "upstream_tls_failed", "the server chose none of the protocols")
    assert not [r for r in origins.good.requests if r.target != "/good"]


def test_calls_over_tls(gateway):
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        call = channel.unary_unary("/test.Open/Reverse")
        for message in (b"abc", b"x" * 100_000):
            assert call(message, timeout=10) == message[::-1]


def test_a_reload_takes_other_authorities(start, origins, authority, tmp_path_factory):
    """Connections and sessions that were made under other settings are not used any more."""
    other = Authority(tmp_path_factory.mktemp("other"))
    gateway = start(
        """
        worker_processes 1;
        error_log stderr info;
        admin { listen 127.0.0.1:@admin_port@; }
        server {
            listen 127.0.0.1:@port@;
            auth off;
            proxy_ssl_trusted_certificate @file@;
            location / { proxy_pass https://@good@; }
        }
        """,
        file=authority.file,
        good=origins.good.address,
    )
    assert gateway.request(get("/x")).status == 200
    gateway.values["file"] = other.file
    gateway.configure(gateway.configuration)
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.request(get("/x")).status == 502, 5)
    assert gateway.request(get("/x")).code == "upstream_untrusted"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("proxy_ssl_certificate @c@;", 'has no "proxy_ssl_certificate_key"'),
        ("proxy_ssl_certificate @c@; proxy_ssl_certificate_key @other@;", "is not usable"),
        ("proxy_ssl_trusted_certificate @k@;", "holds no certificate"),
        ("proxy_ssl_trusted_certificate @broken@;", "is not usable"),
    ],
)
def test_files_that_are_no_good(tmp_path, authority, lines, message):
    certificate, key = authority.issue("files")
    _, other = authority.issue("others")
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for name, file in {"c": certificate, "k": key, "other": other, "broken": broken}.items():
        lines = lines.replace(f"@{name}@", str(file))
    configuration = tmp_path / "gateway.conf"
    configuration.write_text(
        f"server {{ listen 127.0.0.1:1; auth off; location / {{ proxy_pass https://127.0.0.1:1; {lines} }} }}"
    )
    done = run_command("check", "-c", configuration)
    assert done.returncode == 1 and message in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (
            ["proxy_ssl_trusted_certificate broken.pem;", "proxy_ssl_trusted_certificate cut.pem;"],
            ["broken.pem is not usable", "cut.pem is not usable"],
        ),
        (
            ["proxy_ssl_certificate own.pem;", "proxy_ssl_certificate_key own.key;"],
            ['has no "proxy_ssl_certificate_key"', 'has no "proxy_ssl_certificate"'],
        ),
    ],
)
def test_every_mistake_is_named(tmp_path, authority, lines, named):
    certificate, key = authority.issue("files")
    damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    (tmp_path / "broken.pem").write_text(damaged)
    (tmp_path / "cut.pem").write_text(authority.file.read_text() + damaged)
    (tmp_path / "own.pem").write_bytes(certificate.read_bytes())
    (tmp_path / "own.key").write_bytes(key.read_bytes())
    locations = [f"location /{i} {{ proxy_pass https://127.0.0.1:1; {line} }}\n" for i, line in enumerate(lines)]
    configuration = tmp_path / "gateway.conf"
    configuration.write_text(f"server {{ listen 127.0.0.1:1; auth off;\n{''.join(locations)}}}")
    done = run_command("check", "-c", configuration)
    assert done.returncode == 1
    for text in named:
        assert done.stderr.count(text) == 1, done.stderr


def test_openssl_s_server(start, authority, tmp_path):
    """The server of OpenSSL itself, which sends its tickets behind the handshake."""
    certificate, key = authority.issue("localhost")
    port = take_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key, "-www", "-quiet"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            gateway = start(
                """
                worker_processes 1;
                error_log stderr info;
                server {
                    listen 127.0.0.1:@port@;
                    auth off;
                    proxy_ssl_trusted_certificate @file@;
                    location / { proxy_pass https://localhost:@server@; }
                }
                """,
                file=authority.file,
                server=port,
            )
            for _ in range(3):
                assert wait_until(lambda: gateway.request(get("/")).body.find(b"TLSv1.3") >= 0, 5)
        finally:
            server.terminate()
