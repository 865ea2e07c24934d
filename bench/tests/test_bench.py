"""Tests of the benchmark itself: does it count what happened, and does it call a breach a breach?

    .venv/bin/python -m pytest bench/tests
"""
import contextlib
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import threading

import pytest

BENCH = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BENCH))

from sidebyside import figures, peers, report, tools, wire  # noqa: E402
from sidebyside.alone import count  # noqa: E402
from sidebyside.layout import THRESHOLDS, Layout, two_cores  # noqa: E402
from sidebyside.session import Session  # noqa: E402

FIRST_PORT = 25600


@pytest.fixture
def session():
    return Session(Layout(two_cores(None), FIRST_PORT), {}, rounds=1, seconds=0.3, new_tokens=0)


@pytest.fixture
def floor(session):
    tools.compile_tools()
    peer = peers.Floor(session.layout, 0, suffix="-test")
    peer.start()
    yield peer
    peer.stop()


def give(session, row, **samples):
    for peer, values in samples.items():
        session.samples.setdefault(row, {})[peer] = values


def cpu(*values):
    return [{"cpu_us_per_request": value} for value in values]


def verdicts(session, row):
    return {name: verdict for name, _, _, verdict in figures.judge(session, [row])}


def test_every_threshold_names_a_figure_and_one_bound(session):
    limits = json.loads(THRESHOLDS.read_text())
    # What bench/instructions counts and what bench/backend measures they compare themselves.
    others = ("instructions,", "backend,")
    assert {name for name in limits if not name.startswith(others)} == set(figures.figures(session))
    assert all(len(limit) == 1 and set(limit) <= set(figures.COMPARISONS) for limit in limits.values())


def test_ratio_is_the_median_of_the_rounds(session):
    # The machine is half as fast in two rounds, and slow for one of the two in a third.
    give(session, "plain", floor=cpu(8, 16, 8, 16, 8), gateway=cpu(8.8, 17.6, 16, 17.6, 8.8))
    assert figures.figures(session)["plain, × floor"] == pytest.approx(1.1)
    assert verdicts(session, "plain") == {"plain, × floor": "ok"}


def test_breach_is_found(session):
    give(session, "plain", floor=cpu(8), gateway=cpu(9.3))
    assert verdicts(session, "plain") == {"plain, × floor": "BREACH"}


def test_one_failed_window_leaves_the_figure_unmeasured(session):
    give(session, "plain", floor=cpu(8), gateway=cpu(8) + [{"error": "1 refused"}])
    assert verdicts(session, "plain") == {"plain, × floor": "not measured"}


def test_new_tokens_are_compared_with_the_bare_verification(session):
    give(session, "plain", gateway=cpu(8))
    give(session, "new", gateway=cpu(29), openssl=[{"rs256_us": 20.0}])
    assert figures.figures(session)["new, (new − plain) × bare verification"] == pytest.approx(1.05)


@pytest.mark.parametrize(("row", "key"), [("new-es256", "es256_us"), ("new-eddsa", "eddsa_us")])
def test_each_kind_of_token_is_compared_with_its_own_verification(session, row, key):
    give(session, "plain", gateway=cpu(8))
    give(session, row, gateway=cpu(98), openssl=[{"rs256_us": 20.0, "es256_us": 90.0, "eddsa_us": 90.0, key: 75.0}])
    assert verdicts(session, row) == {f"{row}, (new − plain) × bare verification": "ok"}
    assert figures.figures(session)[f"{row}, (new − plain) × bare verification"] == pytest.approx(1.2)
    give(session, row, gateway=cpu(99), openssl=[{key: 75.0}])
    assert verdicts(session, row) == {f"{row}, (new − plain) × bare verification": "BREACH"}


def test_new_rows_have_tokens_and_cells():
    assert set(wire.NEW_SHARE) == set(figures.BARE)
    for row in wire.NEW_SHARE:
        assert (row, "gateway") in wire.cells([row]) and (row, "openssl") in wire.cells([row])


def test_a_million_revocations_are_compared_with_none(session):
    give(session, "revocations", none=cpu(8), million=cpu(8.1))
    assert verdicts(session, "revocations") == {"revocations, a million × none": "ok"}
    give(session, "revocations", million=cpu(9))
    assert verdicts(session, "revocations") == {"revocations, a million × none": "BREACH"}


