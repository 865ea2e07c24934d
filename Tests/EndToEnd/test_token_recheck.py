"""`token_recheck`: what lasts ends when its token does, or when a new request with it would be refused."""

import io
import json
import random
import signal
import threading
import time
from concurrent import futures

import grpc
import pytest

from harness.frames import BINARY, CLOSE, PING, TEXT, Frame, Socket, echo, frame, header, read_frame, speaking
from harness.origin import Ended
from harness.raw import TruncatedAnswer, get
from harness.refusals import check_invalid_token
from harness.revocations import entry, revoke
from harness.services import Service
from harness.streams import CANCEL, Session, request
from harness.tokens import AUDIENCE, ISSUER, bearer, key_set
from harness.waiting import wait_until

CONFIGURATION = f"""
worker_processes 1;
worker_shutdown_timeout 8s;
error_log stderr info;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
http2 on;
roles_file @roles@;
auth_provider main jwt {{
    issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; leeway 0s; cache 1000 ttl=1s;
}}
auth_provider opaque introspection {{ url @service@; client_id x; client_secret y; cache 1s; }}
revocation logouts {{ }}
upstream calls {{ server @calls@; }}
server {{
    listen 127.0.0.1:@port@;
    auth main;
    revocation logouts;
    token_recheck 1s;
    proxy_read_timeout 20s;
    location / {{ proxy_pass http://@origin@; }}
    location /often {{ token_recheck 24h; proxy_pass http://@origin@; }}
    location /never {{ token_recheck off; proxy_pass http://@origin@; }}
    location /report {{ auth_mode report; proxy_pass http://@origin@; }}
    location /role {{ require permission watch; proxy_pass http://@origin@; }}
    location /quiet {{ error_detail none; proxy_pass http://@origin@; }}
    location /opaque {{ auth opaque; proxy_pass http://@origin@; }}
    location /test.Calls/ {{ proxy_pass grpc://calls; }}
    location /text {{ return 200 "text\\n"; }}
}}
"""


class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
        }.get(details.method.rsplit("/", 1)[1])

    def count(self, message, context):
        while context.is_active():
            yield b"tick"
            time.sleep(0.1)

    def wait(self, message, context):
        while context.is_active():
            time.sleep(0.1)
        return b""


