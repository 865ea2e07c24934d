"""Calls of gRPC through the gateway: from grpcio's client to grpcio's server, of all four kinds."""

import threading
import time
from concurrent import futures

import grpc
import pytest

from harness.streams import Session, request
from harness.tokens import AUDIENCE, ISSUER

CONFIGURATION = f"""
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
admin {{ listen 127.0.0.1:@admin_port@; }}
http2 on;
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
upstream calls {{ server @server@; }}
server {{
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth main;
    location /test.Open/ {{ auth off; proxy_pass grpc://calls; proxy_read_timeout 3s; client_max_body_size 0; }}
    location /test.Closed/ {{ proxy_pass grpc://calls; }}
    location /test.Few/ {{ require permission write:data; proxy_pass grpc://calls; }}
    location /test.Dead/ {{ auth off; proxy_pass grpc://127.0.0.1:1; }}
    location /plain {{ auth off; proxy_pass grpc://calls; }}
}}
"""


class Handlers(grpc.GenericRpcHandler):
    """Every service has the same methods; messages are plain bytes."""

    def __init__(self):
        self.seen: list[grpc.HandlerCallDetails] = []
        self.began, self.cancelled = threading.Event(), threading.Event()

    def service(self, details):
        self.seen.append(details)
        name = details.method.rsplit("/", 1)[1]
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "Collect": grpc.stream_unary_rpc_method_handler(lambda messages, context: b"+".join(messages)),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }.get(name)

    def unary(self, message, context):
        context.send_initial_metadata((("x-begin", "1"),))
        context.set_trailing_metadata((("x-end", "2"), ("x-bin", b"\0\1\2")))
        return message[::-1]

    def fail(self, message, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "nothing of that name: é")

    def slow(self, message, context):
        # No callback is taken for a call that is over already.
        if not context.add_callback(self.cancelled.set):
            self.cancelled.set()
        self.began.set()
        time.sleep(float(message))
        return b"late"

    def count(self, message, context):
        for n in range(int(message)):
            yield b"%d" % n

    def chat(self, messages, context):
        for message in messages:
            yield b"re: " + message


@pytest.fixture(scope="module")
def handlers():
    return Handlers()


@pytest.fixture(scope="module")
def values(localhost, key_file, handlers):
    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield localhost | {"keys": key_file, "server": f"127.0.0.1:{port}"}
    server.stop(None)


