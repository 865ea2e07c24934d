"""More work than there is room for, clients that vanish in the middle of it, and what is left afterwards."""

import random
import subprocess
import threading
import time

from harness.raw import Client, get, post
from harness.tokens import AUDIENCE, ISSUER, bearer
from harness.waiting import wait_until

import pytest

CONFIGURATION = f"""
worker_processes 2;
error_log stderr notice;
admin {{ listen 127.0.0.1:@admin_port@; }}
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
server {{
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth off;
    location / {{ proxy_pass http://@origin@; }}
    location /own {{ return 200 "own\\n"; }}
    location /api/ {{ auth main; require permission read:data; return 200 "$auth_subject\\n"; }}
}}
"""


@pytest.fixture(scope="module")
def values(localhost, key_file):
    return localhost | {"keys": key_file}


def vanish(gateway, authority, ended: threading.Event) -> None:
    """Connects, does something unfinished, and goes without a word, over and over."""
    chance, tls = random.Random(7), authority.client_context()
    while not ended.is_set():
        secure = chance.random() < 0.3
        try:
            client = Client(gateway.tls_port, tls=tls) if secure else gateway.connect()
            if secure:
                client.socket.settimeout(1)
            whole = chance.choice([get("/x"), post("/x", b"x" * 5000), get("/own") * 3, get("/api/")])
            client.socket.sendall(whole[: chance.randint(0, len(whole))])
            if chance.random() < 0.3:
                client.socket.settimeout(0.05)
                client.socket.recv(chance.randint(1, 50))
        except OSError:
            pass
        if chance.random() < 0.5 and not secure:
            client.reset()
        else:
            client.close()


def test_clients_that_vanish_under_load(gateway, origin, authority):
    before, ended = gateway.resident_bytes(), threading.Event()
    threads = [threading.Thread(target=vanish, args=(gateway, authority, ended), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    done = subprocess.run(
        ["wrk", "-t1", "-c100", "-d3s", f"http://127.0.0.1:{gateway.port}/own"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    ended.set()
    for thread in threads:
        thread.join(5)
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
    wait_until(lambda: gateway.metrics().sum("gateway_connections_active") == 0, 12, what="everything drains")
    assert gateway.resident_bytes() - before < 32 << 20
    assert gateway.request(get("/x")).status == 200


def test_nobody_gets_the_answer_of_somebody_else(gateway, origin, rsa_key):
    """Many clients with many identities through a few upstream connections and caches."""

    def echo(connection):
        request = connection.read_request()
        body = f"{request.target} {request.get('x-tag')}".encode()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    origin.serve(echo)
    failures: list[str] = []
    tokens = {f"sub-{n}": rsa_key.token(sub=f"sub-{n}") for n in range(20)}

    def ask(number: int) -> None:
        chance = random.Random(number)
        with gateway.connect() as client:
            for turn in range(60):
                tag = f"{number}-{turn}"
                if chance.random() < 0.5:
                    answer = client.request(get(f"/echo/{tag}", f"X-Tag: {tag}")).body.decode()
                    wanted = f"/echo/{tag} {tag}"
                else:
                    subject = chance.choice(list(tokens))
                    answer = client.request(get("/api/x", bearer(tokens[subject]))).body.decode()
                    wanted = f"{subject}\n"
                if answer != wanted:
                    failures.append(f"{answer!r} instead of {wanted!r}")

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(24)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    assert not failures, failures[:5]
    assert time.monotonic() - started < 25