def test_single_allocation_is_a_breach(session):
    give(session, "counts-tokens", gateway=[{"allocations_per_request": 1e-6, "calls_per_request": 4.1}])
    assert verdicts(session, "counts")["counts, allocations per token request"] == "BREACH"


def test_cells_hold_the_floor_and_nothing_twice():
    cells = wire.cells(["plain", "rs256-1", "new"])
    assert ("plain", "floor") in cells and len(cells) == len(set(cells))


def test_floor_is_counted_exactly(session, floor, monkeypatch):
    monkeypatch.setattr(session, "load", without_tokens(session.load))
    sample = count(session, floor, 1)
    assert sample["allocations"] == 0
    # Two calls each for every request; 64 exchanges may straddle either end of the window.
    slack = 2 * 64 / sample["requests"]
    assert sample["calls"]["receive"] == pytest.approx(2, abs=slack)
    assert sample["calls"]["send"] == pytest.approx(2, abs=slack)


def without_tokens(load):
    def inner(mode, port, pids, **options):
        return load(mode, port, pids, **{key: value for key, value in options.items() if key not in "kn"})
    return inner


def test_large_answers_arrive_whole(session, floor):
    sample = session.load("closed", floor.port(peers.PLAIN), floor.pids, t=0.3, w=0.1, c=4, B=1 << 20)
    assert sample["broken"] == 0 and sample["bytes"] / sample["requests"] == pytest.approx(1 << 20, rel=0.2)


def test_proxy_without_origin_fails_the_window(session, floor):
    sample = session.load("closed", floor.port(peers.PLAIN), floor.pids, quiet=False, t=0.3, w=0.1, c=4)
    assert "error" in sample or sample["broken"] > 0


def test_websockets_are_measured_by_requests_over_as_many_connections(session):
    name = "websockets, message × floor's request, 1 000 connections"
    give(session, "plain", floor=cpu(10))
    give(session, "websockets", gateway=cpu(15.4), floor=cpu(15))
    assert verdicts(session, "websockets") == {name: "not measured"}
    give(session, "websockets-requests", floor=cpu(14))
    assert figures.figures(session)[name] == pytest.approx(1.1)
    assert report.against_floor(session, "websockets", "gateway", figures.CPU) == "1.03 × floor   1.54 × floor in plain"


def test_the_better_peer_is_the_measure(session):
    name = "h2, × the better of nginx and HAProxy"
    give(session, "h2", nginx=cpu(20), haproxy=cpu(17), gateway=cpu(15.3))
    assert figures.figures(session)[name] == pytest.approx(0.9) and verdicts(session, "h2") == {name: "ok"}
    give(session, "h2", nginx=cpu(16))
    assert verdicts(session, "h2") == {name: "BREACH"}
    give(session, "h2", haproxy=[{"error": "1 refused"}])
    assert verdicts(session, "h2") == {name: "not measured"}


def test_below_the_floor_is_below_it(session):
    give(session, "plain", floor=cpu(8))
    give(session, "h2-origin", gateway=cpu(8))
    assert verdicts(session, "h2-origin") == {"h2-origin, without token × floor": "BREACH"}
    give(session, "h2-origin", gateway=cpu(7.9))
    assert verdicts(session, "h2-origin") == {"h2-origin, without token × floor": "ok"}


@pytest.mark.parametrize(("row", "work", "key", "good", "bad"), [
    ("handshakes", "handshakes", "cpu_us_per_request", 89, 91),
    ("handshakes", "handshakes-rsa", "cpu_us_per_request", 89, 91),
    ("tls-bodies", "tls-bodies", "gb_per_cpu_second", 101, 99),
    ("tls-idle", "tls-idle", "bytes_each", 99, 101),
])
def test_tls_is_compared_with_nginx(session, row, work, key, good, bad):
    for value, verdict in ((good, "ok"), (bad, "BREACH")):
        give(session, work, nginx=[{key: 100}], gateway=[{key: value}])
        found = verdicts(session, row)
        assert [v for v in found.values() if v != "not measured"] == [verdict]


