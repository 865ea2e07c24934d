"""Bodies that are larger than memory, in both directions, with receivers that are slow."""

import threading
import time

import pytest

from harness.raw import Client, get
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr notice;
access_log @folder@/access.log json;
send_timeout 20s;
client_body_timeout 20s;
client_max_body_size 0;
admin { listen 127.0.0.1:@admin_port@; }
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; proxy_read_timeout 20s; proxy_send_timeout 20s; }
}
"""

BLOCK = bytes(1 << 20)
BOUND = 64 << 20


class MemoryWatch:
    """Notes the largest resident size of a gateway while a block runs."""

    def __init__(self, gateway):
        self.gateway, self.largest, self.ended = gateway, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.ended.wait(0.02):
            self.largest = max(self.largest, self.gateway.resident_bytes())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def head_of(size: int, chunked: bool) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % size


def send_body(send, size: int, chunked: bool) -> None:
    frame = b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK
    for _ in range(size >> 20):
        send(frame)
    if chunked:
        send(b"0\r\n\r\n")


def drain(client: Client, expected: int) -> int:
    """Reads `expected` bytes at full speed into one buffer."""
    buffer, received = bytearray(1 << 20), len(client.kept)
    client.kept = b""
    client.socket.settimeout(20)
    while received < expected:
        count = client.socket.recv_into(buffer)
        assert count, f"the connection ended after {received} of {expected} bytes"
        received += count
    return received


def download(gateway, origin, size: int, chunked: bool) -> int:
    def serve(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n" + head_of(size, chunked))
        send_body(connection.send, size, chunked)

    origin.serve(serve)
    with MemoryWatch(gateway) as watch, gateway.connect() as client:
        client.send(get("/x"))
        assert client.read_head().status == 200
        time.sleep(0.5)
        if chunked:
            received = len(client.kept)
            client.socket.settimeout(20)
            while not (tail := client.kept).endswith(b"0\r\n\r\n") or received < size:
                data = client.socket.recv(1 << 20)
                assert data, "the connection ended too early"
                received += len(data)
                client.kept = (tail + data)[-16:]
        else:
            assert drain(client, size) == size
    return watch.largest


def upload(gateway, origin, size: int, chunked: bool) -> int:
    seen = []

    def serve(connection):
        connection.origin.records = False
        connection.read_head()
        received = len(connection.kept)
        time.sleep(0.5)
        buffer = bytearray(1 << 20)
        tail = connection.kept
        while received < size or (chunked and not tail.endswith(b"0\r\n\r\n")):
            count = connection.socket.recv_into(buffer)
            if not count:
                return
            received += count
            tail = (tail + bytes(buffer[max(0, count - 16) : count]))[-16:]
        connection.kept = b""
        seen.append(received)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    origin.serve(serve)
    with MemoryWatch(gateway) as watch, gateway.connect() as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: localhost\r\n" + head_of(size, chunked))
        client.socket.settimeout(20)
        send_body(client.socket.sendall, size, chunked)
        assert client.read_response("POST", within=20).status == 200
    assert seen and seen[0] >= size
    return watch.largest


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_download_with_a_slow_start(gateway, origin, chunked):
    assert download(gateway, origin, 128 << 20, chunked) < BOUND


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_upload_with_a_slow_start(gateway, origin, chunked):
    assert upload(gateway, origin, 128 << 20, chunked) < BOUND


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_download_of_four_gibibytes(gateway, origin, chunked):
    assert download(gateway, origin, 4 << 30, chunked) < BOUND


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_upload_of_four_gibibytes(gateway, origin, chunked):
    assert upload(gateway, origin, 4 << 30, chunked) < BOUND


def test_origin_is_paused_while_the_client_does_not_read(gateway, origin):
    sent = []

    def serve(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
        for _ in range(64 << 4):
            connection.send(bytes(1 << 16))
            sent.append(1 << 16)

    origin.serve(serve)
    with gateway.connect(receive_buffer=8192) as client:
        client.send(get("/x"))
        client.read_head()
        wait_until(lambda: sent, what="the origin sends")
        time.sleep(0.4)
        paused = sum(sent)
        time.sleep(0.3)
        assert sum(sent) == paused < 32 << 20, "the origin goes on sending although nobody reads"
        assert drain(client, 64 << 20) == 64 << 20


def test_client_is_paused_while_the_origin_does_not_read(gateway, origin):
    going = threading.Event()

    def serve(connection):
        connection.read_head()
        going.wait(10)
        missing = (64 << 20) - len(connection.kept)
        connection.kept = b""
        while missing > 0:
            missing -= len(connection.receive())
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    origin.serve(serve)
    origin.records = False
    sent = []

    def send(client):
        client.send(get("/x", f"Content-Length: {64 << 20}", method="POST"))
        for _ in range(64 << 4):
            client.socket.sendall(bytes(1 << 16))
            sent.append(1 << 16)

    with gateway.connect() as client:
        sender = threading.Thread(target=send, args=(client,), daemon=True)
        sender.start()
        wait_until(lambda: sent)
        time.sleep(0.5)
        paused = sum(sent)
        time.sleep(0.3)
        assert sum(sent) == paused < 32 << 20, "the gateway goes on reading although nobody takes it"
        going.set()
        sender.join(15)
        assert client.read_response("POST", 10).status == 200


def test_both_directions_at_once(gateway, origin):
    """An origin that answers while it still reads: neither side may wait for the other."""
    size = 16 << 20

    def echo(connection):
        connection.origin.records = False
        connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        missing = size
        while missing:
            data = connection.kept or connection.receive()
            connection.kept = b""
            connection.send(data)
            missing -= len(data)

    origin.serve(echo)
    with gateway.connect() as client:
        client.send(get("/x", f"Content-Length: {size}", method="POST"))
        sender = threading.Thread(target=lambda: [client.socket.sendall(BLOCK) for _ in range(size >> 20)], daemon=True)
        sender.start()
        assert client.read_head().status == 200
        assert drain(client, size) == size
        sender.join(10)


def test_pieces_of_an_answer_go_out_as_they_come(gateway, origin):
    """Server-sent events: nothing is held back until more comes."""
    steps: list[int] = []

    def serve(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            wait_until(lambda: len(steps) > number, 5)
            connection.send(b"8\r\ndata: %d\n\r\n" % number)
        connection.send(b"0\r\n\r\n")

    origin.serve(serve)
    with gateway.connect() as client:
        client.send(get("/x"))
        assert client.read_head().status == 200
        for number in range(3):
            steps.append(number)
            seen = client.read_some(2)
            assert b"data: %d\n" % number in seen
        while not seen.endswith(b"0\r\n\r\n"):
            seen += client.read_some(2)
