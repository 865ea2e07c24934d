"""Access logs as text and JSON, and what strangers can write into them (security row R10)."""

import json
import re
import signal
import time

import pytest

from harness.raw import get, post
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log @folder@/error.log notice;
log_format own '$remote_addr "$request" $status $body_bytes_sent $http_x_tag';
access_log @folder@/access.log json;
server {
    listen 127.0.0.1:@port@;
    auth off;
    location / { proxy_pass http://@origin@; }
    location /main/ { access_log @folder@/main.log main; return 200 "hello"; }
    location /own/ { access_log @folder@/own.log own; return 200 "hello"; }
    location /off/ { access_log off; return 200 "hello"; }
}
"""


def lines(gateway, name: str, count: int = 1) -> list[str]:
    file = gateway.folder / name
    wait_until(
        lambda: file.exists() and len(file.read_text(errors="replace").splitlines()) >= count,
        3,
        what=f"{count} lines in {name}",
    )
    return file.read_text().splitlines()


def test_json_has_every_field(gateway, origin):
    assert gateway.request(post("/json-1?a=b", b"hello", "User-Agent: test/1", "Referer: http://r/")).status == 200
    line = gateway.wait_for_log_line(lambda line: line["path"] == "/json-1?a=b")
    assert line["status"] == 200 and line["method"] == "POST" and line["remote_addr"] == "127.0.0.1"
    assert line["host"] == "localhost" and line["protocol"] == "HTTP/1.1" and line["user_agent"] == "test/1"
    assert line["referer"] == "http://r/" and line["body_bytes_sent"] == 2
    assert line["request_id"] == origin.last.get("x-request-id")
    assert line["upstream"] == origin.address and line["upstream_status"] == 200
    assert 0 <= line["request_time"] < 5 and 0 <= line["upstream_response_time"] < 5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_one_line_for_each_request(gateway, origin):
    with gateway.connect() as client:
        client.send(b"".join(get(f"/one-{n}") for n in range(50)))
        for _ in range(50):
            assert client.read_response().status == 200
    gateway.wait_for_log_line(lambda line: line["path"] == "/one-49")
    paths = [line["path"] for line in gateway.access_log() if line["path"].startswith("/one-")]
    assert paths == [f"/one-{n}" for n in range(50)]


def test_client_that_vanishes_is_logged_too(gateway, origin):
    origin.serve(lambda c: (c.read_request(), c.wait_for_end()))
    client = gateway.connect()
    client.send(get("/vanished"))
    origin.wait_for(1)
    client.reset()
    gateway.wait_for_log_line(lambda line: line["path"] == "/vanished")


def test_own_format_and_off(gateway, origin):
    assert gateway.request(get("/own/x?y", "X-Tag: a b")).status == 200
    assert lines(gateway, "own.log")[-1] == '127.0.0.1 "GET /own/x?y HTTP/1.1" 200 5 a b'
    assert gateway.request(get("/main/x")).status == 200
    assert '"GET /main/x HTTP/1.1" 200 5' in lines(gateway, "main.log")[-1]
    assert gateway.request(get("/off/x")).status == 200
    assert gateway.request(get("/after-off")).status == 200
    gateway.wait_for_log_line(lambda line: line["path"] == "/after-off")
    assert not any(line["path"] == "/off/x" for line in gateway.access_log())


@pytest.mark.parametrize(
    "value",
    [
        'a" 200 0 "',
        "a\\",
        "\x80\xff\xfe",
        "\u00e9",
        "a\tb",
        "\x1b[31mred",
        "\x9b31m",
        "</script>",
        '","status":0,"x":"',
    ],
)
def test_R10_nothing_leaves_its_field(gateway, origin, value):
    raw = (
        b"GET /%s HTTP/1.1\r\nHost: localhost\r\nX-Tag: "
        + value.encode("latin-1")
        + b"\r\nUser-Agent: "
        + value.encode("latin-1")
        + b"\r\n\r\n"
    )
    with gateway.connect() as client:
        allowed = "\x1b" not in value
        for path in (b"own/inject", b"json-inject"):
            client.send(raw % path)
            response = client.read_response()
            assert response.status == (200 if allowed else 400)
            if not allowed:
                break
    if not allowed:
        return
    text = lines(gateway, "own.log")[-1]
    assert text.startswith('127.0.0.1 "GET /own/inject HTTP/1.1" 200 5 ') and text.count('"') == 2
    assert all(0x20 <= ord(c) < 0x7F for c in text)
    line = gateway.wait_for_log_line(lambda line: line["path"] == "/json-inject")
    assert line["status"] == 200


def test_R10_lines_stay_lines(gateway, origin):
    """However the target is spelt, each line of the file is one JSON object."""
    for path in ('/"x"', "/%0a%0d%22", "/'", "/%00"):
        gateway.request(get(path))
    gateway.request(get("/lines-end"))
    gateway.wait_for_log_line(lambda line: line["path"] == "/lines-end")
    for line in (gateway.folder / "access.log").read_bytes().splitlines():
        json.loads(line)


@pytest.mark.parametrize(
    "target",
    ["/q?access_token=verysecret1", "/q?x=1&token=verysecret2", "/q?a=eyJhbGciOiJub25lIn0.eyJhIjoxfQ.verysecret3"],
)
def test_R10_secrets_in_a_target_are_masked(gateway, origin, target):
    count = len(gateway.access_log())
    gateway.request(get(target))
    gateway.request(get("/marker"))
    wait_until(lambda: len(gateway.access_log()) >= count + 2)
    assert "verysecret" not in (gateway.folder / "access.log").read_text()


def test_R10_floods_of_bad_requests_are_rate_limited(gateway, origin):
    for _ in range(300):
        with gateway.connect() as client:
            client.send(b"BAD\x01\r\n\r\n")
            client.read_response()
    file = gateway.folder / "error.log"
    assert not file.exists() or len(file.read_text().splitlines()) < 150


def test_logs_are_reopened(gateway, origin):
    moved = gateway.folder / "access.log.1"
    gateway.request(get("/before-rotation"))
    gateway.wait_for_log_line(lambda line: line["path"] == "/before-rotation")
    (gateway.folder / "access.log").rename(moved)
    gateway.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    gateway.request(get("/after-rotation"))
    wait_until(lambda: (gateway.folder / "access.log").exists(), 3, what="a new file")
    gateway.wait_for_log_line(lambda line: line["path"] == "/after-rotation")
    assert "after-rotation" not in moved.read_text()
    moved.unlink()
