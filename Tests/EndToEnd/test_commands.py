"""The commands `check` and `keygen`."""

import base64
import hashlib
import json
import re
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from harness.gateway import ROOT, run_command
from harness.tokens import AUDIENCE, ISSUER, SigningKey, bearer
from harness.raw import get

GOOD = """
worker_processes 1;
server {
    listen 127.0.0.1:18080;
    auth off;
    location / { return 204; }
    location /api/ {
        proxy_pass http://127.0.0.1:18081;
    }
}
"""


def check(tmp_path, text: str, *options: str):
    file = tmp_path / "gateway.conf"
    file.write_text(text)
    return run_command("check", "-c", file, *options)


def test_good_file(tmp_path):
    done = check(tmp_path, GOOD)
    assert done.returncode == 0, done


def test_dump_shows_defaults_and_can_be_read_again(tmp_path):
    done = check(tmp_path, GOOD, "--dump")
    assert done.returncode == 0, done
    for words in ("client_header_timeout 10s", "client_max_body_size 10m", "keepalive_timeout 75s"):
        assert words in done.stdout
    again = check(tmp_path, done.stdout, "--dump")
    assert again.returncode == 0, again
    assert again.stdout == done.stdout


def test_dump_hides_secrets(tmp_path):
    text = GOOD.replace("return 204;", 'return 200 "${env:TOPSECRET}";')
    file = tmp_path / "gateway.conf"
    file.write_text(text)
    done = run_command("check", "-c", file, "--dump", environment={"TOPSECRET": "hunter2"})
    assert done.returncode == 0, done
    assert "hunter2" not in done.stdout + done.stderr and "***" in done.stdout


@pytest.mark.parametrize(
    ("line", "position", "words"),
    [
        ("retrun 204;", "6:18", ['unknown directive "retrun"', 'did you mean "return"?']),
        ("listen 80;", "6:18", ['"listen"']),
        ("return 204; return 205;", "6:30", ["duplicate"]),
        ("proxy_pass http://nowhere;", "6:29", ["nowhere"]),
        ("auth nobody;", "6:23", ["nobody"]),
        ("client_body_timeout 5q;", "6:38", ["ms", "s"]),
        ("proxy_cache x;", "6:18", ["proxy_cache"]),
        ("client_max_body_size ten;", "6:39", ["ten"]),
        ("return;", "6:18", ["return"]),
        ("return 204 ${env:SURELY_NOT_SET};", "6:29", ["SURELY_NOT_SET"]),
        ("return 200 $nonsense;", "6:29", ["nonsense"]),
    ],
)
def test_messages(tmp_path, line, position, words):
    done = check(tmp_path, GOOD.replace("return 204;", line))
    output = done.stdout + done.stderr
    assert done.returncode == 1, done
    assert f"gateway.conf:{position}: error:" in output, output
    for word in words:
        assert word in output
    assert re.search(r"^ +6 \| +location / \{", output, re.MULTILINE), "the line of the file is shown"
    assert re.search(r"^ +\| +\^", output, re.MULTILINE), "a caret points at the place"


def test_many_messages_in_one_run(tmp_path):
    done = check(
        tmp_path, GOOD.replace("return 204;", "retrun 204; proxy_psas x; auth nobody; client_body_timeout 5q;")
    )
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count(": error:") == 4


def test_location_without_auth_is_an_error(tmp_path):
    done = check(tmp_path, GOOD.replace("auth off;", ""))
    assert done.returncode == 1 and "auth" in done.stdout + done.stderr


@pytest.mark.parametrize("text", ["server {", "server }", 'server { "x', "server { listen 127.0.0.1:1", "\0"])
def test_broken_syntax(tmp_path, text):
    file = tmp_path / "gateway.conf"
    file.write_bytes(text.encode("latin-1"))
    done = run_command("check", "-c", file)
    assert done.returncode == 1 and "gateway.conf:1:" in done.stdout + done.stderr


def test_unreadable_file(tmp_path):
    (tmp_path / "latin.conf").write_bytes(b"# \xff\n")
    for file in (tmp_path / "missing.conf", tmp_path, tmp_path / "latin.conf"):
        done = run_command("check", "-c", file)
        assert done.returncode == 2, done
        assert str(file) in done.stdout + done.stderr