def test_no_peer_keeps_a_mark(session, tmp_path):
    kinds = (peers.Nginx, peers.HAProxy, peers.HAProxyWithCache, peers.Gateway)
    for kind in kinds:
        peer = kind(session.layout, 0)
        peer.folder = tmp_path
        assert "@" not in pathlib.Path(peer.render()).read_text().replace("@NAME@", "")


def test_streams_arrive_at_an_origin_of_http2(session, floor):
    options = {"2": 16, "c": 16}
    sample = session.load("closed", floor.port(peers.PLAIN), floor.pids, t=0.3, w=0.1, **options)
    assert sample["requests"] > 256 and (sample["broken"], sample["refused"]) == (0, 0)
    # Fields that were sent once are named in a byte; the path and what frames need are left.
    assert 30 < sample["request_bytes"] < 60


def test_tokens_are_sent_whole_in_streams(session, floor, tmp_path):
    token = "".join(chr(97 + i * 7 % 26) for i in range(739))
    (tmp_path / "tokens").write_text(token + "\n")
    options = {"2": 4, "c": 2, "k": tmp_path / "tokens", "n": 1}
    sample = session.load("closed", floor.port(peers.PLAIN), floor.pids, t=0.3, w=0.1, **options)
    # Huffman's code has 5 to 7 bits for these letters.
    assert 739 * 5 / 8 < sample["request_bytes"] < 739 and (sample["broken"], sample["refused"]) == (0, 0)


def test_streams_to_a_server_that_knows_none_fail_the_window(session):
    with server(lambda client: client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        sample = session.load("closed", port, t=0.2, w=0.1, c=1, **{"2": 4})
    assert sample.get("broken") or "error" in sample


def test_websockets_are_echoed(session, floor):
    sample = session.load("websockets", floor.port(peers.PLAIN), floor.pids, t=0.3, w=0.1, c=100, W=200)
    assert sample["requests"] > 200 and (sample["broken"], sample["refused"]) == (0, 0)
    assert sample["bytes"] / sample["requests"] == pytest.approx(34, rel=0.05)


def test_websocket_that_answers_something_else_fails_the_window(session):
    def answer(client):
        client.recv(4096)
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        while client.recv(4096):
            client.sendall(b"\x81\x20" + bytes(32))
    with server(answer) as port:
        sample = session.load("websockets", port, t=0.2, w=0.1, c=1)
    assert sample.get("broken") or "error" in sample


def test_full_handshakes_are_counted(session, certificate):
    context = tls_context(certificate)
    with server(lambda client: None, lambda: context) as port:
        sample = session.load("handshakes", port, t=0.3, w=0.1, c=4)
    assert sample["requests"] > 4 and (sample["broken"], sample["refused"]) == (0, 0)


def test_resumed_handshakes_are_resumed(session, certificate):
    context = tls_context(certificate)
    with server(lambda client: None, lambda: context) as port:
        sample = session.load("handshakes", port, t=0.3, w=0.1, c=4, R=True)
    assert sample["requests"] > 4 and (sample["broken"], sample["refused"]) == (0, 0)


def test_handshake_that_was_not_resumed_counts_as_refused(session, certificate):
    # Each connection has keys of its own for its tickets, so that no other knows them.
    with server(lambda client: None, lambda: tls_context(certificate)) as port:
        sample = session.load("handshakes", port, t=0.3, w=0.1, c=4, R=True)
    assert sample["refused"] >= sample["requests"] - 4 > 0


@contextlib.contextmanager
def server(serve, context=None):
    """A server on a port of its own: `serve` is given each connection, in a thread; over TLS if there is a context."""
    def run(client):
        with contextlib.suppress(OSError), client:
            if context:
                client = context().wrap_socket(client, server_side=True)
            serve(client)
            while client.recv(4096):
                pass
            client.close()

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=run, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=localhost", "-keyout", folder / "key", "-out", folder / "crt"], check=True, capture_output=True)
    return folder


def tls_context(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    return context


def test_unknown_row_is_refused():
    done = subprocess.run([BENCH / "run", "no-such-row"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "no row no-such-row" in done.stderr


def test_wrk_wants_a_token_file():
    done = subprocess.run([BENCH / "wrk" / "run", "http://127.0.0.1:1/", "one-token"], capture_output=True, timeout=30)
    assert done.returncode == 2
