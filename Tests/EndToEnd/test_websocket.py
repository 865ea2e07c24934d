"""WebSocket through Upgrade (security rows H20, H21, U04, R12): who may ask, who may agree, and what goes through."""

import contextlib
import random
import signal
import socket
import threading
import time

import pytest
import websockets.exceptions
import websockets.sync.client

from harness.frames import (
    ACCEPT,
    BINARY,
    CLOSE,
    KEY,
    PING,
    TEXT,
    Socket,
    agreement,
    echo,
    frame,
    handshake,
    header,
    library_server,
    read_frame,
    speaking,
)
from harness.gateway import accepts
from harness.origin import Ended
from harness.raw import get
from harness.refusals import check_answer
from harness.tokens import AUDIENCE, ISSUER, bearer
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
worker_shutdown_timeout 2s;
error_log stderr info;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
auth_provider baked jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; token_from cookie session; }}
upstream calls {{ server @origin@; }}
server {{
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth off;
    send_timeout 2s;
    location / {{ proxy_pass http://@origin@; proxy_read_timeout 20s; client_max_body_size 1k; }}
    location /nginx {{
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_set_header Host $host;
        proxy_pass http://@origin@;
    }}
    location /never {{ proxy_set_header Upgrade ""; proxy_pass http://@origin@; }}
    location /idle {{ proxy_pass http://@origin@; proxy_read_timeout 1s; }}
    location /real/ {{ proxy_pass http://@real@; }}
    location /secured/ {{ proxy_pass https://@secured@; proxy_ssl_trusted_certificate @authority@; }}
    location /closed {{ auth main; require permission read:data; proxy_pass http://@origin@; }}
    location /baked {{ auth baked; proxy_pass http://@origin@; }}
    location /text {{ return 200 "text\\n"; }}
    location /framed {{ proxy_pass grpc://127.0.0.1:1; }}
    location /named {{ add_header X-Sometimes 1; add_header X-Always 1 always; proxy_pass http://@origin@; }}
}}
"""


def talk(connection):
    """Sends back what comes, and ends with the code that it is told to end with."""
    for message in connection:
        if isinstance(message, str) and message.startswith("end with "):
            return connection.close(int(message.removeprefix("end with ")), "as you wish")
        connection.send(message)


@pytest.fixture(scope="module")
def values(localhost, key_file, authority):
    talks = {"max_size": 1 << 26, "subprotocols": ["b", "c"]}
    with library_server(talk, **talks) as real, library_server(talk, **talks, ssl=authority.server_context()) as secured:
        yield localhost | {"keys": key_file, "real": real, "secured": secured, "authority": authority.file}


def connect(gateway, path="/live", *fields) -> Socket:
    client = Socket(gateway.port)
    client.open(path, *fields)
    return client


# -- real clients and servers


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_the_library_talks_through(gateway, authority, scheme):
    port = gateway.port if scheme == "ws" else gateway.tls_port
    with websockets.sync.client.connect(
        f"{scheme}://localhost:{port}/real/x?y=1",
        ssl=authority.client_context() if scheme == "wss" else None,
        subprotocols=["a", "b"],
        max_size=1 << 26,
    ) as client:
        assert client.subprotocol == "b" and client.response.headers["Sec-WebSocket-Extensions"]
        for message in ("", "hello", "ä" * 1000, b"", b"\0\1\2", bytes(70_000)):
            client.send(message)
            assert client.recv(5) == message
        assert client.ping().wait(5)
    line = gateway.wait_for_log_line(lambda line: line["path"] == "/real/x?y=1" and line["tls"] != "-" or scheme == "ws")
    assert line["status"] == 101 and line["upstream_status"] == 101 and line["src"] == "upstream"


def test_large_messages(gateway):
    with websockets.sync.client.connect(
        f"ws://localhost:{gateway.port}/real/", subprotocols=["c"], max_size=1 << 26, compression=None
    ) as client:
        message = random.Random(1).randbytes(20 << 20)
        client.send(message)
        assert client.recv(20) == message


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_an_upstream_over_tls(gateway, authority, scheme):
    def dial():
        return websockets.sync.client.connect(
            f"{scheme}://localhost:{gateway.port if scheme == 'ws' else gateway.tls_port}/secured/x",
            ssl=authority.client_context() if scheme == "wss" else None,
            subprotocols=["b"],
            max_size=1 << 26,
            compression=None,
        )

    with dial() as client:
        for message in ("", "hello", random.Random(1).randbytes(5 << 20), b"\0"):
            client.send(message)
            assert client.recv(20) == message
        assert client.ping().wait(5)
        client.close(4002, "mine")
        assert client.close_code == 4002 and client.close_reason == "mine"
    with dial() as client:
        client.send("end with 4001")
        with pytest.raises(websockets.exceptions.ConnectionClosedError) as ended:
            client.recv(5)
        assert ended.value.rcvd.code == 4001 and ended.value.rcvd.reason == "as you wish"
    assert gateway.metrics().sum("gateway_upstream_tls_handshakes_total", result="ok") >= 2


def test_many_at_once(gateway):
    url = f"ws://localhost:{gateway.port}/real/"
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(websockets.sync.client.connect(url, subprotocols=["b"])) for _ in range(100)
        ]
        for i, client in enumerate(clients):
            client.send(str(i))
        for i, client in enumerate(clients):
            assert client.recv(5) == str(i)
        assert gateway.metrics().sum("gateway_upgrades_active") >= 100
    wait_until(lambda: gateway.metrics().sum("gateway_upgrades_active") == 0, what="all of them are over")


# -- who may ask


def test_H21_what_the_upstream_gets_and_what_the_client_gets(gateway, origin):
    origin.serve(speaking(echo, "X-Origin: 1", "Gateway-Error: x"))
    with Socket(gateway.port) as client:
        head = client.open("/named/a?b=c", "Origin: https://elsewhere.example", "Sec-WebSocket-Protocol: chat")
        assert head.get("upgrade") == "websocket" and head.get("connection") == "Upgrade"
        assert head.get("x-origin") == "1" and head.get("gateway-error") is None
        assert head.get("x-always") == "1" and head.get("x-sometimes") is None
        assert head.get("content-length") is None and head.get("transfer-encoding") is None
    got = origin.last
    assert got.line == "GET /named/a?b=c HTTP/1.1"
    assert (got.get("upgrade"), got.get("connection")) == ("websocket", "Upgrade")
    assert (got.get("sec-websocket-key"), got.get("sec-websocket-version")) == (KEY, "13")
    assert got.get("sec-websocket-protocol") == "chat" and got.get("origin") == "https://elsewhere.example"


@pytest.mark.parametrize("connection", ["keep-alive, Upgrade", "upgrade", "UPGRADE,,keep-alive"])
def test_H21_harmless_forms_pass(gateway, origin, connection):
    origin.serve(speaking(echo))
    with Socket(gateway.port) as client:
        client.send(
            get(
                "/nginx",
                f"Connection: {connection}",
                "Upgrade: WebSocket",
                "Sec-WebSocket-Version: 13",
                f"Sec-WebSocket-Key: {KEY}",
                "Content-Length: 0",
            )
        )
        assert client.read_head().status == 101
        client.send_frame(TEXT, b"hello")
        assert client.read_frame().payload == b"hello"


VERSION, KEY_FIELD = "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}"


@pytest.mark.parametrize(
    "fields",
    [
        [VERSION],
        [VERSION, "Sec-WebSocket-Key:"],
        [VERSION, "Sec-WebSocket-Key: short"],
        [VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=A"],
        [VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!=="],
        [VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ====", ],
        [VERSION, KEY_FIELD, KEY_FIELD],
        [VERSION, KEY_FIELD, "Connection: Sec-WebSocket-Key"],
    ],
)
def test_H21_a_bad_key_is_refused(gateway, origin, fields):
    answer = gateway.request(get("/x", "Connection: Upgrade", "Upgrade: websocket", *fields))
    check_answer(answer, 400, "upgrade_invalid", False)
    assert not origin.requests


@pytest.mark.parametrize("method, more", [("GET", "Content-Length: 2\r\n\r\nhi"), ("POST", "\r\n"), ("GET", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")])
def test_H21_with_a_body_or_another_method(gateway, origin, method, more):
    head = handshake().replace(b"GET", method.encode())[:-2]
    with gateway.connect() as client:
        client.send(head + (more.encode() if more != "\r\n" else b"\r\n"))
        check_answer(client.read_response(), 400, "upgrade_invalid", False)
    assert not origin.requests


@pytest.mark.parametrize("fields", [["Sec-WebSocket-Version: 8"], [], [VERSION, VERSION], ["Sec-WebSocket-Version: 13, 8"]])
def test_H21_another_version_is_426(gateway, origin, fields):
    answer = gateway.request(get("/x", "Connection: Upgrade", "Upgrade: websocket", KEY_FIELD, *fields))
    check_answer(answer, 426, "upgrade_version", False)
    assert answer.get("sec-websocket-version") == "13" and answer.get("upgrade") == "websocket"
    assert "upgrade" in ", ".join(answer.all("connection")).lower()
    assert not origin.requests


@pytest.mark.parametrize(
    "fields",
    [
        ["Upgrade: websocket"],
        ["Connection: close", "Upgrade: websocket"],
        ["Connection: Upgrade", "Upgrade: h2c"],
        ["Connection: Upgrade", "Upgrade: websocket, h2c"],
        ["Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"],
        ["Connection: Upgrade", "Upgrade: websocket/13"],
        ["Connection: Upgrade", "Upgrade: TLS/1.0"],
        ["Connection: Upgrade"],
    ],
)
@pytest.mark.parametrize("path", ["/x", "/nginx"])
def test_H20_everything_else_is_stripped(gateway, origin, fields, path):
    answer = gateway.request(get(path, VERSION, KEY_FIELD, *fields))
    assert answer.status == 200 and answer.get("upgrade") is None
    assert "upgrade" not in origin.last.names() and "upgrade" not in (origin.last.get("connection") or "").lower()


def test_H21_http_1_0_has_no_upgrade(gateway, origin):
    answer = gateway.request(handshake("/x").replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answer.status == 200 and "upgrade" not in origin.last.names()


def test_H21_where_it_is_forbidden_or_answered_here(gateway, origin):
    assert gateway.request(handshake("/never")).status == 200
    assert "upgrade" not in origin.last.names()
    assert gateway.request(handshake("/text")).body == b"text\n"
    check_answer(gateway.request(handshake("/framed")), 502, "upstream_unavailable", False)


def test_token_policy_holds_for_the_handshake(gateway, origin, rsa_key):
    origin.serve(speaking(echo))
    check_answer(gateway.request(handshake("/closed")), 401, "token_missing", False)
    poor = rsa_key.token(permissions=["write:data"])
    check_answer(gateway.request(handshake("/closed", bearer(poor))), 403, "insufficient_scope", False)
    # Who may not come in learns nothing of what is wrong with the handshake.
    bad = get("/closed", "Connection: Upgrade", "Upgrade: websocket")
    check_answer(gateway.request(bad), 401, "token_missing", False)
    assert not origin.requests
    with connect(gateway, "/closed", bearer(rsa_key.token(sub="anna", permissions=["read:data"]))) as client:
        client.send_frame(TEXT, b"hello")
        assert client.read_frame().payload == b"hello"
    assert origin.last.get("x-auth-subject") == "anna" and origin.last.get("authorization") is None
    line = gateway.wait_for_log_line(lambda line: line["path"] == "/closed" and line["status"] == 101)
    assert (line["auth_subject"], line["auth_result"]) == ("anna", "ok")


def test_A14_a_cookie_opens_no_websocket_for_a_foreign_page(gateway, origin, rsa_key):
    cookie = f"Cookie: session={rsa_key.token()}"
    check_answer(gateway.request(handshake("/baked", cookie, "Origin: https://evil.example")), 403, "origin_denied", False)
    origin.serve(speaking(echo))
    connect(gateway, "/baked", cookie, "Origin: http://localhost").close()


# -- who may agree


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n",
        f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n",
        f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n"
        f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n",
    ],
)
def test_U04_an_agreement_to_something_else(gateway, origin, answer):
    def script(connection):
        connection.read_request()
        connection.send(answer.encode() + b"secret")
        connection.wait_for_end()
        raise Ended

    origin.serve(script)
    with gateway.connect() as client:
        client.send(handshake("/x"))
        got = client.read_response()
        check_answer(got, 502, "upstream_invalid", False)
        assert b"secret" not in got.body
        # The connection is one of HTTP still.
        origin.serve(origin.default)
        assert client.request(get("/x")).status == 200


def test_U04_nobody_asked(gateway, origin):
    def script(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n".encode())
        raise Ended

    origin.serve(script)
    for head in (get("/x"), handshake("/never"), get("/x", "Upgrade: websocket", KEY_FIELD, VERSION)):
        check_answer(gateway.request(head), 502, "upstream_invalid", False)


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "404 Not Found", "302 Found"])
def test_H21_an_answer_that_does_not_agree_is_one_like_any_other(gateway, origin, status):
    """What the client sends behind its handshake is its next request, judged by itself, and never a tunnel's."""

    def script(connection):
        request = connection.read_request()
        if request.get("upgrade"):
            connection.send(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno".encode())
        else:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")

    origin.serve(script)
    with gateway.connect() as client:
        client.send(handshake("/x") + get("/closed") + get("/x/second"))
        answer = client.read_response()
        assert answer.status == int(status[:3]) and answer.body == b"no"
        check_answer(client.read_response(), 401, "token_missing", False)
        assert client.read_response().body == b"next"
    assert [request.target for request in origin.requests] == ["/x", "/x/second"]
    assert b"/closed" not in origin.received


def test_H21_early_frames_wait_for_the_agreement(gateway, origin):
    """A client may not send before the answer (RFC 6455 section 4.1); what it sends all the same goes nowhere else."""
    seen = []

    def script(connection):
        request = connection.read_request()
        time.sleep(0.2)
        seen.append(connection.kept)
        connection.send(agreement(request))
        seen.append(read_frame(connection.read_exactly))
        raise Ended

    origin.serve(script)
    with Socket(gateway.port) as client:
        client.send(handshake("/x") + frame(TEXT, b"early", masked=True))
        assert client.read_head().status == 101
        client.expect_close()
    assert seen[0] == b"" and seen[1].payload == b"early"


def test_an_interim_answer_before_the_agreement(gateway, origin):
    def script(connection):
        request = connection.read_request()
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + agreement(request) + frame(TEXT, b"first"))
        connection.wait_for_end()
        raise Ended

    origin.serve(script)
    with Socket(gateway.port) as client:
        client.send(handshake("/x"))
        assert client.read_head().status == 103 and client.read_head().status == 101
        assert client.read_frame().payload == b"first"


def test_a_stale_connection_is_asked_once_more(gateway, origin):
    assert gateway.request(get("/x")).status == 200
    origin.close_connections()
    wait_until(lambda: origin.open_connections == 0)
    origin.serve(speaking(echo))
    with connect(gateway) as client:
        client.send_frame(PING, b"p")
        assert client.read_frame().opcode == PING


# -- what goes through


def test_R12_frames_pass_as_they_are(gateway, origin):
    """Every header, cut at every byte, in both directions; reserved bits and opcodes are between the two ends."""
    origin.serve(speaking(echo))
    with connect(gateway) as client:
        for size in (0, 1, 125, 126, 127, 65_535, 65_536):
            payload = random.Random(size).randbytes(size)
            data = frame(BINARY, payload, masked=True)
            if size <= 127:
                client.send_in_pieces(data, 1, 0.0002)
            else:
                client.send(data[:9])
                client.send(data[9:])
            got = client.read_frame()
            assert got.payload == payload and not got.masked
        client.send(frame(TEXT, b"one", masked=True, final=False) + frame(PING, b"p", masked=True) + frame(0, b"two", masked=True))
        assert [client.read_frame().payload for _ in range(3)] == [b"one", b"p", b"two"]
        client.send(bytes([0xF7, 0x80]) + bytes(4))
        assert client.read_frame().opcode == 7
        client.send_frame(CLOSE, b"\x03\xe8bye")
        got = client.read_frame()
        assert (got.code, got.reason) == (1000, "bye")
        client.expect_close()


def test_R12_bytes_are_counted_and_logged_at_the_end(gateway, origin):
    origin.serve(speaking(echo))
    before = gateway.metrics().sum("gateway_upgrades_total")
    with connect(gateway, "/counted") as client:
        client.send_frame(BINARY, bytes(5000))
        client.read_frame()
        time.sleep(0.3)
        assert not [line for line in gateway.access_log() if line["path"] == "/counted"]
        client.send_frame(CLOSE, b"\x03\xe8")
        client.read_frame()
    line = gateway.wait_for_log_line(lambda line: line["path"] == "/counted")
    assert line["status"] == 101 and line["request_time"] >= 0.3 and line["auth_reason"] == "-"
    assert line["body_bytes_sent"] == len(frame(BINARY, bytes(5000))) + len(frame(CLOSE, b"\x03\xe8"))
    assert line["request_length"] > 5000 + 8 and line["method"] == "GET"
    assert gateway.metrics().sum("gateway_upgrades_total") == before + 1


@pytest.mark.parametrize("direction", ["up", "down"])
def test_R12_a_receiver_that_is_slow_holds_the_sender(gateway, origin, direction):
    """64 MiB in one frame towards somebody who does not read: the gateway takes a few socket buffers and no more."""
    size, going, done = 64 << 20, threading.Event(), threading.Event()
    resident = gateway.resident_bytes()

    def serve(server):
        if direction == "down":
            server.send(header(BINARY, size) + bytes(size))
            done.set()
            server.connection.wait_for_end()
        else:
            assert going.wait(20)
            assert len(server.read().payload) == size
            server.send(frame(TEXT, b"all"))

    origin.serve(speaking(serve))
    origin.records = False
    with connect(gateway) as client:
        if direction == "down":
            time.sleep(1)
            assert not done.is_set() and gateway.resident_bytes() < resident + (16 << 20)
            left = len(header(BINARY, size)) + size - len(client.kept)
            client.kept = b""
            client.socket.settimeout(20)
            while left:
                left -= len(client.socket.recv(min(left, 1 << 20)))
            assert done.wait(5)
        else:
            sender = threading.Thread(
                target=client.socket.sendall, args=(header(BINARY, size, masked=True) + bytes(4 + size),), daemon=True
            )
            client.socket.settimeout(30)
            sender.start()
            sender.join(1)
            assert sender.is_alive() and gateway.resident_bytes() < resident + (16 << 20)
            going.set()
            sender.join(20)
            assert not sender.is_alive() and client.read_frame(20).payload == b"all"


@pytest.mark.parametrize("seed", range(3))
def test_every_byte_arrives_in_its_order(gateway, origin, seed):
    """Both ends send at once, in pieces of all sizes, and each ends when it likes."""
    choose = random.Random(seed)
    count = 10
    up = [choose.randbytes(choose.choice([0, 1, 1000, 300_000, 3_000_000])) for _ in range(count)]
    down = [choose.randbytes(choose.choice([0, 1, 1000, 300_000, 3_000_000])) for _ in range(count)]
    at_origin, at_client = {}, {}

    def send(sock, data: bytes, seed: int) -> None:
        choose, at = random.Random(seed), 0
        while at < len(data):
            size = choose.choice([1, 10, 1000, 16_384, 100_000, 1_000_000])
            sock.sendall(data[at : at + size])
            at += size
            if choose.random() < 0.1:
                time.sleep(0.01)
        sock.shutdown(socket.SHUT_WR)

    def receive(sock, data: bytes) -> bytes:
        parts = [data]
        while part := sock.recv(262_144):
            parts.append(part)
        return b"".join(parts)

    def serve(server):
        number = int(server.request.get("x-number"))
        sock = server.connection.socket
        sender = threading.Thread(target=send, args=(sock, down[number], seed + number), daemon=True)
        sender.start()
        at_origin[number] = receive(sock, server.connection.kept)
        sender.join()

    def talk(number: int) -> None:
        with Socket(gateway.port) as client:
            client.open("/x", f"X-Number: {number}")
            client.socket.settimeout(20)
            sender = threading.Thread(target=send, args=(client.socket, up[number], seed - number), daemon=True)
            sender.start()
            at_client[number] = receive(client.socket, client.kept)
            sender.join()

    origin.serve(speaking(serve))
    threads = [threading.Thread(target=talk, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    wait_until(lambda: len(at_origin) == count)
    for number in range(count):
        assert at_origin[number] == up[number] and at_client[number] == down[number], f"{number}, seed {seed}"
    wait_until(lambda: gateway.metrics().sum("gateway_upgrades_active") == 0)


def test_half_close_of_the_client(gateway, origin):
    """What the upstream still has to say after the client ended its side arrives."""
    parts = []

    def serve(server):
        for got in server.frames():
            parts.append(got.payload)
        server.send(frame(TEXT, b"got %d" % len(parts)))
        time.sleep(0.1)
        server.send(frame(BINARY, bytes(300_000)))

    origin.serve(speaking(serve))
    with connect(gateway) as client:
        client.send_frame(TEXT, b"a")
        client.send_frame(TEXT, bytes(200_000))
        client.end()
        assert client.read_frame().payload == b"got 2"
        assert len(client.read_frame().payload) == 300_000
        client.expect_close()


def test_half_close_of_the_upstream(gateway, origin):
    """And what the client still has to say after the upstream did."""
    parts, over = [], threading.Event()

    def serve(server):
        server.send(frame(TEXT, b"bye"))
        server.connection.socket.shutdown(socket.SHUT_WR)
        for got in server.frames():
            parts.append(got.payload)
        over.set()

    origin.serve(speaking(serve))
    with connect(gateway, "/half") as client:
        assert client.read_frame().payload == b"bye"
        client.expect_close()
        client.send_frame(TEXT, b"late")
        client.send_frame(BINARY, bytes(500_000))
        client.end()
        assert over.wait(5) and [len(part) for part in parts] == [4, 500_000]
    assert gateway.wait_for_log_line(lambda line: line["path"] == "/half")["status"] == 101


def test_an_upstream_that_dies(gateway, origin):
    """What it said before arrives; the end is told by the log."""

    def serve(server):
        server.send(frame(TEXT, b"last"))
        time.sleep(0.1)
        server.connection.reset()

    origin.serve(speaking(serve))
    with connect(gateway, "/dies") as client:
        assert client.read_frame().payload == b"last"
        client.expect_close()
    assert gateway.wait_for_log_line(lambda line: line["path"] == "/dies")["auth_reason"] == "upstream_closed"


def test_a_client_that_dies(gateway, origin):
    ended = threading.Event()

    def serve(server):
        try:
            server.read()
        except Ended:
            ended.set()

    origin.serve(speaking(serve))
    client = connect(gateway)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    client.close()
    assert ended.wait(5)
    wait_until(lambda: gateway.metrics().sum("gateway_upgrades_active") == 0)


# -- time


def test_R12_idle_ends_it_with_a_close_frame(gateway, origin):
    frames = []

    def serve(server):
        for got in server.frames():
            frames.append(got)

    origin.serve(speaking(serve))
    with connect(gateway, "/idle") as client:
        started = time.monotonic()
        # Bytes of either side keep it.
        for _ in range(3):
            time.sleep(0.6)
            client.send_frame(PING)
        got = client.read_frame()
        assert (got.code, got.reason, got.masked) == (1001, "idle", False)
        assert 2.7 < time.monotonic() - started < 4.5
        client.expect_close()
    wait_until(lambda: frames and frames[-1].opcode == CLOSE)
    assert frames[-1].masked and frames[-1].code == 1001
    assert gateway.wait_for_log_line(lambda line: line["path"] == "/idle")["auth_reason"] == "upstream_timeout"


def test_R03_a_client_that_takes_nothing(gateway, origin):
    def serve(server):
        server.send(header(BINARY, 1 << 30))
        while True:
            server.send(bytes(1 << 20))

    origin.serve(speaking(serve))
    origin.records = False
    with connect(gateway, "/stuck"):
        line = gateway.wait_for_log_line(lambda line: line["path"] == "/stuck", within=8)
        assert 1.9 < line["request_time"] < 6
    wait_until(lambda: origin.open_connections == 0)


def test_R02_a_quiet_client_is_no_slow_body(gateway, origin):
    origin.serve(speaking(echo))
    with connect(gateway) as client:
        client.send_frame(TEXT, b"x")
        client.read_frame()
        client.expect_quiet(2.5)
        client.send_frame(BINARY, bytes(3000))
        assert len(client.read_frame().payload) == 3000, "client_max_body_size is of bodies"


# -- the end of the gateway


def test_a_stop_waits_and_then_says_goodbye(start, origin, values):
    gateway = start(CONFIGURATION, **values)
    frames = []

    def serve(server):
        for got in server.frames():
            frames.append(got)
            server.send(frame(TEXT, got.payload))

    origin.serve(speaking(serve))
    quiet, busy = connect(gateway), connect(gateway)
    gateway.send_signal(signal.SIGTERM)
    wait_until(lambda: not accepts(gateway.port), what="nobody new is let in")
    busy.send_frame(TEXT, b"still here")
    assert busy.read_frame().payload == b"still here"
    for client in (quiet, busy):
        got = client.read_frame()
        assert (got.opcode, got.code, got.reason) == (CLOSE, 1001, "restart")
        client.expect_close()
    assert gateway.stop(within=5) < 3
    assert [got.code for got in frames if got.opcode == CLOSE] == [1001, 1001]


def test_a_reload_leaves_them_alone_until_its_time(start, origin, values):
    gateway = start(CONFIGURATION, **values)
    origin.serve(speaking(echo))
    clients = [connect(gateway) for _ in range(20)]
    gateway.configure(CONFIGURATION.replace("return 200", "return 201"))
    gateway.send_signal(signal.SIGHUP)
    wait_until(lambda: gateway.request(get("/text")).status == 201)
    for client in clients:
        client.send_frame(TEXT, b"x")
        assert client.read_frame().payload == b"x"
    for client in clients:
        assert client.read_frame().reason == "restart"


def test_a_goodbye_stands_between_two_frames(start, origin, values):
    """One is halfway through to the client when its time has come: it is finished first."""
    gateway = start(CONFIGURATION, **values)
    going = threading.Event()

    def serve(server):
        server.send(header(BINARY, 1000) + bytes(400))
        assert going.wait(10)
        server.send(bytes(600) + frame(TEXT, b"too late"))
        server.connection.wait_for_end()

    origin.serve(speaking(serve))
    with connect(gateway) as client:
        gateway.configure(CONFIGURATION.replace("return 200", "return 201"))
        gateway.send_signal(signal.SIGHUP)
        time.sleep(3.5)
        going.set()
        assert len(client.read_frame().payload) == 1000
        assert client.read_frame().code == 1001
        client.expect_close()
