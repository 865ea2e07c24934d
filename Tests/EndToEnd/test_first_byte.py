"""Server-sent events and long polling: what the origin says is with the client at once, piece by piece."""

import statistics
import threading
import time

import pytest

from harness.raw import Client, get
from harness.streams import Session, request

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
http2 on;
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; proxy_read_timeout 20s; }
}
"""
ROUNDS = 60


class Ticker:
    """A script that says one short piece whenever it is told to, and when that was. Each serves one client."""

    def __init__(self, framing: str):
        self.framing, self.tick = framing, threading.Semaphore(0)
        self.said, self.over = 0.0, False

    def stop(self) -> None:
        self.over = True
        self.tick.release()

    def __call__(self, connection) -> None:
        connection.read_request()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        if self.framing == "poll":
            assert self.tick.acquire(timeout=10)
            self.said = time.perf_counter()
            return connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntick")
        connection.send(head + (b"Transfer-Encoding: chunked\r\n\r\n" if self.framing == "chunked" else b"\r\n"))
        while self.tick.acquire(timeout=10) and not self.over:
            self.said = time.perf_counter()
            connection.send(b"9\r\ndata: x\n\n\r\n" if self.framing == "chunked" else b"data: x\n\n")


def delay(ticker: Ticker, read) -> float:
    """Seconds from the moment at which the origin speaks to the one at which the client hears it."""
    time.sleep(0.005)
    ticker.tick.release()
    read()
    return time.perf_counter() - ticker.said


def delays_of_events(port: int, origin, framing: str) -> list[float]:
    ticker = Ticker(framing)
    origin.serve(ticker)
    with Client(port) as client:
        client.send(get("/events"))
        client.read_head()
        client.kept = b""

        def read():
            data = b""
            while b"data: x\n\n" not in data:
                data += client.read_some()

        found = [delay(ticker, read) for _ in range(ROUNDS)]
        ticker.stop()
        return found


def delays_of_polls(port: int, origin) -> list[float]:
    ticker = Ticker("poll")
    origin.serve(ticker)
    with Client(port) as client:
        found = []
        for _ in range(ROUNDS):
            client.send(get("/poll"))
            found.append(delay(ticker, lambda: client.read_response()))
        return found


def compare(through: list[float], direct: list[float]) -> None:
    """The gateway may add a millisecond to what the machine takes; the median leaves out what others do meanwhile."""
    added = statistics.median(through) - statistics.median(direct)
    assert added < 0.001, f"{added * 1e6:.0f} µs more than {statistics.median(direct) * 1e6:.0f}"


@pytest.mark.parametrize("framing", ["chunked", "until close"])
def test_events_are_there_within_a_millisecond(gateway, origin, framing):
    direct = delays_of_events(origin.port, origin, framing)
    compare(delays_of_events(gateway.port, origin, framing), direct)


def test_events_on_a_stream(gateway, origin):
    direct = delays_of_events(origin.port, origin, "chunked")
    ticker = Ticker("chunked")
    origin.serve(ticker)
    with Session(gateway.port) as session:
        stream = session.begin(request("/events"))
        session.read_until(lambda: session.answers[stream].status)

        def read():
            before = len(session.answers[stream].body)
            session.read_until(lambda: len(session.answers[stream].body) >= before + 9)

        through = [delay(ticker, read) for _ in range(ROUNDS)]
        ticker.stop()
        compare(through, direct)


def test_a_long_poll_is_answered_within_a_millisecond(gateway, origin):
    direct = delays_of_polls(origin.port, origin)
    compare(delays_of_polls(gateway.port, origin), direct)


def test_every_piece_is_there_before_the_next_one_is_made(gateway, origin):
    """Nothing waits for more to come, however small the pieces are and whatever asks for a buffer elsewhere."""
    ticker = Ticker("chunked")
    origin.serve(ticker)
    with gateway.connect() as client:
        client.send(get("/events", "Accept: text/event-stream", "Accept-Encoding: gzip"))
        assert client.read_head().get("content-type") == "text/event-stream"
        for _ in range(20):
            ticker.tick.release()
            assert client.read_some() == b"9\r\ndata: x\n\n\r\n"
        ticker.stop()
