"""What a scanner of TLS looks for, by OpenSSL's client and by records of our own; and testssl.sh itself (security rows T16,
T17 and R04). docs/security.md says what is covered."""

import json
import os
import socket
import struct
import subprocess
import time

import pytest

from harness.raw import Client, get
from harness.waiting import wait_until

CONFIGURATION = """
worker_processes 1;
error_log stderr info;
admin { listen 127.0.0.1:@admin_port@; }
http2 on;
ssl_certificate @ecdsa@;
ssl_certificate_key @ecdsa_key@;
ssl_certificate @rsa@;
ssl_certificate_key @rsa_key@;
auth off;
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    location / { return 200 "ok\\n"; }
}
server {
    listen 127.0.0.1:@narrow_tls_port@ ssl;
    ssl_ciphers ECDHE-RSA-AES256-GCM-SHA384;
    ssl_ecdh_curve P-384;
    location / { return 200 "ok\\n"; }
}
"""


@pytest.fixture(scope="module")
def values(authority):
    named = {}
    for word in ("rsa", "ecdsa"):
        named[word], named[f"{word}_key"] = authority.issue("localhost", word.upper())
    return named


def s_client(port: int, *options: str, command: bytes = b"") -> tuple[bool, str]:
    """Whether a session came about, and all that was said about it."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options],
        input=command,
        capture_output=True,
        timeout=10,
    )
    text = (done.stdout + done.stderr).decode("latin-1")
    return "Cipher is (NONE)" not in text and "Cipher is " in text, text


# -- a hello of our own


def vector(size: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return len(content).to_bytes(size) + content


def extension(number: int, content: bytes) -> bytes:
    return struct.pack("!H", number) + vector(2, content)


SIGNATURES = extension(13, vector(2, b"\4\3\5\3\6\3\x08\4\x08\5\x08\6\4\1\5\1\6\1"))
GROUPS = extension(10, vector(2, b"\0\x1d\0\x17\0\x18"))


def hello(ciphers: list[int], version: int = 0x0303, compression: bytes = b"\0", extensions: bytes = SIGNATURES + GROUPS):
    body = struct.pack("!H", version) + b"r" * 32 + vector(1) + vector(2, *[struct.pack("!H", c) for c in ciphers])
    body += vector(1, compression) + vector(2, extensions)
    return record(b"\1" + vector(3, body))


def record(content: bytes, kind: int = 22, version: int = 0x0301) -> bytes:
    return struct.pack("!BH", kind, version) + vector(2, content)


def answer(port: int, sent: bytes) -> tuple[str, bytes]:
    """`hello` with the ServerHello, `alert` with its two bytes, or `closed`."""
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.settimeout(8)
        sock.sendall(sent)
        got = b""
        while len(got) < 5 or len(got) < 5 + int.from_bytes(got[3:5]):
            try:
                part = sock.recv(4096)
            except ConnectionResetError:
                part = b""
            if not part:
                return "closed", got
            got += part
        content = got[5 : 5 + int.from_bytes(got[3:5])]
        return ("hello" if got[0] == 22 else "alert"), content


GOOD = [0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8]


@pytest.mark.parametrize("version", [0x0002, 0x0300, 0x0301, 0x0302])
def test_T16_versions_before_1_2_are_refused(gateway, version):
    kind, content = answer(gateway.tls_port, hello(GOOD, version))
    assert kind == "alert" and content in (b"\2\x46", b"\2\x28"), "protocol_version, or handshake_failure"


def test_T16_ssl2_is_refused(gateway):
    body = b"\1\0\2" + b"\0\x06\0\0\0\x10" + b"\1\0\x80\2\0\x80" + b"c" * 16
    assert answer(gateway.tls_port, (0x8000 | len(body)).to_bytes(2) + body)[0] != "hello"


def all_ciphers() -> list[str]:
    listed = subprocess.run(
        ["openssl", "ciphers", "-tls1_2", "-s", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True,
        text=True,
        timeout=10,
    )
    return listed.stdout.strip().split(":")


def test_T16_of_all_ciphers_only_those_with_forward_secrecy_and_authentication_are_taken(gateway):
    """Everything that this OpenSSL can speak, and by number what it cannot: RC4, 3DES, export, NULL, static RSA."""
    taken = []
    for name in all_ciphers():
        if name.startswith("TLS_"):
            continue
        good, _ = s_client(gateway.tls_port, "-tls1_2", "-cipher", f"{name}:@SECLEVEL=0")
        if good:
            taken.append(name)
    assert sorted(taken) == sorted(
        f"ECDHE-{key}-{cipher}"
        for key in ("RSA", "ECDSA")
        for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    )


@pytest.mark.parametrize(
    ("what", "ciphers"),
    [
        ("null", [0x0001, 0x0002, 0x003B, 0xC006, 0xC010]),
        ("export", [0x0003, 0x0006, 0x0008, 0x000E, 0x0011, 0x0014, 0x0017, 0x0019, 0x0062, 0x0064]),
        ("RC4", [0x0004, 0x0005, 0xC007, 0xC011]),
        ("3DES and DES", [0x0009, 0x000A, 0x0016, 0xC008, 0xC012]),
        ("nobody's signature", [0x0018, 0x001B, 0x0034, 0x003A, 0x006C, 0x006D, 0xC015, 0xC018, 0xC019]),
        ("RSA key exchange", [0x002F, 0x0035, 0x003C, 0x003D, 0x009C, 0x009D, 0xC09C, 0xC0A0]),
        ("finite fields", [0x0033, 0x0039, 0x0067, 0x006B, 0x009E, 0x009F, 0xCCAA]),
        ("CBC", [0xC009, 0xC00A, 0xC013, 0xC014, 0xC023, 0xC024, 0xC027, 0xC028]),
    ],
)
def test_T16_weak_ciphers_are_refused(gateway, what, ciphers):
    kind, content = answer(gateway.tls_port, hello(ciphers))
    assert kind == "alert" and content == b"\2\x28", f"{what}: handshake_failure"
    for cipher in ciphers:
        assert answer(gateway.tls_port, hello([cipher]))[0] == "alert", f"{cipher:04x}"
    # Beside a good one, the good one is taken.
    kind, content = answer(gateway.tls_port, hello(ciphers + [0xC02F]))
    assert kind == "hello" and content[39 + content[38] : 41 + content[38]] == b"\xc0\x2f"


def test_T16_nothing_is_compressed(gateway):
    kind, content = answer(gateway.tls_port, hello(GOOD, compression=b"\1\0"))
    assert kind == "hello" and content[41 + content[38]] == 0
    assert "Compression: NONE" in s_client(gateway.tls_port, "-tls1_2", "-comp")[1]


def test_T16_there_is_no_renegotiation(gateway):
    good, text = s_client(gateway.tls_port, "-tls1_2", command=b"R\n" + b"x" * 10)
    assert good and "Secure Renegotiation IS supported" in text
    assert "no renegotiation" in text


def test_T16_a_downgrade_is_seen(gateway):
    """TLS_FALLBACK_SCSV (RFC 7507) in a hello of TLS 1.2, though 1.3 is spoken here."""
    kind, content = answer(gateway.tls_port, hello(GOOD + [0x5600]))
    assert kind == "alert" and content == b"\2\x56", "inappropriate_fallback"


def test_T16_the_random_of_1_2_says_that_1_3_is_spoken(gateway):
    kind, content = answer(gateway.tls_port, hello(GOOD))
    assert kind == "hello" and content[30:38] == b"DOWNGRD\1", "RFC 8446 section 4.1.3"


CURVES = ["X25519", "P-256", "P-384", "P-521", "X448", "ffdhe2048", "ffdhe3072", "brainpoolP256r1", "secp256k1"]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_only_good_curves_are_taken(gateway, version):
    known = [name for name in CURVES if "Error" not in s_client(1, version, "-groups", name)[1].split("\n")[0]]
    taken = [name for name in known if s_client(gateway.tls_port, version, "-groups", name)[0]]
    assert taken == ["X25519", "P-256", "P-384"]
    port = gateway.values["narrow_tls_port"]
    assert [name for name in known if s_client(port, version, "-groups", name)[0]] == ["P-384"]


def test_ciphers_can_be_narrowed(gateway):
    port = gateway.values["narrow_tls_port"]
    assert [n for n in all_ciphers() if s_client(port, "-tls1_2", "-cipher", n)[0] and not n.startswith("TLS_")] == [
        "ECDHE-RSA-AES256-GCM-SHA384"
    ]
    assert s_client(port, "-tls1_3")[0]


@pytest.mark.parametrize("curve", ["X25519:P-256", "P-256:X25519"])
def test_the_server_prefers(gateway, curve):
    for ciphers in ("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"):
        _, text = s_client(gateway.tls_port, "-tls1_2", "-cipher", ciphers, "-groups", curve)
        assert "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384" in text


def test_alpn(gateway, authority):
    for offered, chosen in [
        (["h2", "http/1.1"], "h2"),
        (["http/1.1", "h2"], "h2"),
        (["http/1.1"], "http/1.1"),
        (["spdy/3"], None),
        ([], None),
    ]:
        context = authority.client_context()
        if offered:
            context.set_alpn_protocols(offered)
        with context.wrap_socket(socket.create_connection(("127.0.0.1", gateway.tls_port)), server_hostname="localhost") as s:
            assert s.selected_alpn_protocol() == chosen


def test_heartbeats_are_not_answered(gateway):
    """Heartbleed and its kin: the extension is not known here."""
    kind, content = answer(gateway.tls_port, hello(GOOD, extensions=SIGNATURES + GROUPS + extension(15, b"\1")))
    assert kind == "hello" and extension(15, b"\1") not in content
    with Client(gateway.tls_port) as client:
        client.send(hello(GOOD, extensions=SIGNATURES + GROUPS + extension(15, b"\1")) + record(b"\1\x40\0", 24, 0x0303))
        assert b"\x18\3\3" not in client.expect_cut()


def test_early_change_of_cipher_is_refused(gateway):
    """CCS injection (CVE-2014-0224)."""
    with Client(gateway.tls_port) as client:
        client.send(hello(GOOD) + record(b"\1", 20, 0x0303) + record(b"\1", 20, 0x0303))
        assert client.expect_cut()[-7:-2] == b"\x15\3\3\0\2"


def test_T17_early_data_is_thrown_away(gateway, tmp_path):
    session, data = tmp_path / "session", tmp_path / "data"
    data.write_bytes(get("/early"))
    s_client(gateway.tls_port, "-tls1_3", "-sess_out", str(session), "-ign_eof", command=get("/x", "Connection: close"))
    text = s_client(gateway.tls_port, "-tls1_3", "-sess_in", str(session), "-early_data", str(data))[1]
    assert "Early data was accepted" not in text
    assert "Early data was not sent" in text or "Early data was rejected" in text


def test_R04_half_open_handshakes_cost_little_and_end(gateway, authority):
    """Who says nothing costs a descriptor, who says half of a hello some KB; both are gone after five seconds, and others are
    served all the while."""
    count = 400
    failed = gateway.metrics().sum("gateway_tls_handshakes_total", result="failed")
    before = gateway.resident_bytes()
    silent = [socket.create_connection(("127.0.0.1", gateway.tls_port), 5) for _ in range(count)]
    assert gateway.resident_bytes() - before < count * 2000
    halves = [socket.create_connection(("127.0.0.1", gateway.tls_port), 5) for _ in range(count)]
    for sock in halves:
        sock.sendall(hello(GOOD)[:60])
    begun = time.monotonic()
    with Client(gateway.tls_port, tls=authority.client_context()) as client:
        assert client.request(get("/x")).status == 200
    assert time.monotonic() - begun < 1
    assert gateway.resident_bytes() - before < count * 60_000
    for sock in silent + halves:
        sock.settimeout(max(0.1, begun + 8 - time.monotonic()))
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass
        sock.close()
    assert 3.5 < time.monotonic() - begun < 8
    wait_until(
        lambda: gateway.metrics().sum("gateway_tls_handshakes_total", result="failed") >= failed + 2 * count,
        what="all of them are counted",
    )


def test_R04_a_handshake_in_single_bytes_has_five_seconds(gateway):
    with Client(gateway.tls_port) as client:
        begun = time.monotonic()
        data = hello(GOOD)
        with pytest.raises((ConnectionError, AssertionError, OSError)):
            for byte in range(len(data)):
                client.send(data[byte : byte + 1])
                time.sleep(0.1)
            client.expect_quiet(8)
        assert 3.5 < time.monotonic() - begun < 8


def test_secrets_are_logged_only_when_asked(start, authority, values, tmp_path):
    file = tmp_path / "secrets.txt"
    line = f"ssl_key_log {file};\nauth off;"
    loud = start(CONFIGURATION.replace("auth off;", line), **values)
    assert "[warn]" in loud.log and f"the secrets of TLS sessions are written to {file}" in loud.log
    for version in ("-tls1_2", "-tls1_3"):
        assert s_client(loud.tls_port, version)[0]
    wait_until(lambda: file.exists() and "CLIENT_RANDOM " in file.read_text(), what="the secrets of TLS 1.2")
    words = {line.split()[0] for line in file.read_text().splitlines()}
    assert {"CLIENT_RANDOM", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"} <= words
    assert os.stat(file).st_mode & 0o777 == 0o600


def test_a_file_that_others_read_is_closed_to_them(start, values, tmp_path):
    file = tmp_path / "secrets.txt"
    file.write_text("")
    file.chmod(0o644)
    gateway = start(CONFIGURATION.replace("auth off;", f"ssl_key_log {file};\nauth off;"), **values)
    assert s_client(gateway.tls_port, "-tls1_3")[0]
    assert os.stat(file).st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_T16_testssl_finds_nothing_of_weight(gateway, authority, tmp_path):
    """Versions, ciphers, forward secrecy, preference and the known attacks; what HTTP says is the origin's."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1"]
        + ["--add-ca", authority.file, "--jsonfile", report]
        + ["-p", "-s", "-f", "-P", "-U", f"localhost:{gateway.tls_port}"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    found = json.loads(report.read_text())
    assert len(found) > 30, done.stdout + done.stderr
    bad = [f for f in found if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN")]
    # Of the scanner's own OpenSSL, which has no engine for GOST.
    bad = [f for f in bad if f["id"] != "engine_problem"]
    assert not bad, bad
