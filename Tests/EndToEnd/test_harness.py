"""The pieces that the other tests stand on must themselves be able to fail."""

import json

import jwt
import pytest

from harness import prometheus
from harness.origin import OK, Origin, answering, then_closing
from harness.raw import Client, MalformedAnswer, TruncatedAnswer, chunked, get, post
from harness.tokens import AUDIENCE, ISSUER, SigningKey, key_set, non_canonical, unb64


@pytest.fixture
def direct():
    """A client that talks to a scripted origin without a gateway between them."""
    origin = Origin()
    yield origin
    origin.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokXX",
        b"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ],
)
def test_client_refuses_malformed_answers(direct, answer):
    direct.serve(answering(answer))
    with Client(direct.port) as client, pytest.raises(MalformedAnswer):
        client.request(get("/x"))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    ],
)
def test_client_notices_cut_answers(direct, answer):
    direct.serve(then_closing(answer))
    with Client(direct.port) as client, pytest.raises(TruncatedAnswer):
        client.request(get("/x"))


def test_client_tells_kept_from_closed_connections(direct):
    with Client(direct.port) as client:
        assert client.request(get("/x")).body == b"ok"
        client.expect_quiet(0.05)
        with pytest.raises(AssertionError):
            client.expect_close(0.05)
        direct.close_connections()
        client.expect_close()
        with pytest.raises(AssertionError):
            client.expect_quiet(0.05)


def test_client_notices_bytes_after_an_answer(direct):
    direct.serve(answering(OK + b"x"))
    with Client(direct.port) as client:
        assert client.request(get("/x")).body == b"ok"
        with pytest.raises(AssertionError):
            client.expect_quiet(0.05)


def test_origin_records_every_byte(direct):
    data = get("/a") + post("/b", b"hello") + chunked("/c", b"one", b"two")
    with Client(direct.port) as client:
        client.send_in_pieces(data, 3)
        assert [client.read_response().status for _ in range(3)] == [200] * 3
    assert direct.received == data
    assert [(seen.method, seen.target, seen.body) for seen in direct.requests] == [
        ("GET", "/a", b""),
        ("POST", "/b", b"hello"),
        ("POST", "/c", b"onetwo"),
    ]
    direct.reset()
    assert direct.received == b"" and direct.requests == []


GOOD_METRICS = """# HELP a_total Help.
# TYPE a_total counter
a_total{x="1"} 5
a_total{x="2\\"\\\\\\n"} 7
# HELP h Help.
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 2
h_sum 3
h_count 2
"""


def test_metrics_are_read():
    metrics = prometheus.parse(GOOD_METRICS)
    assert metrics.sum("a_total") == 12 and metrics.sum("a_total", x="1") == 5 and metrics.sum("none") == 0
    assert metrics.label_values("x") == {"1", '2"\\\n'}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('a_total{x="1"} 5', 'a_total{x="1"} 5\na_total{x="1"} 5'),
        ("} 5", "} five"),
        ('x="1"', "x=1"),
        ("} 5", "} -5"),
        ("# TYPE a_total counter\n", ""),
        ("a_total", "a"),
        ("h_count 2", "h_count 3"),
        ('le="+Inf"', 'le="2"'),
        ('h_bucket{le="1"} 1', 'h_bucket{le="1"} 4'),
        ("h_sum 3", "h_sum 3\na_total 1"),
        ("# HELP a_total Help.", "# NOTE x"),
    ],
)
def test_malformed_metrics_are_refused(before, after):
    with pytest.raises((prometheus.MetricsError, ValueError)):
        prometheus.parse(GOOD_METRICS.replace(before, after))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_tokens_are_what_another_library_expects(algorithm):
    key = SigningKey(algorithm, "k1")
    token = key.token()
    public = jwt.PyJWKSet.from_dict(json.loads(json.dumps(key_set(key))))["k1"]
    claims = jwt.decode(token, public, algorithms=[algorithm], issuer=ISSUER, audience=AUDIENCE)
    assert claims["sub"] == "alice"
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(SigningKey(algorithm, "k1").token(), public, algorithms=[algorithm], audience=AUDIENCE)


@pytest.mark.parametrize("segment", ["YQ", "YWI"])
def test_non_canonical_spelling_has_the_same_bytes(segment):
    other = non_canonical(segment)
    assert other != segment and unb64(other) == unb64(segment)
