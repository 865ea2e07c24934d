"""Active health checks of upstream groups: by HTTP, by the health protocol of gRPC with its own server, and by connecting."""

import contextlib
import signal
import socket
from concurrent import futures

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from harness.origin import Connection, Origin
from harness.ports import take_port
from harness.raw import get
from harness.streams import Session, request
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 2;
error_log stderr info;
http2 on;
admin { listen 127.0.0.1:@admin_port@; }
upstream group {
    @servers@
    health_check @check@;
}
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass @scheme@://group; }
}
"""
CALL = [("content-type", "application/grpc"), ("te", "trailers")]


def started(start, check: str, *ports: int, scheme: str = "http"):
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)
    return start(CONFIGURATION, servers=servers, check=check, scheme=scheme)


def healthy(gateway, port: int, scheme: str = "http") -> float:
    upstream = "group" if scheme == "http" else f"{scheme}://group"
    return gateway.metrics().sum("gateway_upstream_healthy", upstream=upstream, server=f"127.0.0.1:{port}")


def becomes(gateway, port: int, is_healthy: bool, scheme: str = "http") -> None:
    wait_until(lambda: healthy(gateway, port, scheme) == is_healthy, 8, what=f"{port} is healthy: {is_healthy}")


@pytest.fixture
def origins():
    """Two origins whose health is told by a dictionary of statuses."""
    states: dict[int, bytes] = {}

    def script(connection: Connection) -> None:
        got = connection.read_request()
        port = connection.socket.getsockname()[1]
        status = states.get(port, b"200 OK") if got.target == "/healthz" else b"200 OK"
        body = b"%d" % port
        connection.send(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))

    made = [Origin(script), Origin(script)]
    yield made, states
    for origin in made:
        origin.close()


def answered(gateway, times: int = 12) -> set[int]:
    """By whom requests are answered, over new connections so that both workers are asked."""
    return {int(gateway.request(get("/x")).body) for _ in range(times)}


def test_an_origin_that_says_that_it_cannot_serve_gets_no_requests(start, origins):
    (one, two), states = origins
    gateway = started(
        start, "uri=/healthz expect=200 interval=100ms timeout=1s fails=2 passes=3", one.port, two.port
    )
    becomes(gateway, one.port, True)
    assert answered(gateway) == {one.port, two.port}
    states[one.port] = b"503 Busy"
    becomes(gateway, one.port, False)
    assert answered(gateway) == {two.port}
    who = f"server 127.0.0.1:{one.port} of upstream group"
    gateway.wait_for_notice(f"{who} is unhealthy and gets no requests: it answered 503")
    # A status that is not `expect` is as bad.
    states[one.port] = b"204 None"
    before = gateway.metrics().sum("gateway_upstream_health_checks_total", result="failed")
    wait_until(lambda: gateway.metrics().sum("gateway_upstream_health_checks_total", result="failed") > before + 2, 5)
    assert healthy(gateway, one.port) == 0
    states[two.port] = b"500 Broken"
    becomes(gateway, two.port, False)
    answer = gateway.request(get("/x"))
    assert (answer.status, answer.code) == (502, "no_live_upstream")
    del states[one.port]
    becomes(gateway, one.port, True)
    assert answered(gateway) == {one.port}
    gateway.wait_for_notice(f"{who} is healthy again")
    checks = [got for got in one.requests if got.target == "/healthz"]
    assert checks[0].line == "GET /healthz HTTP/1.1" and checks[0].get("host") == "group"


def test_a_reload_keeps_what_is_known_and_a_removed_check_is_forgotten(start, origins):
    (one, two), states = origins
    gateway = started(start, "uri=/healthz interval=200ms", one.port, two.port)
    states[one.port] = b"503 Busy"
    becomes(gateway, one.port, False)

    def reload(configuration: str) -> None:
        count = gateway.log.count("configuration reloaded")
        gateway.configure(configuration)
        gateway.send_signal(signal.SIGHUP)
        wait_until(lambda: gateway.log.count("configuration reloaded") > count, what="it reloads")

    reload(gateway.configuration + "\n# changed\n")
    assert answered(gateway) == {two.port}
    reload("\n".join(line for line in gateway.configuration.splitlines() if "health_check" not in line))
    assert answered(gateway) == {one.port, two.port}
    assert not gateway.metrics().has("gateway_upstream_healthy")


@pytest.mark.parametrize("kind", ["silent", "no HTTP", "closed", "refused"])
def test_one_that_does_not_answer_is_unhealthy(start, origin, kind):
    def script(connection: Connection) -> None:
        got = connection.read_request()
        if got.target != "/":
            return connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if kind == "silent":
            return connection.wait_for_end()
        if kind == "no HTTP":
            return connection.send(b"SSH-2.0-x\r\n\r\n")
        connection.reset()

    origin.serve(script)
    port = take_port() if kind == "refused" else origin.port
    gateway = started(start, "interval=100ms timeout=200ms", port)
    becomes(gateway, port, False)
    assert gateway.request(get("/x")).code == "no_live_upstream"
    said = {"silent": "timed out", "no HTTP": "no http", "closed": "closed the connection", "refused": "connect"}
    gateway.wait_for_notice("is unhealthy and gets no requests: ")
    assert said[kind] in gateway.log.split("gets no requests: ")[1].splitlines()[0].lower()


def test_a_connection_alone_can_be_asked_for(start, origin):
    gateway = started(start, "type=tcp interval=100ms", origin.port)
    wait_until(lambda: gateway.metrics().sum("gateway_upstream_health_checks_total", result="passed") > 2, 5)
    assert healthy(gateway, origin.port) == 1 and gateway.request(get("/x")).status == 200


# -- by the protocol of gRPC


class Service:
    """A server of grpcio with its own health service, and an echo."""

    def __init__(self, with_health: bool = True):
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        self.health = health.HealthServicer()
        if with_health:
            health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)

        class Echo(grpc.GenericRpcHandler):
            def service(self, details):
                if details.method == "/echo/Echo":
                    return grpc.unary_unary_rpc_method_handler(lambda data, context: data)

        self.server.add_generic_rpc_handlers((Echo(),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait()


def call(gateway) -> grpc.StatusCode:
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        try:
            channel.unary_unary("/echo/Echo")(b"x", timeout=5)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("name", ["", "my.Service"])
def test_a_service_of_grpc_says_whether_it_serves(start, name):
    with Service() as service:
        status = health_pb2.HealthCheckResponse
        service.health.set(name, status.SERVING)
        check = "type=grpc interval=100ms" + (f" grpc_service={name}" if name else "")
        gateway = started(start, check, service.port, scheme="grpc")
        wait_until(lambda: gateway.metrics().sum("gateway_upstream_health_checks_total", result="passed") > 2, 5)
        assert call(gateway) == grpc.StatusCode.OK
        for bad in (status.NOT_SERVING, status.UNKNOWN):
            service.health.set(name, bad)
            becomes(gateway, service.port, False, "grpc")
            gateway.wait_for_notice(f"gets no requests: {status.ServingStatus.Name(bad)}")
            assert call(gateway) == grpc.StatusCode.UNAVAILABLE
            with Session(gateway.port) as session:
                got = session.request(request("/echo/Echo", *CALL, method="POST"), b"\0\0\0\0\0")
                assert (got.get("gateway-error"), got.get("grpc-status")) == ("no_live_upstream", "14")
            service.health.set(name, status.SERVING)
            becomes(gateway, service.port, True, "grpc")
            assert call(gateway) == grpc.StatusCode.OK


@pytest.mark.parametrize("kind", ["unimplemented", "unknown service", "no server"])
def test_who_does_not_know_the_protocol_or_the_service_is_unhealthy(start, kind):
    with contextlib.ExitStack() as stack:
        check = "type=grpc interval=100ms timeout=500ms"
        if kind == "no server":
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = listener.getsockname()[1]
        else:
            port = stack.enter_context(Service(with_health=kind != "unimplemented")).port
        if kind == "unknown service":
            check += " grpc_service=nobody.Knows"
        gateway = started(start, check, port, scheme="grpc")
        becomes(gateway, port, False, "grpc")
        said = {
            "unimplemented": "it does not implement grpc.health.v1.Health (grpc-status 12)",
            "unknown service": "it does not know the service (grpc-status 5)",
            "no server": "timed out",
        }
        gateway.wait_for_notice(f"is unhealthy and gets no requests: {said[kind]}")
        assert call(gateway) == grpc.StatusCode.UNAVAILABLE


def test_a_server_that_comes_back_is_found(start):
    with Service() as service:
        port = service.port
        gateway = started(start, "type=grpc interval=100ms passes=2", port, scheme="grpc")
        service.server.stop(0).wait()
        becomes(gateway, port, False, "grpc")
    back = grpc.server(futures.ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), back)
    assert back.add_insecure_port(f"127.0.0.1:{port}") == port
    back.start()
    try:
        becomes(gateway, port, True, "grpc")
    finally:
        back.stop(0)


SECURED = """
worker_processes 1;
error_log stderr info;
admin { listen 127.0.0.1:@admin_port@; }
upstream group { server 127.0.0.1:@upstream@; health_check interval=100ms; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass https://group; proxy_ssl_trusted_certificate @ca@; proxy_ssl_name @name@; }
}
"""


@pytest.mark.parametrize("name", ["checked.test", "other.test"])
def test_over_TLS_a_check_wants_the_proof_that_requests_want(start, authority, name):
    origin = Origin(tls=authority.server_context("checked.test"))
    try:
        gateway = start(SECURED, upstream=origin.port, ca=authority.file, name=name)
        is_good = name == "checked.test"
        result = "passed" if is_good else "failed"
        wait_until(lambda: gateway.metrics().sum("gateway_upstream_health_checks_total", result=result) > 2, 5)
        answer = gateway.request(get("/x"))
        assert answer.status == (200 if is_good else 502)
        if not is_good:
            assert answer.code == "no_live_upstream"
            gateway.wait_for_notice("is unhealthy and gets no requests: TLS: ")
    finally:
        origin.close()