def test_key_file_without_a_usable_key(tmp_path):
    """Row J67: such a provider could never judge a token."""
    (tmp_path / "keys.json").write_text('{"keys":[]}')
    done = check(tmp_path, GOOD + "auth_provider a jwt { issuer x; audience y; key_file keys.json; }")
    assert done.returncode == 1 and "keys.json" in done.stdout + done.stderr


def test_run_with_a_bad_file_ends_with_the_diagnostics(tmp_path):
    file = tmp_path / "gateway.conf"
    file.write_text(GOOD.replace("return", "retrun"))
    done = run_command("run", "-c", file)
    assert done.returncode == 1 and 'did you mean "return"?' in done.stdout + done.stderr
    assert run_command("run", "-c", tmp_path / "missing").returncode == 2


def test_example_file_is_valid():
    assert run_command("check", "-c", ROOT / "gateway.conf.example", cwd=ROOT).returncode in (0, 1)


@pytest.mark.parametrize(
    ("options", "kind", "algorithm"),
    [
        ([], rsa.RSAPrivateKey, "RS256"),
        (["--rsa", "3072"], rsa.RSAPrivateKey, "RS256"),
        (["--ec", "P-256"], ec.EllipticCurvePrivateKey, "ES256"),
        (["--ec", "P-384"], ec.EllipticCurvePrivateKey, "ES384"),
        (["--ec", "P-521"], ec.EllipticCurvePrivateKey, "ES512"),
        (["--ed25519"], ed25519.Ed25519PrivateKey, "EdDSA"),
    ],
)
def test_keygen(tmp_path, start, module_origin, options, kind, algorithm):
    folder = tmp_path / "keys"
    done = run_command("keygen", *options, "--out", folder)
    assert done.returncode == 0, done
    assert {file.name for file in folder.iterdir()} == {"private_key.pem", "public_key.pem", "jwks.json"}
    assert stat.S_IMODE((folder / "private_key.pem").stat().st_mode) == 0o600
    private = serialization.load_pem_private_key((folder / "private_key.pem").read_bytes(), None)
    assert isinstance(private, kind)
    if kind is rsa.RSAPrivateKey:
        assert private.key_size == int(options[1] if options else 2048)
    public = serialization.load_pem_public_key((folder / "public_key.pem").read_bytes())
    assert public == private.public_key()
    document = json.loads((folder / "jwks.json").read_text())
    assert len(document["keys"]) == 1 and not {"d", "p", "q"} & set(document["keys"][0])
    kid = document["keys"][0]["kid"]
    assert kid in done.stdout and re.fullmatch(r"[A-Za-z0-9_-]{43}", kid)
    key = SigningKey(algorithm, kid, private)
    for file in ("jwks.json", "public_key.pem"):
        gateway = start(f"""
            auth_provider main jwt {{ issuer {ISSUER}; audience {AUDIENCE}; key_file {folder / file};
                algorithms {algorithm}; }}
            server {{ listen 127.0.0.1:@port@; auth main; location / {{ proxy_pass http://@origin@; }} }}
        """)
        assert gateway.request(get("/x", bearer(key.token()))).status == 200
        assert gateway.request(get("/x", bearer(key.token()[:-8] + "AAAAAAAA"))).status == 401


def test_keygen_thumbprint(tmp_path):
    """The kid is the SHA-256 thumbprint of RFC 7638."""
    run_command("keygen", "--ec", "P-256", "--out", tmp_path / "k")
    jwk = json.loads((tmp_path / "k" / "jwks.json").read_text())["keys"][0]
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    assert jwk["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_keygen_never_overwrites_a_private_key(tmp_path):
    first = run_command("keygen", "--ed25519", "--out", tmp_path / "k")
    assert first.returncode == 0
    before = (tmp_path / "k" / "private_key.pem").read_bytes()
    second = run_command("keygen", "--ed25519", "--out", tmp_path / "k")
    assert second.returncode != 0 and "private_key.pem" in second.stderr + second.stdout
    assert (tmp_path / "k" / "private_key.pem").read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [
        ["--rsa", "1024"],
        ["--rsa", "x"],
        ["--ec", "P-999"],
        ["--rsa", "2048", "--ed25519"],
        ["--out", "/proc/nowhere"],
        ["--unknown"],
    ],
)
def test_keygen_refuses(tmp_path, options):
    done = run_command("keygen", *options, cwd=tmp_path)
    assert done.returncode != 0 and done.stderr