@pytest.fixture(params=["clear", "tls"])
def channel(request, gateway, authority):
    if request.param == "clear":
        channel = grpc.insecure_channel(f"127.0.0.1:{gateway.port}")
    else:
        with open(authority.file, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        options = [("grpc.ssl_target_name_override", "localhost")]
        channel = grpc.secure_channel(f"127.0.0.1:{gateway.tls_port}", credentials, options)
    with channel:
        yield channel


def status_of(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def test_unary_calls_with_their_metadata(channel, handlers):
    unary = channel.unary_unary("/test.Open/Unary")
    for message in (b"", b"hello", b"x" * 1_000_000):
        answer, call = unary.with_call(message, metadata=(("x-one", "1"),), timeout=10)
        assert answer == message[::-1]
        assert ("x-begin", "1") in call.initial_metadata()
        assert {("x-end", "2"), ("x-bin", b"\0\1\2")} <= set(call.trailing_metadata())
    sent = dict(handlers.seen[-1].invocation_metadata)
    assert sent["x-one"] == "1" and sent["x-forwarded-for"] == "127.0.0.1"


def test_streams_of_all_kinds(channel):
    assert channel.stream_unary("/test.Open/Collect")(iter([b"a", b"b", b"c"]), timeout=10) == b"a+b+c"
    assert len(list(channel.unary_stream("/test.Open/Count")(b"3000", timeout=20))) == 3000

    # Each answer comes before the next message is sent.
    go, sent = threading.Semaphore(1), []

    def messages():
        for n in range(20):
            assert go.acquire(timeout=5)
            sent.append(n)
            yield b"%d" % n

    for n, answer in enumerate(channel.stream_stream("/test.Open/Chat")(messages(), timeout=20)):
        assert answer == b"re: %d" % n and len(sent) == n + 1
        go.release()
    assert n == 19


def test_many_calls_at_once(channel):
    unary = channel.unary_unary("/test.Open/Unary")
    calls = [unary.future(b"%d" % n, timeout=20) for n in range(60)]
    assert [call.result() for call in calls] == [(b"%d" % n)[::-1] for n in range(60)]


def test_calls_share_a_connection(gateway):
    """Of four kinds at once; each of the server's connections takes a hundred."""
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        name = "gateway_upstream_connects_total"
        assert channel.unary_unary("/test.Open/Unary")(b"ab", timeout=10) == b"ba"
        before = gateway.metrics().sum(name, upstream="grpc://calls")
        unary, count = channel.unary_unary("/test.Open/Unary"), channel.unary_stream("/test.Open/Count")
        chat = channel.stream_stream("/test.Open/Chat")
        calls = [unary.future(b"%d" % n, timeout=30) for n in range(100)]
        counts = [count(b"20", timeout=30) for _ in range(10)]
        chats = [chat(iter([b"a", b"b"]), timeout=30) for _ in range(10)]
        assert [call.result() for call in calls] == [(b"%d" % n)[::-1] for n in range(100)]
        assert all(list(answers) == [b"%d" % n for n in range(20)] for answers in counts)
        assert all(list(answers) == [b"re: a", b"re: b"] for answers in chats)
        assert gateway.metrics().sum(name, upstream="grpc://calls") <= before + 1


def test_an_error_keeps_its_status_and_its_words(channel):
    call = channel.unary_unary("/test.Open/Fail")
    assert status_of(lambda: call(b"", timeout=5)) == (grpc.StatusCode.NOT_FOUND, "nothing of that name: é")
    unknown = channel.unary_unary("/test.Open/Unknown")
    assert status_of(lambda: unknown(b"", timeout=5))[0] == grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline_reaches_the_server(channel, handlers):
    handlers.cancelled.clear()
    call = channel.unary_unary("/test.Open/Slow")
    assert status_of(lambda: call(b"2", timeout=0.3))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    assert handlers.cancelled.wait(3)


def test_a_call_that_is_cancelled_ends_at_the_server(channel, handlers):
    handlers.began.clear()
    handlers.cancelled.clear()
    call = channel.unary_unary("/test.Open/Slow").future(b"2")
    # A call that is cancelled before its message came never reaches a method.
    assert handlers.began.wait(3)
    call.cancel()
    assert handlers.cancelled.wait(1.5)


def test_refusals_are_told_in_the_words_of_gRPC(channel, handlers, rsa_key, gateway):
    seen = len(handlers.seen)
    closed, few = channel.unary_unary("/test.Closed/Unary"), channel.unary_unary("/test.Few/Unary")
    token = (("authorization", f"Bearer {rsa_key.token()}"),)
    assert status_of(lambda: closed(b"", timeout=5)) == (grpc.StatusCode.UNAUTHENTICATED, "token_missing")
    assert status_of(lambda: few(b"", timeout=5, metadata=token)) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "insufficient_scope",
    )
    dead = channel.unary_unary("/test.Dead/Unary")
    assert status_of(lambda: dead(b"", timeout=5))[0] == grpc.StatusCode.UNAVAILABLE
    assert status_of(lambda: channel.unary_unary("/test.Nowhere/Unary")(b"", timeout=5, metadata=token))[0] == (
        grpc.StatusCode.UNIMPLEMENTED
    )
    assert len(handlers.seen) == seen
    assert closed(b"abc", timeout=5, metadata=token) == b"cba"
    assert "authorization" not in dict(handlers.seen[-1].invocation_metadata)


def test_a_server_that_says_nothing(channel):
    call = channel.unary_unary("/test.Open/Slow")
    started = time.monotonic()
    code, words = status_of(lambda: call(b"6", timeout=10))
    assert (code, words) == (grpc.StatusCode.DEADLINE_EXCEEDED, "upstream_timeout")
    assert 2 < time.monotonic() - started < 5.5


def test_connections_to_the_server_are_used_again(gateway, channel):
    unary = channel.unary_unary("/test.Open/Unary")
    unary(b"x", timeout=5)
    before = gateway.metrics().sum("gateway_upstream_connects_total", upstream="grpc://calls")
    for _ in range(30):
        unary(b"x", timeout=5)
    after = gateway.metrics().sum("gateway_upstream_connects_total", upstream="grpc://calls")
    assert after - before <= 3


def test_what_is_no_call_gets_the_servers_answer(gateway):
    """The server wants `application/grpc`; what it says to others goes through, in both versions."""
    with Session(gateway.port) as session:
        got = session.request(request("/plain", ("content-type", "text/plain"), method="POST"), b"x")
        assert got.is_over
    with gateway.connect() as client:
        client.send(b"POST /plain HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx")
        assert client.read_response().status in (415, 502)
