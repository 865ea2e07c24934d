"""Whom a request is from when a proxy passed it on: X-Forwarded-For, -Proto, -Host of `trusted_proxies` (row A10)."""

import json
import random
import signal
import socket
import struct

import pytest

from harness import peers
from harness.backend import backend_key, prepare  # noqa: F401
from harness.gateway import run_command
from harness.origin import OK, Connection
from harness.raw import Client, get, post
from harness.streams import PREFACE, SETTINGS, Session, frame, request
from harness.tokens import AUDIENCE, ISSUER, bearer
from harness.waiting import wait_until

FRONT = "127.0.0.1"
PROXIES = "127.0.0.1 127.0.0.8/29 10.0.0.0/8 2001:db8:1::/48"
CONFIGURATION = f"""
worker_processes 1;
error_log stderr info;
access_log @folder@/access.log json;
log_format plain '$remote_addr $remote_port $uri';
http2 on;
trusted_proxies {PROXIES} unix:;
auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; }}
auth_provider baked jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file @keys@; token_from cookie session; }}
server {{
    listen 127.0.0.1:@port@;
    listen unix:gateway.sock;
    server_name localhost;
    auth off;
    client_header_size 128k;
    client_header_line_size 64k;
    location / {{ proxy_pass http://@origin@; proxy_set_header X-Seen "$remote_addr $remote_port $scheme"; }}
    location /plain {{ access_log @folder@/plain.log plain; return 200 "$remote_addr\\n"; }}
    location /own/ {{
        proxy_pass http://@origin@;
        proxy_set_header X-Real-IP $remote_addr;
    }}
    location /mine/ {{ auth main; require claim ip = $remote_addr; proxy_pass http://@origin@; }}
    location /baked/ {{ auth baked; proxy_pass http://@origin@; }}
    location /told/ {{ proxy_pass http://@origin@; proxy_protocol on; }}
    location /framed/ {{ proxy_pass http://@framed@; proxy_http_version 2; }}
}}
server {{
    listen 127.0.0.1:@wary_port@;
    server_name wary;
    trusted_proxies 192.0.2.0/24;
    auth off;
    location / {{ proxy_pass http://@origin@; proxy_set_header X-Seen "$remote_addr $scheme"; }}
}}
server {{
    listen 127.0.0.1:@named_port@ proxy_protocol;
    server_name named;
    auth off;
    location / {{ proxy_pass http://@origin@; proxy_set_header X-Seen "$remote_addr $remote_port"; }}
}}
server {{
    # The address is the first server's, whose proxies count.
    listen 127.0.0.1:@port@;
    server_name second;
    trusted_proxies none;
    auth off;
    location / {{ proxy_pass http://@origin@; }}
}}
"""

# As strict as we are about addresses, and as trusting.
NGINX = """
server {
    listen 127.0.0.1:@nginx@;
    set_real_ip_from 127.0.0.1; set_real_ip_from 127.0.0.8/29; set_real_ip_from 10.0.0.0/8;
    set_real_ip_from 2001:db8:1::/48;
    real_ip_header X-Forwarded-For; real_ip_recursive on;
    location / { return 200 "$remote_addr\\n"; }
    location /pass/ {
        proxy_pass http://127.0.0.1:@haproxy@; proxy_bind 127.0.0.9;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Host $http_host;
    }
}
"""
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    option forwardfor
listen front
    bind 127.0.0.1:@front@
    http-request set-header X-Forwarded-Proto https
    server gateway 127.0.0.1:@port@ source 127.0.0.10