@pytest.fixture(scope="module")
def calls():
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Calls(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture(scope="module")
def service():
    service = Service()
    yield service
    service.close()


@pytest.fixture
def begin(start, rsa_key, calls, service, tmp_path):
    """A gateway of its own, whose files may change."""

    keys, roles = tmp_path / "keys.json", tmp_path / "roles.json"
    keys.write_text(json.dumps(key_set(rsa_key)))
    roles.write_text(json.dumps({"roles": {"watcher": ["watch"]}}))
    return lambda: start(CONFIGURATION, keys=keys, roles=roles, calls=calls, service=service.url)


def connect(gateway, path, token) -> Socket:
    client = Socket(gateway.port)
    client.open(path, bearer(token))
    return client


def lasting(key, seconds: float, **claims) -> tuple[str, int]:
    """A token, and when it ends."""
    end = int(time.time() + seconds) + 1
    return key.token(exp=end, **claims), end


def keeping(frames: list):
    """A server that keeps what comes."""

    def serve(server):
        for got in server.frames():
            frames.append(got)

    return speaking(serve)


# -- WebSocket


@pytest.mark.parametrize("path", ["/x", "/often"])
def test_a_websocket_ends_when_its_token_expires(begin, origin, rsa_key, path):
    gateway, frames = begin(), []
    origin.serve(keeping(frames))
    token, end = lasting(rsa_key, 2, sub="anna")
    with connect(gateway, path, token) as client:
        got = client.read_frame()
        assert end - 0.1 <= time.time() < end + 1.5, "in time, whatever the interval"
        assert (got.opcode, got.code, got.reason, got.masked) == (CLOSE, 4401, "token_expired", False)
        client.expect_close()
    wait_until(lambda: frames and frames[-1].opcode == CLOSE)
    assert frames[-1].masked and (frames[-1].code, frames[-1].reason) == (4401, "token_expired")
    line = gateway.wait_for_log_line(lambda line: line["path"] == path)
    assert (line["status"], line["auth_reason"], line["auth_result"]) == (101, "token_expired", "refused")
    assert line["auth_subject"] == "anna"
    metrics = gateway.metrics()
    assert metrics.sum("gateway_token_recheck_ends_total") == 1 and metrics.sum("gateway_token_rechecks_total") >= 1
    assert metrics.sum("gateway_rejected_total", reason="token_expired") == 1
    assert metrics.sum("gateway_upgrades_active") == 0


def test_it_stays_as_long_as_its_token(begin, origin, rsa_key):
    """Longer than its verdict is kept: it is found anew, once a second."""
    gateway = begin()
    origin.serve(speaking(echo))
    clients = [connect(gateway, "/x", rsa_key.token(jti=str(n))) for n in range(5)]
    time.sleep(3.5)
    for client in clients:
        client.send_frame(TEXT, b"x")
        assert client.read_frame().payload == b"x"
    assert 10 <= gateway.metrics().sum("gateway_token_rechecks_total") <= 25
    assert gateway.metrics().sum("gateway_token_recheck_ends_total") == 0


@pytest.mark.parametrize("path", ["/never", "/report"])
def test_it_is_left_alone(begin, origin, rsa_key, path):
    gateway = begin()
    origin.serve(speaking(echo))
    token, end = lasting(rsa_key, 1)
    with connect(gateway, path, token) as client:
        time.sleep(max(0, end - time.time()) + 1.5)
        client.send_frame(TEXT, b"x")
        assert client.read_frame().payload == b"x"
        client.send_frame(CLOSE)
        client.read_frame()
    if path == "/report":
        assert gateway.metrics().sum("gateway_would_deny_total", reason="token_expired") == 1
        assert gateway.wait_for_log_line(lambda line: line["path"] == path)["auth_result"] == "would_deny"


@pytest.mark.parametrize("what", [("jti", "one"), ("sub", "anna"), ("kid", "rsa-1")])
def test_J71_it_ends_when_its_token_is_revoked(begin, origin, rsa_key, what):
    gateway = begin()
    origin.serve(speaking(echo))
    with connect(gateway, "/x", rsa_key.token(jti="one", sub="anna")) as client:
        time.sleep(0.3)
        before = {"before": int(time.time()) + 60} if what[0] == "sub" else {}
        assert revoke(gateway, entry(*what, **before)).status == 200
        revoked = time.monotonic()
        got = client.read_frame()
        assert (got.code, got.reason) == (4401, "token_revoked")
        assert time.monotonic() - revoked < 2
        client.expect_close()


def test_it_ends_when_its_key_is_withdrawn(begin, origin, rsa_key, ed_key):
    gateway = begin()
    origin.serve(speaking(echo))
    with connect(gateway, "/x", rsa_key.token()) as client:
        gateway.values["keys"].write_text(json.dumps(key_set(ed_key)))
        got = client.read_frame()
        assert (got.code, got.reason) == (4401, "key_unknown")


@pytest.mark.parametrize("reloads", [False, True])
def test_it_ends_when_its_role_loses_what_it_needs(begin, origin, rsa_key, reloads):
    """Under an older configuration, too."""
    gateway = begin()
    origin.serve(speaking(echo))
    with connect(gateway, "/role", rsa_key.token(roles=["watcher"], permissions=[])) as client:
        if reloads:
            gateway.configure(CONFIGURATION.replace("return 200", "return 201"))
            gateway.send_signal(signal.SIGHUP)
            wait_until(lambda: gateway.request(get("/text", bearer(rsa_key.token()))).status == 201)
        time.sleep(1.5)
        gateway.values["roles"].write_text(json.dumps({"roles": {"watcher": ["other"]}}))
        got = client.read_frame()
        assert (got.code, got.reason) == (4401, "insufficient_scope")
    assert gateway.wait_for_log_line(lambda line: line["path"] == "/role")["auth_result"] == "denied"


def test_it_ends_when_a_service_says_so(begin, origin, service):
    gateway = begin()
    origin.serve(speaking(echo))
    service.mode = "ok"
    service.answers = {"secret": {"active": True, "sub": "anna", "exp": int(time.time()) + 600}}
    with connect(gateway, "/opaque", "secret") as client:
        wait_until(lambda: len(service.questions) >= 2, what="it is asked again")
        client.send_frame(TEXT, b"x")
        assert client.read_frame().payload == b"x"
        service.answers = {}
        assert (client.read_frame().code, client.kept) == (4401, b"")
    service.answers = {"secret": {"active": True, "sub": "anna", "exp": int(time.time()) + 600}}
    time.sleep(5.5)
    with connect(gateway, "/opaque", "secret") as client:
        service.mode = "fail"
        got = client.read_frame(8)
        assert (got.code, got.reason) == (1013, "introspection_unavailable")


def test_a_client_is_told_no_more_than_it_may_know(begin, origin, rsa_key):
    gateway = begin()
    origin.serve(speaking(echo))
    with connect(gateway, "/quiet", lasting(rsa_key, 1)[0]) as client:
        got = client.read_frame()
        assert (got.code, got.reason) == (4401, "")


def test_the_close_frame_stands_between_two_frames(begin, origin, rsa_key):
    """And nothing of the next one gets through, in either direction."""
    gateway, frames, going = begin(), [], threading.Event()

    def serve(server):
        server.send(frame(BINARY, bytes(10)) + header(BINARY, 70_000)[:5])
        assert going.wait(10)
        server.send(header(BINARY, 70_000)[5:] + bytes(70_000) + frame(TEXT, b"too late"))
        for got in server.frames():
            frames.append(got)

    origin.serve(speaking(serve))
    token, end = lasting(rsa_key, 1)
    with connect(gateway, "/x", token) as client:
        client.send_frame(TEXT, b"in time")
        assert len(client.read_frame().payload) == 10
        time.sleep(max(0, end - time.time()) + 1.5)
        client.send_frame(TEXT, b"too late")
        going.set()
        assert len(client.read_frame().payload) == 70_000
        assert client.read_frame().code == 4401
        client.expect_close()
    wait_until(lambda: len(frames) == 2)
    assert [got.opcode for got in frames] == [TEXT, CLOSE] and frames[0].payload == b"in time"


def test_no_close_frame_in_the_midst_of_the_clients_frame(begin, origin, rsa_key):
    """The upstream's connection ends without one then."""
    gateway, ended = begin(), []

    def serve(server):
        try:
            server.read()
        except Ended:
            ended.append(server.connection.kept)

    origin.serve(speaking(serve))
    with connect(gateway, "/x", lasting(rsa_key, 1)[0]) as client:
        half = header(BINARY, 100, masked=True) + bytes(4) + b"z" * 50
        client.send(half)
        assert client.read_frame().code == 4401
        client.expect_close()
    wait_until(lambda: ended)
    assert ended[0] == b"z" * 50 or ended[0].endswith(b"z" * 50)


def test_a_frame_without_end_is_not_waited_for(begin, origin, rsa_key):
    gateway, ended = begin(), threading.Event()

    def serve(server):
        server.send(header(BINARY, 1 << 40))
        try:
            while True:
                server.send(bytes(1000))
                time.sleep(0.05)
        except Ended:
            ended.set()

    origin.serve(speaking(serve))
    token, end = lasting(rsa_key, 1)
    with connect(gateway, "/x", token) as client:
        client.expect_cut(10)
        assert end + 4 < time.time() < end + 7
    assert ended.wait(5)


def test_nothing_follows_a_close_frame(begin, origin, rsa_key):
    """The two ends have said goodbye to each other already."""
    gateway, frames = begin(), []

    def serve(server):
        server.send(frame(CLOSE, b"\x03\xe8"))
        for got in server.frames():
            frames.append(got)

    origin.serve(speaking(serve))
    with connect(gateway, "/x", lasting(rsa_key, 1)[0]) as client:
        client.send_frame(CLOSE, b"\x03\xe8")
        assert client.read_frame().code == 1000
        client.expect_close(5)
    assert [got.code for got in frames] == [1000]


def parse(data: bytes) -> tuple[list[int], bytes, Frame | None]:
    """Opcodes of whole frames, what is left of one that was cut, and the last frame if it closes."""
    found, at = [], 0
    while len(data) - at >= 2:
        size, masked = data[at + 1] & 127, data[at + 1] >> 7
        extended = {126: 2, 127: 8}.get(size, 0)
        if extended:
            size = int.from_bytes(data[at + 2 : at + 2 + extended], "big")
        end = at + 2 + extended + 4 * masked + size
        if end > len(data) or len(data) - at < 2 + extended:
            break
        found.append(data[at] & 15)
        if found[-1] == CLOSE and end == len(data):
            reader = io.BytesIO(data[at:])
            return found, b"", read_frame(reader.read)
        at = end
    return found, data[at:], None


def test_whatever_passes_the_goodbye_stands_between_two_frames(begin, origin, rsa_key):
    """Both ends send frames of all sizes in pieces of all sizes; all tokens are revoked in the midst of it."""
    gateway, got = begin(), {}

    def talk(send, seed: int, masked: bool) -> None:
        choose = random.Random(seed)
        kept = b""
        try:
            while True:
                size = choose.choice([0, 1, 100, 125, 126, 1000, 70_000])
                kept += header(choose.choice([TEXT, BINARY, PING]), size, masked=masked) + bytes(size + 4 * masked)
                while len(kept) > 100_000 or kept and choose.random() < 0.7:
                    count = choose.choice([1, 2, 3, 7, 100, 5000, 90_000])
                    send(kept[:count])
                    kept = kept[count:]
        except (Ended, OSError):
            pass

    def serve(server):
        number = int(server.request.get("x-number"))
        sender = threading.Thread(target=talk, args=(server.send, number, False), daemon=True)
        sender.start()
        server.connection.wait_for_end()
        got[number] = server.connection.number

    origin.serve(speaking(serve))
    clients = [Socket(gateway.port) for _ in range(4)]
    heard = {}

    def listen(number: int, client: Socket) -> None:
        data, client.kept = client.kept, b""
        client.socket.settimeout(20)
        try:
            while part := client.socket.recv(262_144):
                data += part
        except ConnectionResetError:
            pass
        heard[number] = data

    threads = []
    for number, client in enumerate(clients):
        client.open("/x", bearer(rsa_key.token(sub="anna", jti=str(number))), f"X-Number: {number}")
        client.socket.settimeout(20)
        threads.append(threading.Thread(target=talk, args=(client.socket.sendall, 100 + number, True), daemon=True))
        threads.append(threading.Thread(target=listen, args=(number, client), daemon=True))
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    assert revoke(gateway, entry("sub", "anna", before=int(time.time()) + 60)).status == 200
    wait_until(lambda: len(heard) == len(clients) and len(got) == len(clients), 20, what="all of them end")
    for number in range(len(clients)):
        opcodes, rest, last = parse(heard[number])
        assert rest == b"" and len(opcodes) > 5 and last, f"{number}: {rest[:20]!r}"
        assert (last.code, last.reason) == (4401, "token_revoked") and opcodes.count(CLOSE) == 1
        data = origin.bytes_of(got[number])
        opcodes, rest, last = parse(data[data.index(b"\r\n\r\n") + 4 :])
        if last:
            assert (last.code, last.masked) == (4401, True) and opcodes.count(CLOSE) == 1
        else:
            assert rest and CLOSE not in opcodes


# -- answers that last


def events(connection, framing=b"Transfer-Encoding: chunked\r\n"):
    """Server-sent events, ten a second."""
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing + b"\r\n")
    while True:
        event = b"data: tick\n\n"
        connection.send(b"%x\r\n%s\r\n" % (len(event), event) if b"chunked" in framing else event)
        time.sleep(0.1)


