"""The PROXY protocol on both sides: headers of our own and haproxy's towards the gateway, the gateway's towards nginx."""

import socket
import struct
import time

import pytest

from harness import peers
from harness.origin import OK, Connection, Ended
from harness.raw import Client, get
from harness.streams import PREFACE, SETTINGS, Session, frame, request
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
http2 on;
trusted_proxies 127.0.0.1 127.0.0.8/29 unix:;
ssl_certificate @certificate@;
ssl_certificate_key @key@;
server {
    listen 127.0.0.1:@port@ proxy_protocol;
    listen 127.0.0.1:@tls_port@ ssl proxy_protocol;
    listen 127.0.0.1:@plain_port@;
    listen unix:gateway.sock proxy_protocol;
    client_header_timeout 1s;
    auth off;
    location / { proxy_pass http://@origin@; proxy_set_header X-Seen "$remote_addr $remote_port"; }
    location /one { proxy_pass http://@origin@; proxy_protocol on; }
    location /two { proxy_pass http://@origin@; proxy_protocol v2; }
    location /nginx/one { proxy_pass http://127.0.0.1:@nginx@/; proxy_protocol v1; }
    location /nginx/two { proxy_pass http://127.0.0.1:@nginx@/; proxy_protocol v2; }
}
server {
    listen 127.0.0.1:@strict_port@ proxy_protocol;
    trusted_proxies 192.0.2.0/24;
    auth off;
    location / { return 200 "in\\n"; }
}
"""

NGINX = """
server {
    listen 127.0.0.1:@nginx@ proxy_protocol;
    location / {
        return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port";
    }
}
"""

HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen one
    bind 127.0.0.1:@one@
    server gateway 127.0.0.1:@port@ send-proxy
listen two
    bind 127.0.0.1:@two@
    server gateway 127.0.0.1:@port@ send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 100ms
    unique-id-format %{+X}o%ci:%cp
listen tls
    bind 127.0.0.1:@tls@
    server gateway 127.0.0.1:@tls_port@ send-proxy-v2
"""

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def binary(source: str, port: int, command: int = 0x21, values: bytes = b"") -> bytes:
    block = socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", port, 443) + values
    return SIGNATURE + bytes([command, 0x11]) + struct.pack("!H", len(block)) + block


def text(source: str, port: int) -> bytes:
    return f"PROXY TCP4 {source} 192.0.2.1 {port} 443\r\n".encode()


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    with peers.nginx(tmp_path_factory.mktemp("nginx"), NGINX) as port:
        yield port


@pytest.fixture(scope="module")
def values(nginx, localhost):
    return localhost | {"nginx": nginx}


@pytest.fixture
def haproxy(gateway, tmp_path):
    ports = ["one", "two", "tls"]
    with peers.haproxy(tmp_path, HAPROXY, ports, port=gateway.port, tls_port=gateway.tls_port) as taken:
        yield taken


def counted(gateway, result: str) -> float:
    return gateway.metrics().sum("gateway_proxy_protocol_connections_total", result=result)


# -- in


@pytest.mark.parametrize("header", [text("203.0.113.7", 5001), binary("203.0.113.7", 5001)])
def test_the_client_is_who_the_header_names(gateway, origin, header):
    before = counted(gateway, "ok")
    with gateway.connect() as client:
        client.send(header)
        for number in range(2):
            assert client.request(get(f"/named{number}")).status == 200
            assert origin.last.get("x-forwarded-for") == "203.0.113.7"
            assert origin.last.get("x-seen") == "203.0.113.7 5001"
    line = gateway.wait_for_log_line(lambda line: line["path"].startswith("/named1"))
    assert (line["remote_addr"], line["remote_port"]) == ("203.0.113.7", 5001)
    assert counted(gateway, "ok") == before + 1


@pytest.mark.parametrize("header", [text("203.0.113.8", 5002), binary("203.0.113.8", 5002, values=b"\x04\0\1x")])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_header_and_request_may_come_in_any_pieces(gateway, origin, header, size):
    with gateway.connect() as client:
        client.send_in_pieces(header + get("/pieces"), size)
        assert client.read_response().status == 200
    assert origin.last.get("x-forwarded-for") == "203.0.113.8"


def test_streams_begin_behind_it(gateway, origin):
    with Session(gateway.port, begin=False) as session:
        session.send(text("203.0.113.9", 5003) + PREFACE + frame(SETTINGS, 0, 0))
        assert session.request(request("/stream")).status == 200
    assert origin.last.get("x-forwarded-for") == "203.0.113.9"


@pytest.mark.parametrize("header", [text("203.0.113.10", 5004), binary("203.0.113.10", 5004)])
@pytest.mark.parametrize("together", [False, True])
def test_TLS_begins_behind_it(gateway, origin, authority, header, together):
    with socket.create_connection(("127.0.0.1", gateway.tls_port), 5) as plain:
        if together:
            # The first packet holds the header and the beginning of the handshake.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        plain.sendall(header)
        with authority.client_context().wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(get("/tls", "Connection: close"))
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert origin.last.get("x-forwarded-for") == "203.0.113.10"
    assert origin.last.get("x-forwarded-proto") == "https"


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN 203.0.113.1 203.0.113.2 1 2\r\n",
        SIGNATURE + b"\x21\0\0\0",
        SIGNATURE + b"\x20\0\0\0",
        binary("203.0.113.11", 1, command=0x20),
    ],
)
def test_a_check_of_the_balancers_own_is_from_the_balancer(gateway, origin, header):
    with gateway.connect() as client:
        client.send(header)
        assert client.request(get("/own")).status == 200
    assert origin.last.get("x-forwarded-for") == "127.0.0.1"


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_UNIX_client_and_a_UNIX_listener(gateway, origin, kind):
    if kind == "unix":
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(str(gateway.folder / "gateway.sock"))
        plain.sendall(text("203.0.113.12", 5005))
    else:
        plain = socket.create_connection(("127.0.0.1", gateway.port), 5)
        plain.sendall(SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + b"/client".ljust(216, b"\0"))
    with plain:
        plain.sendall(get("/unix", "Connection: close"))
        assert plain.recv(100).startswith(b"HTTP/1.1 200")
    assert origin.last.get("x-forwarded-for") == ("203.0.113.12" if kind == "unix" else "unix:")


MALFORMED = {
    "a request": (get("/"), "no PROXY protocol header"),
    "a preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no PROXY protocol header"),
    "a handshake": (b"\x16\x03\x01\x02\0\x01", "no PROXY protocol header"),
    "a bad line": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "malformed line"),
    "a long line": (b"PROXY UNKNOWN " + b"x" * 100, "over 107 bytes"),
    "a bad version": (SIGNATURE + b"\x31\x11\0\x0c" + bytes(12), "unknown version"),
    "datagrams": (SIGNATURE + b"\x21\x12\0\x0c" + bytes(12), "unknown address family"),
    "a long header": (SIGNATURE + b"\x21\x11\xff\xff", "over 4096 bytes"),
    "a cut value": (binary("1.2.3.4", 1, values=b"\x04\0\x09x"), "malformed values"),
    "a wrong checksum": (binary("1.2.3.4", 1, values=b"\x03\0\x04abcd"), "wrong checksum"),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("port", ["port", "tls_port"])
def test_what_is_no_header_ends_the_connection(gateway, origin, name, port):
    data, reason = MALFORMED[name]
    before, sent = counted(gateway, "malformed"), 0

    def is_said() -> bool:
        nonlocal sent
        sent += 1
        with Client(gateway.values[port]) as client:
            client.send(data)
            assert client.expect_cut(2) == b""
        return f"{reason}" in gateway.log

    # Ten lines a second are written, and the tests are faster than that.
    wait_until(is_said, 3, 0.2, reason)
    assert counted(gateway, "malformed") == before + sent
    assert origin.requests == []


def test_a_late_header_ends_the_connection(gateway):
    before = counted(gateway, "late")
    started = time.monotonic()
    with gateway.connect() as client:
        header = text("203.0.113.13", 1)
        for byte in header[:20]:
            client.send(bytes([byte]))
            time.sleep(0.04)
        assert client.expect_cut(4) == b""
    assert 0.9 < time.monotonic() - started < 3
    assert counted(gateway, "late") == before + 1
    gateway.wait_for_notice("the PROXY protocol header took too long, peer: 127.0.0.1")


def test_who_leaves_before_the_header_is_whole_is_forgotten(gateway):
    open_before = gateway.metrics().sum("gateway_connections_active")
    for count in (0, 1, 12, 20):
        with gateway.connect() as client:
            client.send(binary("203.0.113.1", 1)[:count])
    wait_until(lambda: gateway.metrics().sum("gateway_connections_active") <= open_before, what="they are gone")


def test_nobody_else_may_say_it(gateway):
    before = counted(gateway, "untrusted")
    with Client(gateway.values["strict_port"]) as client:
        client.send(text("192.0.2.5", 1) + get("/"))
        assert client.expect_cut(2) == b""
    assert counted(gateway, "untrusted") == before + 1
    gateway.wait_for_notice("not among trusted_proxies, peer: 127.0.0.1")
    # A listener without it takes no header from anybody.
    with Client(gateway.values["plain_port"]) as client:
        client.send(text("192.0.2.5", 1) + get("/"))
        assert client.read_response().status == 400
    with Client(gateway.values["plain_port"]) as client:
        assert client.request(get("/")).status == 200


def test_haproxy_sends_it(gateway, origin, haproxy, authority):
    for name in ("one", "two"):
        # The source address is ours to choose on loopback: a client that is not the balancer.
        with socket.create_connection(("127.0.0.1", haproxy[name]), 5, ("127.0.0.77", 0)) as client:
            client.sendall(get(f"/haproxy/{name}", "Connection: close"))
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            assert origin.last.get("x-seen") == "127.0.0.77 %d" % client.getsockname()[1]
    with socket.create_connection(("127.0.0.1", haproxy["tls"]), 5, ("127.0.0.78", 0)) as plain:
        with authority.client_context().wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(get("/haproxy/tls", "Connection: close"))
            assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert origin.last.get("x-forwarded-for") == "127.0.0.78"


# -- out


def taking_header(record: list) -> object:
    """An origin that wants the PROXY protocol before each connection's first request."""

    def script(connection: Connection) -> None:
        if connection.served == 0:
            while len(connection.kept) < 16:
                connection.kept += connection.receive()
            if connection.kept.startswith(SIGNATURE):
                header = connection.read_exactly(16)
                header += connection.read_exactly(struct.unpack("!H", header[14:])[0])
            else:
                header = connection.read_line()
            record.append((connection.number, header))
        connection.read_request()
        connection.send(OK)

    return script


@pytest.mark.parametrize("path", ["/one", "/two"])
def test_an_upstream_is_told_and_connections_are_never_mixed(gateway, origin, path):
    record: list = []
    origin.serve(taking_header(record))
    for address in ("203.0.113.20", "203.0.113.21"):
        with gateway.connect() as client:
            client.send(text(address, 6000))
            for _ in range(2):
                assert client.request(get(path)).status == 200
    names = [socket.inet_ntoa(header[16:20]).encode() if path == "/two" else header.split()[2] for _, header in record]
    assert names == [b"203.0.113.20"] * 2 + [b"203.0.113.21"] * 2
    assert len({number for number, _ in record}) == 4
    header = record[0][1]
    if path == "/one":
        assert header == b"PROXY TCP4 203.0.113.20 127.0.0.1 6000 %d" % gateway.port
    else:
        wanted = socket.inet_aton("203.0.113.20") + b"\x7f\0\0\1" + struct.pack("!HH", 6000, gateway.port)
        assert header == SIGNATURE + b"\x21\x11\0\x0c" + wanted
    wait_until(lambda: origin.open_connections == 0, what="none is kept")


def test_a_client_without_an_address_is_unknown(gateway, origin):
    record: list = []
    origin.serve(taking_header(record))
    for path in ("/one", "/two"):
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect(str(gateway.folder / "gateway.sock"))
            plain.sendall(b"PROXY UNKNOWN\r\n" + get(path, "Connection: close"))
            assert plain.recv(100).startswith(b"HTTP/1.1 200")
    assert [header for _, header in record] == [b"PROXY UNKNOWN", SIGNATURE + b"\x21\0\0\0"]


def test_nginx_reads_it(gateway):
    for path in ("/nginx/one", "/nginx/two"):
        for address in ("203.0.113.30", "203.0.113.31"):
            with gateway.connect() as client:
                client.send(binary(address, 6001))
                for _ in range(2):
                    got = client.request(get(path))
                    assert got.body.decode() == f"{address} 6001 127.0.0.1 {gateway.port}"


def test_an_upstream_that_hangs_up_on_the_header_is_a_502(gateway, origin):
    def script(connection: Connection) -> None:
        raise Ended

    origin.serve(script)
    with gateway.connect() as client:
        client.send(text("203.0.113.40", 1))
        assert client.request(get("/one")).code == "upstream_closed"
