"""The proxies that are compared: how each is configured, started, asked for an answer and ended."""
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

from sidebyside import process
from sidebyside.layout import BENCH, PORTS_PER_PEER, RUNS, TOKENS
from sidebyside.tools import tool

# Offsets of a peer's ports. TLS speaks HTTP/2, too, by ALPN; those with session tickets do not.
(PLAIN, WITH_TOKEN, TLS, TLS_WITH_TOKEN, H2, H2_WITH_TOKEN, H2_ORIGIN, H2_ORIGIN_WITH_TOKEN, TLS_H2_ORIGIN,
 TLS_H2_ORIGIN_WITH_TOKEN, TLS_RSA_TICKETS, TLS_TICKETS) = range(12)
START_SECONDS_MAX = 10
PEERS_INDEX_OVERLOAD = {"nginx": 10, "gateway": 11}     # ports of the peers with two workers
FILES_MAX = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1] % (1 << 63), 65536)     # RLIM_INFINITY is -1


class Peer:
    """One proxy. `binary` is None when it is not installed."""

    name = binary = conf = None
    quit_signal = signal.SIGTERM
    ready_port = PLAIN

    def __init__(self, layout, index, workers=1, suffix=""):
        self.layout, self.workers = layout, workers
        self.first_port = layout.peer_port(index)
        self.folder = RUNS / (self.name + suffix)
        self.process = None

    @property
    def pids(self):
        """The processes as they are now: nginx begins to listen before its worker exists."""
        return process.family(self.process.pid) if self.process else []

    def port(self, kind):
        return self.first_port + kind

    def render(self):
        """Writes the configuration file with this run's ports and folders."""
        text = (BENCH / "peers" / self.conf).read_text()
        marks = {"ORIGIN": self.layout.origin_port, "TOKENS": TOKENS, "RUN": self.folder, "WORKERS": self.workers,
                 "FILES": FILES_MAX, "REUSEPORT": "reuseport" if self.workers > 1 else "",
                 **{f"P{i}": self.port(i) for i in range(PORTS_PER_PEER)}}
        for mark, value in marks.items():
            text = text.replace(f"@{mark}@", str(value))
        path = self.folder / self.conf
        path.write_text(text)
        return str(path)

    def command(self):
        raise NotImplementedError

    def start(self, cores=None, environment=None):
        """Returns when connections are accepted; the seconds that it took."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.command()
        with open(self.folder / "output", "ab") as output:
            begun = time.perf_counter()
            self.process = process.spawn(
                command, cores or {self.layout.proxy_core}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **(environment or {})})
        self.wait_until_ready(begun)
        return time.perf_counter() - begun

    def wait_until_ready(self, begun):
        while time.perf_counter() - begun < START_SECONDS_MAX:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port(self.ready_port)), 1).close()
                return
            except OSError:
                time.sleep(0.0003)
        sys.exit(f"bench/run: {self.name} does not start; it says why in {self.folder / 'output'}")

    def stop(self, patience_seconds=3):
        """The exit status, or None when it was not running."""
        if self.process is None:
            return None
        status = process.end(self.process, self.quit_signal, patience_seconds)
        self.process = None
        return status

    def check_alive(self):
        if self.process is None or self.process.poll() is not None:
            sys.exit(f"bench/run: {self.name} ended by itself; it says why in {self.folder / 'output'}")


class Floor(Peer):
    name, binary = "floor", tool("floor")

    def command(self):
        return [self.binary, str(self.port(PLAIN)), str(self.layout.origin_port)]


class Nginx(Peer):
    name, conf = "nginx", "nginx.conf"
    binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")

    def command(self):
        return [self.binary, "-e", str(self.folder / "error.log"), "-p", str(self.folder), "-c", self.render()]


class HAProxy(Peer):
    name, conf = "haproxy", "haproxy.cfg"
    binary = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")

    def command(self):
        return [self.binary, "-f", self.render()]


class HAProxyWithCache(HAProxy):
    name, conf = "haproxy+cache", "haproxy-cache.cfg"
    ready_port = WITH_TOKEN


class Gateway(Peer):
    name, conf = "gateway", "gateway.conf"

    def command(self):
        return [self.binary, "run", "-c", self.render()]


def installed(layout, gateway):
    """The peers that can be measured, by name."""
    Gateway.binary = str(gateway) if gateway and os.access(gateway, os.X_OK) else None
    kinds = [Floor, Nginx, HAProxy, HAProxyWithCache, Gateway]
    return {kind.name: kind(layout, i) for i, kind in enumerate(kinds) if kind.binary}


def ask(port, path="/", token=None, timeout_seconds=5):
    """One request in clear text on a connection of its own: the status, or 0 when no answer came."""
    field = f"Authorization: Bearer {token}\r\n" if token else ""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_seconds) as s:
            s.settimeout(timeout_seconds)
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: api.example.com\r\n{field}Connection: close\r\n\r\n".encode())
            answer = b""
            while len(answer) < 12 and (part := s.recv(4096)):
                answer += part
        return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
    except (OSError, ValueError):
        return 0