def test_events_end_with_the_connection(begin, origin, rsa_key):
    gateway = begin()
    origin.serve(events)
    token, end = lasting(rsa_key, 2, sub="anna")
    with gateway.connect() as client:
        client.send(get("/events", bearer(token)))
        with pytest.raises(TruncatedAnswer):
            client.read_response(within=10)
        assert end - 0.1 <= time.time() < end + 1.5
    wait_until(lambda: origin.open_connections == 0)
    line = gateway.wait_for_log_line(lambda line: line["path"] == "/events")
    assert (line["status"], line["auth_reason"], line["auth_subject"]) == (200, "token_expired", "anna")
    assert line["body_bytes_sent"] >= 12 * 15


def test_an_answer_that_the_end_would_make_whole_is_reset(begin, origin, rsa_key):
    gateway = begin()
    origin.serve(lambda connection: events(connection, b""))
    token, _ = lasting(rsa_key, 2)
    with gateway.connect() as client:
        client.send(get("/events", bearer(token)).replace(b"HTTP/1.1", b"HTTP/1.0"))
        with pytest.raises(ConnectionResetError):
            client.read_response(within=10)


def test_events_on_a_stream_end_with_the_stream(begin, origin, rsa_key):
    gateway = begin()
    origin.serve(events)
    token, end = lasting(rsa_key, 2)
    with Session(gateway.port) as session:
        stream = session.begin(request("/events", ("authorization", f"Bearer {token}")))
        got = session.wait_for(stream, 10)
        assert (got.status, got.ended, got.code) == (200, False, CANCEL) and b"tick" in got.body
        assert end - 0.1 <= time.time() < end + 1.5
        # The connection is as good as before.
        origin.serve(origin.default)
        assert session.request(request("/x", ("authorization", f"Bearer {rsa_key.token()}"))).status == 200