"""

SPOOFED = {
    "X-Forwarded-For": "203.0.113.66",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "4430",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Uri": "/admin",
    "X-Forwarded-Prefix": "/admin",
    "Forwarded": "for=203.0.113.66;proto=https;host=evil.example",
    "X-Real-IP": "203.0.113.66",
    "True-Client-IP": "203.0.113.66",
    "X-Original-URL": "/admin",
    "X-Rewrite-URL": "/admin",
}


@pytest.fixture(scope="module")
def values(key_file, module_framed):
    return {"keys": key_file, "framed": module_framed.address}


class Sender:
    """Sends the same request over either version of HTTP, each time on the connection that it has."""

    def __init__(self, version: str, port: int):
        self.version, self.connection = version, Client(port) if version == "1" else Session(port)

    def send(self, path: str, *fields: str, method: str = "GET", host: str = "localhost"):
        if self.version == "1":
            return self.connection.request(get(path, *fields, method=method, host=host))
        pairs = [field.split(": ", 1) for field in fields]
        more = [(name.lower(), value) for name, value in pairs]
        return self.connection.request(request(path, *more, method=method, host=host))


@pytest.fixture(params=["1", "2"])
def version(request):
    return request.param


@pytest.fixture
def sender(gateway, version):
    made = Sender(version, gateway.port)
    yield made
    made.connection.close()


def forwarded(origin) -> tuple[str | None, ...]:
    return tuple(origin.last.get(name) for name in ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"))


# -- who is believed


def test_A10_nobody_else_is_believed(gateway, origin, version):
    sender = Sender(version, gateway.values["wary_port"])
    with sender.connection:
        assert sender.send("/x", *map(": ".join, SPOOFED.items()), host="wary").status == 200
    assert forwarded(origin) == (FRONT, "http", "wary")
    assert origin.last.get("x-seen") == f"{FRONT} http"
    head = origin.last.head
    assert not any(word in head for word in (b"203.0.113.66", b"evil", b"/admin", b"4430", b"https"))


def test_A10_another_address_at_the_same_door_is_not_believed(gateway, origin):
    with socket.create_connection((FRONT, gateway.port), 5, ("127.0.0.77", 0)) as client:
        client.sendall(get("/x", *map(": ".join, SPOOFED.items()), "Connection: close"))
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert forwarded(origin) == ("127.0.0.77", "http", "localhost")


def test_A10_a_trusted_proxy_names_the_client(gateway, origin, sender):
    assert sender.send("/one", *map(": ".join, SPOOFED.items())).status == 200
    assert forwarded(origin) == (f"203.0.113.66, {FRONT}", "https", "evil.example")
    assert origin.last.get("x-seen") == "203.0.113.66 0 http"
    # What the proxy does not say in these three fields goes nowhere, whoever says it.
    assert b"/admin" not in origin.last.head and b"4430" not in origin.last.head
    names = set(origin.last.names())
    assert not names & {"forwarded", "x-real-ip", "x-forwarded-port", "x-original-url", "true-client-ip"}
    line = gateway.wait_for_log_line(lambda line: line["path"] == "/one" and line["protocol"] != "-")
    assert (line["remote_addr"], line["remote_port"]) == ("203.0.113.66", 0)


def test_A10_each_request_of_a_connection_is_from_somebody(gateway, origin, sender):
    clients = ["203.0.113.1", None, "203.0.113.2", "unknown", "2001:db8::5", None]
    for client in clients:
        fields = [f"X-Forwarded-For: {client}"] if client else []
        assert sender.send("/each", *fields).status == 200
        is_address = client not in (None, "unknown")
        assert origin.last.get("x-forwarded-for") == (f"{client}, {FRONT}" if is_address else FRONT)
        assert origin.last.get("x-seen").split()[0] == (client if is_address else FRONT)


def test_A10_streams_at_once_are_from_different_clients(gateway, origin):
    with Session(gateway.port) as session:
        numbers = [
            session.begin(request(f"/at-once/{i}", ("x-forwarded-for", f"203.0.113.{i}"))) for i in range(1, 21)
        ]
        for number in numbers:
            assert session.wait_for(number).status == 200
    found = {seen.target: seen.get("x-forwarded-for") for seen in origin.requests}
    assert found == {f"/at-once/{i}": f"203.0.113.{i}, {FRONT}" for i in range(1, 21)}


def test_A10_the_default_server_of_the_address_says_who_is_believed(gateway, origin, sender):
    assert sender.send("/x", "X-Forwarded-For: 203.0.113.1", host="second").status == 200
    assert origin.last.get("x-forwarded-for") == f"203.0.113.1, {FRONT}"


def test_A10_a_UNIX_peer(gateway, origin):
    def ask(*fields: str) -> str:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(gateway.folder / "gateway.sock"))
            client.sendall(get("/unix", *fields, "Connection: close"))
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        return origin.last.get("x-forwarded-for")

    assert ask("X-Forwarded-For: 1.2.3.4, 203.0.113.1, 10.0.0.1") == "203.0.113.1, 10.0.0.1"
    assert ask() == "unix:"


# -- chains


@pytest.mark.parametrize(
    ("fields", "client", "chain"),
    [
        (["1.2.3.4, 203.0.113.7, 10.0.0.2"], "203.0.113.7", ["203.0.113.7", "10.0.0.2"]),
        (["1.2.3.4", "203.0.113.7", "10.0.0.2"], "203.0.113.7", ["203.0.113.7", "10.0.0.2"]),
        (["203.0.113.7,10.0.0.2 ,127.0.0.9"], "203.0.113.7", ["203.0.113.7", "10.0.0.2", "127.0.0.9"]),
        (["203.0.113.7:4711, 10.0.0.2:80"], "203.0.113.7:4711", ["203.0.113.7", "10.0.0.2"]),
        (["2001:DB8::0:7, 2001:db8:1::2"], "2001:db8::7", ["2001:db8::7", "2001:db8:1::2"]),
        (["[2001:db8::7]:4711, [2001:db8:1::2]"], "2001:db8::7:4711", ["2001:db8::7", "2001:db8:1::2"]),
        (["::ffff:203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7", ["203.0.113.7", "10.0.0.2"]),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3", ["10.0.0.3", "10.0.0.2"]),
        # What is no address ends what is believed: the last proxy that was seen is the client.
        (["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2", ["10.0.0.2"]),
        (["203.0.113.7, 10.0.0.300, 10.0.0.2, 10.0.0.1"], "10.0.0.2", ["10.0.0.2", "10.0.0.1"]),
        (["203.0.113.7", "for=10.0.0.3", "10.0.0.2"], "10.0.0.2", ["10.0.0.2"]),
        (["203.0.113.7, 10.0.0.2, _x"], None, []),
        (["<script>"], None, []),
        ([""], None, []),
        ([", ,"], None, []),
        ([", 203.0.113.7, ,"], "203.0.113.7", ["203.0.113.7"]),
    ],
)
def test_A10_chains(gateway, origin, sender, fields, client, chain):
    assert sender.send("/chain", *[f"X-Forwarded-For: {value}" for value in fields]).status == 200
    assert origin.last.get("x-forwarded-for") == ", ".join([*chain, FRONT])
    seen = origin.last.get("x-seen").split()[:2]
    if client is None:
        assert seen[0] == FRONT and seen[1] != "0"
    else:
        address, port = (client[:-5], "4711") if client.endswith(":4711") else (client, "0")
        assert seen == [address, port]


@pytest.mark.parametrize("size", [31, 32, 33, 500, 5000])
def test_A10_a_list_without_end(gateway, origin, sender, size):
    hops = ["203.0.113.7"] + ["10.0.0.2"] * size
    value = ",".join(hops)
    assert sender.send("/long", f"X-Forwarded-For: {value}").status == 200
    found = origin.last.get("x-forwarded-for").split(", ")
    assert found == (hops if size < 32 else hops[-32:]) + [FRONT]
    # A client's own list, however long, is cut off behind the proxy that saw it.
    spoofed = ",".join(["198.51.100.1"] * size + ["203.0.113.7", "10.0.0.2"])
    assert sender.send("/long", f"X-Forwarded-For: {spoofed}").status == 200
    assert origin.last.get("x-forwarded-for") == f"203.0.113.7, 10.0.0.2, {FRONT}"


def test_A10_disguised_names_say_nothing(gateway, origin):
    fields = ["X_Forwarded_For: 203.0.113.7", "x_forwarded_proto: https", "X-Forwarded_Host: evil"]
    assert gateway.request(get("/x", *fields)).status == 200
    assert forwarded(origin) == (FRONT, "http", "localhost")
    # Whoever may name a field in Connection cannot hide what a proxy wrote.
    fields = ["X-Forwarded-For: 203.0.113.7", "Connection: X-Forwarded-For"]
    assert gateway.request(get("/x", *fields)).status == 200
    assert forwarded(origin)[0] == f"203.0.113.7, {FRONT}"


@pytest.mark.parametrize(
    ("fields", "scheme", "host"),
    [
        (["X-Forwarded-Proto: HTTPS"], "https", "localhost"),
        (["X-Forwarded-Proto: http"], "http", "localhost"),
        (["X-Forwarded-Proto: https, http"], "http", "localhost"),
        (["X-Forwarded-Proto: https", "X-Forwarded-Proto: https"], "http", "localhost"),
        (["X-Forwarded-Proto: javascript"], "http", "localhost"),
        (["X-Forwarded-Host: shop.example:8443"], "http", "shop.example:8443"),
        (["X-Forwarded-Host: [2001:db8::1]:8443"], "http", "[2001:db8::1]:8443"),
        (["X-Forwarded-Host: a", "X-Forwarded-Host: b"], "http", "localhost"),
        (["X-Forwarded-Host: a, b"], "http", "localhost"),
        (["X-Forwarded-Host: evil/path"], "http", "localhost"),
        (["X-Forwarded-Host: user@evil"], "http", "localhost"),
        (["Forwarded: proto=https;host=evil"], "http", "localhost"),
    ],
)
def test_A10_scheme_and_host(gateway, origin, sender, fields, scheme, host):
    assert sender.send("/x", *fields).status == 200
    assert forwarded(origin) == (FRONT, scheme, host)
    # How the connection came to us is another matter.
    assert origin.last.get("x-seen").split()[2] == "http"


def test_A10_what_the_configuration_says_itself(gateway, origin, sender):
    fields = ["X-Forwarded-For: 1.2.3.4, 203.0.113.7", "X-Forwarded-Proto: https", "X-Real-IP: 1.2.3.4"]
    assert sender.send("/own/x", *fields).status == 200
    assert origin.last.get("x-real-ip") == "203.0.113.7"


def test_A10_an_upstream_of_HTTP_2(gateway, framed, sender):
    assert sender.send("/framed/x", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https").status == 200
    assert framed.calls[-1].get("x-forwarded-for") == f"203.0.113.7, {FRONT}"
    assert framed.calls[-1].get("x-forwarded-proto") == "https"


# -- programs of others


@pytest.fixture
def others(gateway, tmp_path):
    """The ports of haproxy before the gateway, and of nginx before haproxy."""
    with peers.haproxy(tmp_path, HAPROXY, ["front"], port=gateway.port) as taken:
        with peers.nginx(tmp_path, NGINX.replace("@haproxy@", str(taken["front"]))) as port:
            yield port


def test_A10_behind_haproxy_behind_nginx(gateway, origin, others):
    for client, spoofed in (("127.0.0.77", []), ("127.0.0.78", ["X-Forwarded-For: 203.0.113.66, 10.0.0.1"])):
        # The source address is ours to choose on loopback: a client that is no proxy.
        with socket.create_connection((FRONT, others), 5, (client, 0)) as plain:
            plain.sendall(get("/pass/x", *spoofed, "X-Forwarded-Proto: gopher", "Connection: close", host="shop"))
            assert plain.recv(100).startswith(b"HTTP/1.1 200")
        assert forwarded(origin) == (f"{client}, 127.0.0.9, 127.0.0.10", "https", "shop")


def test_A10_nginx_finds_the_same_client(gateway, others):
    """Lists of addresses, as trusted peers would send them; random, with a seed that is told."""
    seed = random.getrandbits(32)
    chance = random.Random(seed)
    entries = ["10.0.0.1", "10.9.9.9:80", "127.0.0.9", "2001:db8:1::5", "[2001:db8:1::6]:90", "203.0.113.7"]
    entries += ["198.51.100.1:4711", "2001:db8::7", "[2001:DB8::8]:1", "0.0.0.0", "127.0.0.16", "11.0.0.1"]
    with gateway.connect() as ours, Client(others) as theirs:
        for _ in range(200):
            chain = chance.choice([", ", ","]).join(chance.choices(entries, k=chance.randrange(1, 8)))
            field = f"X-Forwarded-For: {chain}"
            found = ours.request(get("/plain", field)).body
            assert found == theirs.request(get("/", field)).body, f"seed {seed}: {chain}"


# -- what the address decides


def test_A10_logs(gateway, sender):
    for client, port in (("203.0.113.31", "0"), ("203.0.113.32", "4711")):
        suffix = "" if port == "0" else f":{port}"
        answer = sender.send(f"/plain/{client}", f"X-Forwarded-For: {client}{suffix}")
        assert answer.body == f"{client}\n".encode()
        wanted = f"{client} {port} /plain/{client}"
        log = gateway.folder / "plain.log"
        wait_until(lambda wanted=wanted, log=log: log.exists() and wanted in log.read_text(), 3)
    assert sender.send("/mine/x", "X-Forwarded-For: 203.0.113.33").status == 401
    gateway.wait_for_notice("client: 203.0.113.33, request:")


def test_A10_rules(gateway, origin, sender, rsa_key):
    token = bearer(rsa_key.token(ip="203.0.113.40"))
    assert sender.send("/mine/x", token, "X-Forwarded-For: 203.0.113.40").status == 200
    assert sender.send("/mine/x", token, "X-Forwarded-For: 203.0.113.40, 10.0.0.1").status == 200
    for spoofed in ("203.0.113.40, 203.0.113.41", "203.0.113.41", "203.0.113.40, unknown", "203.0.113.40, 10.0.0.1, x"):
        assert sender.send("/mine/x", token, f"X-Forwarded-For: {spoofed}").status == 403, spoofed
    assert sender.send("/mine/x", token).status == 403
    with socket.create_connection((FRONT, gateway.port), 5, ("127.0.0.77", 0)) as client:
        client.sendall(get("/mine/x", token, "X-Forwarded-For: 203.0.113.40", "Connection: close"))
        assert client.recv(100).startswith(b"HTTP/1.1 403")


def test_A10_the_origin_of_a_page_is_where_its_browser_went(gateway, origin, rsa_key):
    cookie = f"Cookie: session={rsa_key.token()}"

    def ask(*fields: str) -> int:
        return gateway.request(post("/baked/x", b"x", cookie, *fields)).status

    assert ask("Origin: https://localhost") == 403
    assert ask("Origin: https://localhost", "X-Forwarded-Proto: https") == 200
    assert ask("Origin: http://localhost", "X-Forwarded-Proto: https") == 403
    assert ask("Origin: https://evil", "X-Forwarded-Host: evil", "X-Forwarded-Proto: https") == 403


def test_A10_an_upstream_with_the_PROXY_protocol_is_told_the_client(gateway, origin):
    headers = []

    def script(connection: Connection) -> None:
        headers.append(connection.read_line())
        connection.read_request()
        connection.send(OK)

    origin.serve(script)
    with gateway.connect() as client:
        for address in ("203.0.113.50", "203.0.113.51:77"):
            assert client.request(get("/told/x", f"X-Forwarded-For: {address}")).status == 200
    assert headers == [
        b"PROXY TCP4 203.0.113.50 127.0.0.1 0 %d" % gateway.port,
        b"PROXY TCP4 203.0.113.51 127.0.0.1 77 %d" % gateway.port,
    ]


@pytest.mark.parametrize(
    ("address", "fields"),
    [
        (FRONT, ["X-Forwarded-For: 1.2.3.4, [2001:DB8::7]:80, 10.0.0.2", "X-Forwarded-Proto: https"]),
        (FRONT, ["X-Forwarded-Host: shop.example"]),
        (FRONT, ["X-Forwarded-For: unknown", "Forwarded: for=203.0.113.7"]),
        ("127.0.0.77", ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"]),
    ],
)
def test_A10_explain_says_the_same(gateway, origin, address, fields):
    with socket.create_connection((FRONT, gateway.port), 5, (address, 0)) as client:
        client.sendall(get("/own/x", *fields))
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    options = [word for field in fields for word in ("-H", field)]
    url = f"http://localhost:{gateway.port}/own/x"
    options += ["-H", "Host: localhost", "--client-address", address]
    done = run_command("explain", "-c", str(gateway.file), "--json", *options, url)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    found = [(field["name"], field["value"]) for field in document["forwarded"]["fields"]]
    assert [pair for pair in found if pair[0] != "X-Request-ID"] == [
        (name, value) for name, value in origin.last.fields if name != "X-Request-ID"
    ]
    listener = next(step for step in document["steps"] if step["name"] == "listener")
    assert (f"by way of {address}" in listener["got"]) == (address == FRONT and "unknown" not in fields[0])


def test_A10_a_limit_for_each_address_holds_for_the_client(prepare, start):
    """The backend counts failed logins by name and address, ten of them, as the gateway says it."""
    backend = prepare().start()
    gateway = start(
        """
        error_log stderr notice;
        trusted_proxies 127.0.0.1 10.0.0.0/8;
        server { listen 127.0.0.1:@port@; auth off; location / { proxy_pass http://127.0.0.1:@auth_service_port@; } }
        """,
        auth_service_port=backend.auth_port,
    )
    body = json.dumps({"username": "alice", "password": "wrong"}).encode()
    with gateway.connect() as client:

        def attempt(chain: str) -> int:
            fields = ["Content-Type: application/json", "X-Forwarded-Proto: https", f"X-Forwarded-For: {chain}"]
            return client.request(post("/api/v1/auth/login", body, *fields), within=20).status

        assert [attempt(f"198.51.100.{i}, 203.0.113.60") for i in range(11)] == [401] * 10 + [429]
        assert attempt("203.0.113.60") == 429
        assert attempt("203.0.113.60, 203.0.113.61") == 401
    backend.stop()


# -- behind the PROXY protocol


def line(source: str) -> bytes:
    return f"PROXY TCP4 {source} 192.0.2.1 5000 443\r\n".encode()


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.mark.parametrize(
    ("header", "seen", "chain"),
    [
        # A balancer that passes bytes on has looked at no field: who speaks is whom it names.
        (line("203.0.113.9"), "203.0.113.9 5000", ["203.0.113.9"]),
        (line("10.0.0.5"), "203.0.113.66 0", ["203.0.113.66", "10.0.0.5"]),
        # Named nobody: then nobody's fields are believed.
        (b"PROXY UNKNOWN\r\n", None, [FRONT]),
        (SIGNATURE + b"\x20\0\0\0", None, [FRONT]),
        (SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + b"/client".ljust(216, b"\0"), "unix: 0", ["unix:"]),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_A10_behind_the_PROXY_protocol(gateway, origin, header, seen, chain, streams):
    if streams:
        with Session(gateway.values["named_port"], begin=False) as session:
            session.send(header + PREFACE + frame(SETTINGS, 0, 0))
            assert session.request(request("/x", ("x-forwarded-for", "203.0.113.66"), host="named")).status == 200
    else:
        with Client(gateway.values["named_port"]) as client:
            client.send(header)
            assert client.request(get("/x", "X-Forwarded-For: 203.0.113.66", host="named")).status == 200
    assert origin.last.get("x-forwarded-for") == ", ".join(chain)
    assert seen is None or origin.last.get("x-seen") == seen


# -- reloads


def test_A10_a_reload_counts_for_connections_that_stand(start, origin, key_file, module_framed):
    gateway = start(CONFIGURATION, keys=key_file, framed=module_framed.address)

    def chain(client: Client) -> str:
        assert client.request(get("/x", "X-Forwarded-For: 203.0.113.7")).status == 200
        return origin.last.get("x-forwarded-for")

    believed = f"203.0.113.7, {FRONT}"
    with gateway.connect() as client, Client(gateway.values["wary_port"]) as wary:
        assert chain(client) == believed and chain(wary) == FRONT
        gateway.configure(CONFIGURATION.replace(PROXIES, "10.0.0.0/8").replace("192.0.2.0/24", "127.0.0.0/8"))
        gateway.send_signal(signal.SIGHUP)
        wait_until(lambda: chain(client) == FRONT, 3, 0.05, "the proxy is not believed any more")
        wait_until(lambda: chain(wary) == believed, 3, 0.05, "the other one is")
        gateway.configure(CONFIGURATION)
        gateway.send_signal(signal.SIGHUP)
        wait_until(lambda: chain(client) == believed and chain(wary) == FRONT, 3, 0.05, "all is as it was")
