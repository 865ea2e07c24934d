"""Programs that other people wrote on both sides: nginx as the origin; curl and httpx as clients."""

import subprocess

import httpx
import pytest

from harness import peers

CONFIGURATION = """
worker_processes 2;
error_log stderr notice;
client_max_body_size 0;
server {
    listen 127.0.0.1:@port@;
    listen 127.0.0.1:@tls_port@ ssl;
    ssl_certificate @certificate@;
    ssl_certificate_key @key@;
    auth off;
    location / { proxy_pass http://127.0.0.1:@nginx@; }
}
"""

NGINX = """
server {
    listen 127.0.0.1:@nginx@;
    root @folder@/files; gzip on; gzip_types *; gzip_min_length 10; keepalive_requests 7; client_max_body_size 0;
    location /moved { return 301 http://$host/elsewhere; }
    location /upload { client_body_in_file_only clean; proxy_pass http://127.0.0.1:@nginx@/taken; }
    location /taken { return 200 "$content_length"; }
    location /fields { add_header X-Seen "$http_x_forwarded_for $http_x_forwarded_proto"; return 204; }
}
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "files").mkdir()
    (folder / "files" / "page.txt").write_text("line of text\n" * 1000)
    (folder / "files" / "large.bin").write_bytes(bytes(range(256)) * 40_000)
    with peers.nginx(folder, NGINX) as port:
        yield port


@pytest.fixture(scope="module")
def values(nginx, localhost):
    return localhost | {"nginx": nginx}


def curl(gateway, authority, *options: str, path: str = "/page.txt", scheme: str = "http"):
    port = gateway.tls_port if scheme == "https" else gateway.port
    return subprocess.run(
        [
            "curl",
            "-sS",
            "--http1.1",
            "--max-time",
            "10",
            "--cacert",
            authority.file,
            *options,
            f"{scheme}://localhost:{port}{path}",
        ],
        capture_output=True,
        timeout=15,
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_curl_gets_files(gateway, authority, scheme):
    done = curl(gateway, authority, scheme=scheme)
    assert done.returncode == 0 and done.stdout == b"line of text\n" * 1000
    done = curl(gateway, authority, path="/large.bin", scheme=scheme)
    assert done.stdout == bytes(range(256)) * 40_000


def test_curl_compressed_ranges_and_HEAD(gateway, authority):
    assert curl(gateway, authority, "--compressed").stdout == b"line of text\n" * 1000
    assert curl(gateway, authority, "-r", "5-9", path="/large.bin").stdout == bytes([5, 6, 7, 8, 9])
    head = curl(gateway, authority, "-I", path="/large.bin")
    assert b"200 OK" in head.stdout and b"Content-Length: 10240000" in head.stdout


def test_curl_conditional(gateway, authority):
    head = curl(gateway, authority, "-I").stdout.decode()
    tag = next(line.split(": ")[1] for line in head.splitlines() if line.startswith("ETag"))
    done = curl(gateway, authority, "-H", f"If-None-Match: {tag}", "-w", "%{http_code}")
    assert done.stdout == b"304"


@pytest.mark.parametrize(
    "options",
    [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"], ["-H", "Expect:"], ["--http1.0"]],
)
def test_curl_uploads(gateway, authority, tmp_path, options):
    body = tmp_path / "body"
    body.write_bytes(b"x" * 3_000_000)
    if options == ["--http1.0"]:
        options = ["-0"]
    done = curl(gateway, authority, "-T", str(body), "-X", "POST", *options, path="/upload")
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"3000000"


def test_httpx_keeps_its_connections(gateway, authority):
    for base in (f"http://localhost:{gateway.port}", f"https://localhost:{gateway.tls_port}"):
        with httpx.Client(base_url=base, verify=authority.client_context(), trust_env=False) as client:
            for _ in range(20):
                answer = client.get("/page.txt")
                assert answer.status_code == 200 and len(answer.text) == 13_000
            assert client.get("/moved").headers["location"].endswith("/elsewhere")
            assert client.get("/none").status_code == 404
            seen = client.get("/fields", headers={"X-Forwarded-For": "6.6.6.6"})
            assert seen.status_code == 204
            assert seen.headers["x-seen"] == f"127.0.0.1 {base.split(':')[0]}"


def test_httpx_streams_uploads(gateway):
    with httpx.Client(base_url=f"http://localhost:{gateway.port}", trust_env=False) as client:
        answer = client.post("/upload", content=(b"y" * 1000 for _ in range(500)))
        assert answer.status_code == 200 and answer.text == "500000"


@pytest.mark.parametrize("path", ["/page.txt", "/large.bin"])
def test_wrk_finds_no_error(gateway, path):
    done = subprocess.run(
        ["wrk", "-t1", "-c20", "-d1s", f"http://127.0.0.1:{gateway.port}{path}"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0 and "Requests/sec" in done.stdout
    assert "Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, done.stdout