def test_a_long_poll_gets_a_refusal(begin, origin, rsa_key):
    """Nothing of an answer is out: it can be one like any other."""
    gateway = begin()
    origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
    token, end = lasting(rsa_key, 2)
    with gateway.connect() as client:
        check_invalid_token(client.request(get("/poll", bearer(token)), 10), "token_expired")
        assert end - 0.1 <= time.time() < end + 1.5
        origin.serve(origin.default)
        assert client.request(get("/x", bearer(rsa_key.token()))).status == 200
    with Session(gateway.port) as session:
        origin.serve(lambda connection: (connection.read_request(), connection.wait_for_end()))
        token, end = lasting(rsa_key, 1)
        got = session.request(request("/poll", ("authorization", f"Bearer {token}")), within=10)
        assert (got.status, got.get("gateway-error")) == (401, "token_expired")


def test_an_upload_that_lasts_gets_a_refusal(begin, origin, rsa_key):
    gateway = begin()
    token, end = lasting(rsa_key, 2)
    with gateway.connect() as client:
        client.send(get("/x", bearer(token), "Content-Length: 100000", method="POST"))
        for _ in range(80):
            client.send(bytes(100))
            time.sleep(0.05)
            client.socket.setblocking(False)
            try:
                client.kept += client.socket.recv(65_536)
                break
            except BlockingIOError:
                continue
        check_invalid_token(client.read_response(), "token_expired", closed=True)
        assert end - 0.1 <= time.time() < end + 1.5


