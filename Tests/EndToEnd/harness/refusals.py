"""What a refusal must look like from every side: client, origin, metric and log."""

import time

from .gateway import Gateway
from .origin import Origin
from .raw import Client, Response, get
from .waiting import wait_until

# How the bytes of an attack arrive: at once, in small segments, or directly behind a good request.
DELIVERIES = ("whole", "in_pieces", "pipelined")
GOOD = get("/good")


def deliver(client: Client, data: bytes, how: str) -> None:
    """Sends `data`; for "pipelined" a good request goes before it, and its answer is read and checked."""
    if how == "whole":
        client.send(data)
    elif how == "in_pieces":
        client.send_in_pieces(data, size=1 if len(data) < 400 else max(1, len(data) // 100))
    else:
        client.send(GOOD + data)
        assert client.read_response().status == 200


def expect_refusal(
    gateway: Gateway,
    origin: Origin,
    data: bytes,
    status: int,
    code: str,
    *,
    closed: bool,
    how: str = "whole",
    method: str = "GET",
    reaches_origin: bool = False,
) -> Response:
    """Sends `data` and checks the whole refusal: answer, connection, origin, counter, log."""
    origin.reset()
    before = gateway.rejected(code)
    with gateway.connect() as client:
        deliver(client, data, how)
        response = client.read_response(method)
        check_answer(response, status, code, closed, method)
        if closed:
            client.expect_close()
        else:
            assert client.request(GOOD).status == 200
    if not reaches_origin:
        expect_only_good_at(origin)
    wait_until(
        lambda: gateway.rejected(code) == before + 1,
        2,
        what=f"gateway_rejected_total{{reason={code}}} goes up by one from {before}",
    )
    gateway.wait_for_log_line(lambda line: code in (line.get("auth_reason"), line.get("parse_reason")))
    return response


def check_answer(response: Response, status: int, code: str, closed: bool, method: str = "GET") -> None:
    """Status, machine code in body and field, no caching, and whether the connection is announced to end."""
    assert response.status == status, f"{response.status} instead of {status}: {response.body!r}"
    if method != "HEAD":
        assert response.code == code
        assert response.json()["status"] == status
    assert response.get("gateway-error") == code
    assert response.get("cache-control") == "no-store"
    assert response.says_close == closed, response.raw_head
    if status == 401:
        assert response.all("www-authenticate"), "a 401 always carries a challenge"
    if status == 405:
        assert response.get("allow"), "a 405 always carries Allow"


def expect_only_good_at(origin: Origin) -> None:
    """Not one byte of anything but good requests has come to the origin."""
    time.sleep(0.02)
    rest = origin.received
    for request in list(origin.requests):
        assert request.target == "/good", f"the origin saw {request.head!r}"
        rest = rest.replace(request.head, b"", 1)
    assert rest == b"", f"the origin saw {rest[:500]!r}"


def check_invalid_token(response: Response, code: str, closed: bool = False) -> None:
    """The 401 of RFC 6750 §3.1 for a token that is no good."""
    check_answer(response, 401, code, closed)
    challenge = response.get("www-authenticate")
    assert challenge.startswith('Bearer realm="'), challenge
    assert 'error="invalid_token"' in challenge and 'error_description="' in challenge, challenge
