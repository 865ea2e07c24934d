"""Fields behind bodies, in both directions and between both versions: which go on, which are dropped, and that none decides."""

import signal
import time

import grpc
import pytest

from harness.origin import Connection, Ended
from harness.raw import Client, chunked, get, post
from harness.streams import PROTOCOL_ERROR, Session, request
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr info;
http2 on;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth off;
    proxy_set_header X-User "";
    location / { proxy_pass http://@origin@; identity_headers { X-Whoever $auth_subject; } }
    location /framed/ { proxy_pass grpc://@framed@; identity_headers { X-Whoever $auth_subject; } }
    location /small/ { proxy_pass http://@origin@; client_max_body_size 3; }
}
"""

FORBIDDEN = [
    "content-length", "host", "authorization", "cookie", "x-auth-subject", "x-whoever", "x-user", "x-forwarded-for",
    "x-request-id", "content-type", "te", "trailer", "x_whoever", "range", "expect", "x-api-key",
]  # fmt: skip


@pytest.fixture(scope="module")
def values(module_framed, localhost):
    return localhost | {"framed": module_framed.address}


@pytest.fixture(params=["clear", "tls"])
def session(request, gateway, authority):
    tls = authority.client_context() if request.param == "tls" else None
    with Session(gateway.tls_port if tls else gateway.port, tls) as session:
        yield session


def lines(*fields: tuple[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def send_stream(session, path, trailers, *fields, body=b"hello"):
    stream = session.begin(request(path, *fields, method="POST"), ends=False)
    if body:
        session.send_body(stream, body, ends=False)
    session.begin(trailers, stream=stream)
    return session.wait_for(stream)


# -- of requests


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_H13_trailers_of_a_request_go_on_for_who_speaks_of_them(gateway, origin, size):
    sums = lines(("X-Sum", "1"), ("Server-Timing", "db;dur=53"))
    with gateway.connect() as client:
        data = chunked("/x", b"hello", b"more", fields=("TE: trailers",), trailers=sums)
        client.send_in_pieces(data, size, 0.0002)
        assert client.read_response().status == 200
        assert client.request(get("/after")).status == 200
    first, after = origin.wait_for(2)
    assert first.trailers == [b"X-Sum: 1", b"Server-Timing: db;dur=53"]
    assert (first.body, first.get("te"), first.get("connection")) == (b"hellomore", "trailers", "TE")
    assert after.trailers == [] and after.get("te") is None


def test_H13_they_do_not_go_on_for_others(gateway, origin):
    for fields in ((), ("TE: gzip",), ("TE: trailersx",), ("X-TE: trailers",)):
        with gateway.connect() as client:
            assert client.request(chunked("/x", b"hello", fields=fields, trailers=b"X-Sum: 77abc\r\n")).status == 200
        assert origin.last.trailers == [] and origin.last.get("te") is None
    assert b"77abc" not in origin.received


@pytest.mark.parametrize("name", FORBIDDEN)
def test_H13_no_trailer_decides_anything(gateway, origin, name):
    with gateway.connect() as client:
        trailers = lines(("a", "1"), (name, "77abc"), ("b", "2"))
        assert client.request(chunked("/x", b"hello", fields=("TE: trailers",), trailers=trailers)).status == 200
        assert client.request(get("/after")).status == 200
    first, after = origin.wait_for(2)
    assert first.trailers == [b"a: 1", b"b: 2"]
    assert b"77abc" not in origin.received and after.target == "/after"


@pytest.mark.parametrize("name", [name for name in FORBIDDEN if name not in ("te", "host", "content-length")])
def test_H13_nor_one_of_a_stream(gateway, origin, session, name):
    got = send_stream(session, "/x", [("a", "1"), (name, "77abc"), ("b", "2")], ("te", "trailers"))
    assert got.status == 200
    assert origin.last.trailers == [b"a: 1", b"b: 2"]
    assert b"77abc" not in origin.received


@pytest.mark.parametrize("name", ["transfer-encoding", "connection", ":path", "X-Upper", "host", "content-length"])
def test_T09_fields_of_a_connection_behind_a_body_reset_the_stream(gateway, origin, session, name):
    got = send_stream(session, "/x", [("a", "1"), (name, "77abc")], ("te", "trailers"))
    assert got.code == PROTOCOL_ERROR
    assert b"77abc" not in origin.received


def test_streams_trailers_reach_an_origin_of_HTTP1(gateway, origin, session):
    for body in (b"hello", b""):
        assert send_stream(session, "/x", [("x-sum", "1")], ("te", "trailers"), body=body).status == 200
        assert (origin.last.body, origin.last.trailers) == (body, [b"x-sum: 1"])
    assert send_stream(session, "/x", [("x-sum", "1")]).status == 200
    assert origin.last.trailers == []
    # A body of known length has no place for them towards HTTP/1.
    got = send_stream(session, "/x", [("x-sum", "1")], ("te", "trailers"), ("content-length", "5"))
    assert (got.status, origin.last.body, origin.last.trailers) == (200, b"hello", [])


def test_they_reach_an_origin_of_HTTP2(gateway, framed, session):
    assert send_stream(session, "/framed/x", [("x-sum", "1"), ("x-user", "2")], ("te", "trailers")).status == 200
    with gateway.connect() as client:
        data = chunked("/framed/x", b"hello", fields=("TE: trailers",), trailers=lines(("X-Sum", "2"), ("Host", "3")))
        assert client.request(data).status == 200
        assert client.request(chunked("/framed/x", b"hello", trailers=lines(("X-Sum", "3")))).status == 200
        assert client.request(post("/framed/x", b"plain", "TE: trailers")).status == 200
    assert [(call.body, call.trailers) for call in framed.calls] == [
        (b"hello", [("x-sum", "1")]), (b"hello", [("x-sum", "2")]), (b"hello", []), (b"plain", []),
    ]  # fmt: skip
    assert [call.get("te") for call in framed.calls] == ["trailers", "trailers", None, "trailers"]


def test_H13_too_many_or_too_large_ones_are_refused(gateway, origin, session):
    for trailers in (lines(*[("a", "b")] * 101), lines(("a", "b" * 8_200))):
        with gateway.connect() as client:
            got = client.request(chunked("/x", b"hello", fields=("TE: trailers",), trailers=trailers))
            assert (got.status, got.code) == (431, "header_too_large")
            client.expect_close()
    for trailers in ([("a", "b")] * 101, [("a", "b" * 8_200)]):
        got = send_stream(session, "/x", trailers, ("te", "trailers"))
        assert (got.status, got.get("gateway-error")) == (431, "header_too_large")


def test_trailers_behind_a_body_that_is_refused_are_read_as_part_of_it(gateway, origin):
    with gateway.connect() as client:
        got = client.request(chunked("/small/x", b"hello", fields=("TE: trailers",), trailers=lines(("X-Sum", "1"))))
        assert got.status == 413
        client.expect_close()


# -- of answers


def trailing(*trailers: tuple[str, str], head: bytes = b"", size: int = 100_000) -> object:
    def script(connection: Connection) -> None:
        connection.read_request()
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + head + b"\r\n2\r\nok\r\n0\r\n"
        data += lines(*trailers) + b"\r\n"
        for start in range(0, len(data), size):
            connection.send(data[start : start + size])
            if size < len(data):
                time.sleep(0.0005)

    return script


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_trailers_of_an_answer_reach_who_can_read_them(gateway, origin, session, size):
    origin.serve(trailing(("X-Sum", "1"), ("Server-Timing", "x"), head=b"Trailer: X-Sum\r\n", size=size))
    got = session.request(request("/x"))
    assert (got.body, got.trailers) == (b"ok", [("x-sum", "1"), ("server-timing", "x")])
    with gateway.connect() as client:
        got = client.request(get("/x", "TE: trailers"))
        assert (got.body, got.trailers) == (b"ok", [("X-Sum", "1"), ("Server-Timing", "x")])
        got = client.request(get("/x"))
        assert (got.body, got.trailers) == (b"ok", [])
        got = client.request(get("/x", "TE: trailers", method="HEAD"))
        assert (got.status, got.trailers) == (200, [])


def test_HTTP_1_0_gets_none(gateway, origin):
    origin.serve(trailing(("X-Sum", "1")))
    with gateway.connect() as client:
        client.send(b"GET /x HTTP/1.0\r\nTE: trailers\r\n\r\n")
        assert client.read_to_end().endswith(b"\r\n\r\nok")


@pytest.mark.parametrize(
    "name", ["Content-Length", "Set-Cookie", "Location", "Cache-Control", "Gateway-Error", "Access-Control-Allow-Origin"]
)
def test_no_trailer_of_an_answer_decides_anything(gateway, origin, session, name):
    origin.serve(trailing(("A", "1"), (name, "77abc"), ("B", "2")))
    got = session.request(request("/x"))
    assert (got.status, got.trailers) == (200, [("a", "1"), ("b", "2")])
    with gateway.connect() as client:
        got = client.request(get("/x", "TE: trailers"))
        assert got.trailers == [("A", "1"), ("B", "2")] and got.get(name) is None
        assert client.request(get("/x")).status == 200


def test_those_of_HTTP2_are_filtered_too(gateway, framed, session):
    def script(call) -> None:
        call.send_head(200)
        call.send_body(b"ok", ends=False)
        call.send_trailers(("x-sum", "1"), ("set-cookie", "a=b"), ("grpc-status", "0"), ("x-auth-subject", "me"))

    framed.script = script
    got = session.request(request("/framed/x"))
    assert (got.body, got.trailers) == (b"ok", [("x-sum", "1"), ("grpc-status", "0")])
    with gateway.connect() as client:
        got = client.request(get("/framed/x", "TE: trailers"))
        assert (got.body, got.trailers) == (b"ok", [("x-sum", "1"), ("grpc-status", "0")])
        got = client.request(get("/framed/x"))
        assert (got.body, got.trailers) == (b"ok", [])


def test_U01_an_answer_whose_trailers_are_none_is_cut(gateway, origin, session):
    for bad in (b"no colon\r\n", b"X-A: b\r\n c\r\n", b"X-A: \x00\r\n", b"a: b\r\n" * 101, b"a: " + b"b" * 8_200 + b"\r\n"):

        def script(connection: Connection, bad=bad) -> None:
            connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
            time.sleep(0.05)
            connection.send(b"0\r\n" + bad + b"\r\n")
            raise Ended

        origin.serve(script)
        got = session.request(request("/x"))
        assert (got.status, got.ended, got.trailers) == (200, False, [])
        with gateway.connect() as client:
            client.send(get("/x", "TE: trailers"))
            assert client.read_head().status == 200
            assert not client.expect_cut().endswith(b"0\r\n\r\n")


def test_grpc_metadata_travels_behind_the_body(gateway):
    """What grpcio itself makes of trailers that went through the gateway twice over HTTP/2."""
    from concurrent import futures

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            def answer(data, context):
                context.set_trailing_metadata((("x-note", "kept"), ("x-blob-bin", b"\0\1"), ("set-cookie", "dropped")))
                return data

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        gateway.values["framed"], kept = f"127.0.0.1:{port}", gateway.values["framed"]
        gateway.configure(gateway.configuration)
        before = gateway.log.count("configuration reloaded")
        gateway.send_signal(signal.SIGHUP)
        wait_until(lambda: gateway.log.count("configuration reloaded") > before, what="the reload")
        with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
            _, call = channel.unary_unary("/framed/call").with_call(b"hello", timeout=5)
        told = dict(call.trailing_metadata())
        assert (told["x-note"], told["x-blob-bin"]) == ("kept", b"\0\1") and "set-cookie" not in told
    finally:
        gateway.values["framed"] = kept
        gateway.configure(gateway.configuration)
        gateway.send_signal(signal.SIGHUP)
        server.stop(0)


def test_a_client_that_reads_slowly_gets_them_last(gateway, origin):
    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            connection.send(b"%x\r\n%s\r\n" % (65_536, b"z" * 65_536))
        connection.send(b"0\r\nX-Sum: 1\r\n\r\n")

    origin.serve(script)
    with Client(gateway.port, receive_buffer=8192) as client:
        client.send(get("/x", "TE: trailers"))
        time.sleep(0.5)
        got = client.read_response(within=20)
        assert (len(got.body), got.trailers) == (40 * 65_536, [("X-Sum", "1")])