@pytest.mark.parametrize("method", ["Count", "Wait"])
def test_a_call_of_grpc_ends_as_unauthenticated(begin, rsa_key, method):
    gateway = begin()
    token, end = lasting(rsa_key, 2)
    metadata = (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        got = []
        with pytest.raises(grpc.RpcError) as caught:
            if method == "Count":
                for message in channel.unary_stream("/test.Calls/Count")(b"", metadata=metadata, timeout=10):
                    got.append(message)
            else:
                channel.unary_unary("/test.Calls/Wait")(b"", metadata=metadata, timeout=10)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, "token_expired")
        assert end - 0.1 <= time.time() < end + 1.5
        assert method == "Wait" or len(got) > 10
        # The channel is as good as before.
        fresh = channel.unary_stream("/test.Calls/Count")(
            b"", metadata=(("authorization", f"Bearer {rsa_key.token()}"),), timeout=10
        )
        assert next(fresh) == b"tick"
        fresh.cancel()


def test_short_requests_cost_nothing_more(begin, origin, rsa_key):
    gateway = begin()
    with gateway.connect() as client:
        for _ in range(200):
            assert client.request(get("/x", bearer(rsa_key.token(jti="same", exp=int(time.time()) + 60)))).status == 200
    assert gateway.metrics().sum("gateway_token_rechecks_total") == 0
