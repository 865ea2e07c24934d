"""Many requests on one connection to an upstream: what they share, and what one of them does not do to the others."""

import signal
import time

import pytest

from harness.framed_origin import Call, FramedOrigin
from harness.gateway import accepts
from harness.raw import get, post
from harness.streams import CANCEL, Session, request
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
admin { listen 127.0.0.1:@admin_port@; }
http2 on;
proxy_http_version 2;
upstream framed { server @framed@ max_fails=0; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    client_max_body_size 0;
    location / { proxy_pass http://framed; proxy_read_timeout 20s; }
    location /soon { proxy_pass http://framed; proxy_read_timeout 500ms; }
    location /held { proxy_pass http://framed; proxy_send_timeout 3s; }
    location /few { proxy_pass http://@limited@; }
}
"""


@pytest.fixture(scope="module")
def module_limited():
    origin = FramedOrigin(limit=5)
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def values(module_framed, module_limited):
    return {"framed": module_framed.address, "limited": module_limited.address}


@pytest.fixture
def limited(module_limited):
    module_limited.reset()
    return module_limited


@pytest.fixture
def session(gateway):
    with Session(gateway.port) as session:
        yield session


def path_of(call: Call) -> str:
    return call.get(":path") or ""


def test_requests_share_a_connection(framed, session):
    """All are under way before the first is answered, and the answers come in parts of each in turn."""
    count = 60

    def script(call: Call) -> None:
        if len(framed.calls) < count:
            return
        for other in framed.calls:
            other.send_head(200)
        for part in range(4):
            for other in reversed(framed.calls):
                other.send_body(f"{path_of(other)}:{part};".encode(), ends=part == 3)

    framed.script = script
    streams = [session.begin(request(f"/{n}")) for n in range(count)]
    for n, stream in enumerate(streams):
        assert session.wait_for(stream, 10).body == "".join(f"/{n}:{part};" for part in range(4)).encode()
    assert framed.accepted == 1 and framed.connections[0].most == count


def test_clients_share_a_connection_whatever_they_speak(gateway, framed, session):
    def script(call: Call) -> None:
        if len(framed.calls) == 3:
            for other in framed.calls:
                other.answer(path_of(other).encode())

    framed.script = script
    with gateway.connect() as first, Session(gateway.port) as second:
        first.send(get("/first"))
        wait_until(lambda: len(framed.calls) == 1)
        two = second.begin(request("/second"))
        wait_until(lambda: len(framed.calls) == 2)
        three = session.begin(request("/third"))
        assert first.read_response().body == b"/first"
        assert second.wait_for(two).body == b"/second" and session.wait_for(three).body == b"/third"
    assert framed.accepted == 1


def test_no_more_than_the_server_takes(gateway, limited, session):
    limited.script = lambda call: (time.sleep(0.01), call.answer(path_of(call).encode()))
    # Until its SETTINGS come nobody knows.
    assert session.request(request("/few")).status == 200
    for _ in range(3):
        streams = [session.begin(request(f"/few/{n}")) for n in range(30)]
        for n, stream in enumerate(streams):
            got = session.wait_for(stream, 10)
            assert (got.status, got.body) == (200, f"/few/{n}".encode())
    assert max(connection.most for connection in limited.connections) <= 5


def test_one_that_is_reset_leaves_the_others(framed, session):
    def script(call: Call) -> None:
        if len(framed.calls) < 20:
            return
        for n, other in enumerate(framed.calls):
            other.refuse(2) if n % 2 else other.answer(path_of(other).encode())

    framed.script = script
    streams = [session.begin(request(f"/{n}")) for n in range(20)]
    for n, stream in enumerate(streams):
        got = session.wait_for(stream)
        if n % 2:
            assert (got.status, got.get("gateway-error")) == (502, "upstream_invalid")
        else:
            assert (got.status, got.body) == (200, f"/{n}".encode())
    assert framed.accepted == 1


def test_one_that_is_malformed_leaves_the_others(framed, session):
    def script(call: Call) -> None:
        if len(framed.calls) < 3:
            return
        framed.calls[1].send_head(200, ("content-length", "x"))
        for other in (framed.calls[0], framed.calls[2]):
            other.answer(b"good")

    framed.script = script
    streams = [session.begin(request("/x")) for _ in range(3)]
    assert [session.wait_for(stream).status for stream in streams] == [200, 502, 200]
    wait_until(lambda: framed.calls[1].reset is not None or len(framed.connections[0].calls) == 3)
    framed.script = framed.default
    assert session.request(request("/x")).status == 200 and framed.accepted == 1


def test_one_that_is_cancelled_leaves_the_others(framed, session):
    framed.script = lambda call: None
    streams = [session.begin(request(f"/{n}")) for n in range(4)]
    framed.wait_for(4)
    session.reset(streams[1], CANCEL)
    wait_until(lambda: framed.calls[1].reset == CANCEL, what="the reset of one stream")
    framed.script = lambda call: [other.answer(b"late") for other in (framed.calls[0], *framed.calls[2:])]
    assert session.request(request("/last")).body == b"late"
    assert [session.wait_for(streams[n]).body for n in (0, 2, 3)] == [b"late"] * 3
    assert framed.accepted == 1


def test_one_that_is_late_leaves_the_others(framed, session):
    framed.script = lambda call: None
    late, patient = session.begin(request("/soon")), session.begin(request("/x"))
    got = session.wait_for(late)
    assert (got.status, got.get("gateway-error")) == (504, "upstream_timeout")
    framed.script = lambda call: [other.answer(b"in time") for other in framed.calls[1:]]
    assert session.request(request("/y")).body == session.wait_for(patient).body == b"in time"
    assert framed.accepted == 1 and framed.calls[0].reset == CANCEL


def test_a_server_that_goes_away_answers_what_it_took(framed, session):
    """What it did not look at goes over another connection, POST too (RFC 9113 section 8.7)."""

    def script(call: Call) -> None:
        if call.connection is not framed.connections[0]:
            return call.answer(b"second")
        if len(framed.calls) == 6:
            framed.calls[2].announce_end()
            for other in framed.calls[:3]:
                other.answer(b"first")

    framed.script = script
    streams = [session.begin(request(f"/{n}", method="POST")) for n in range(6)]
    assert [session.wait_for(stream).body for stream in streams] == [b"first"] * 3 + [b"second"] * 3
    assert framed.accepted == 2


def test_a_connection_that_is_lost_answers_each(framed, session):
    def script(call: Call) -> None:
        if path_of(call) == "/3":
            call.connection.socket.close()

    framed.script = script
    streams = [session.begin(request(f"/{n}")) for n in range(4)]
    for stream in streams:
        got = session.wait_for(stream)
        assert (got.status, got.get("gateway-error")) == (502, "upstream_closed")
    framed.script = framed.default
    assert session.request(request("/x")).status == 200


def test_a_connection_that_rested_may_be_gone(framed, session):
    """Who may be repeated is, once; nobody knows what became of the others."""
    assert session.request(request("/x")).status == 200

    def script(call: Call) -> None:
        if call.connection is framed.connections[0]:
            call.connection.socket.close()
        else:
            call.answer(b"again")

    framed.script = script
    got = session.request(request("/x"))
    assert (got.status, got.body) == (200, b"again")
    framed.reset()
    assert session.request(request("/x")).status == 200
    framed.script = script
    got = session.request(request("/x", method="POST"))
    assert (got.status, got.get("gateway-error")) == (502, "upstream_closed")


def test_a_client_that_takes_nothing_holds_up_itself_alone(gateway, framed, session):
    large = b"x" * 3_000_000

    def script(call: Call) -> None:
        if path_of(call) == "/large":
            call.send_head(200)
            held.append(call)
            send()
        else:
            call.answer(path_of(call).encode())
            send()

    def send() -> None:
        """As much of the large answer as the gateway takes."""
        while held and len(sent) < len(large):
            room = min(held[0].connection.state.local_flow_control_window(held[0].stream), 16_384)
            if room <= 0:
                return
            held[0].connection.state.send_data(held[0].stream, large[:room])
            held[0].connection.flush()
            sent.extend(large[:room])

    held, sent = [], bytearray()
    framed.script = script
    before = gateway.resident_bytes()
    with Session(gateway.port, window=0) as slow:
        stream = slow.begin(request("/large"))
        for n in range(50):
            assert session.request(request(f"/{n}")).body == f"/{n}".encode()
        assert 0 < len(sent) < 1_500_000 and gateway.resident_bytes() - before < 8_000_000
        # It takes a little, and gets what was kept in order.
        slow.update_window(stream, 100_000)
        slow.read_until(lambda: len(slow.answers[stream].body) >= 100_000, 5)
    assert framed.accepted == 1


def test_a_body_that_is_not_taken_holds_up_itself_alone(gateway, framed, session):
    framed.holds = lambda call: path_of(call) == "/held"
    framed.script = lambda call: call.answer(b"%d" % len(call.body))
    before = gateway.resident_bytes()
    with gateway.connect() as slow:
        slow.socket.settimeout(1)
        head = b"POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n"
        sent = 0
        try:
            slow.socket.sendall(head)
            while sent < 50_000_000:
                sent += slow.socket.send(b"x" * 65_536)
        except TimeoutError:
            pass
        assert sent < 40_000_000 and gateway.resident_bytes() - before < 8_000_000
        for n in range(20):
            assert session.request(request("/x", method="POST"), b"y" * n).body == b"%d" % n
        assert gateway.request(post("/x", b"z" * 500_000), 10).body == b"500000"
    assert framed.accepted == 1


def test_many_bodies_both_ways_at_once(framed, session):
    framed.script = lambda call: call.answer(call.body)
    bodies = {session.begin(request("/x", method="POST"), ends=False): bytes([n]) * (n * 3_000) for n in range(1, 30)}
    for start in range(0, 90_000, 10_000):
        for stream, body in bodies.items():
            if part := body[start : start + 10_000]:
                session.send_body(stream, part, ends=start + 10_000 >= len(body))
    for stream, body in bodies.items():
        assert session.wait_for(stream, 10).body == body
    assert framed.accepted == 1


def test_stopping_lets_what_runs_end(start, framed):
    gateway = start(CONFIGURATION, framed=framed.address, limited=framed.address)
    framed.script = lambda call: None
    with Session(gateway.port) as session:
        streams = [session.begin(request(f"/{n}")) for n in range(5)]
        framed.wait_for(5)
        gateway.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts(gateway.port), what="nobody new is let in")
        for call in framed.calls:
            call.answer(b"still")
        assert [session.wait_for(stream).body for stream in streams] == [b"still"] * 5
    gateway.stop()
