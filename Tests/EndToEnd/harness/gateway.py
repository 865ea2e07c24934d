"""Starts the real gateway on ports of its own with a configuration text, and looks after it until it ends."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from . import prometheus
from .ports import take_port
from .raw import Client
from .waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("GATEWAY_BINARY", str(ROOT / ".build/release/gateway"))
_CRASH = re.compile(
    r"Fatal error|Program crashed|AddressSanitizer|runtime error:|Assertion|Precondition failed|"
    r"Thread \d+ crashed|double free|malloc\(\)|Segmentation",
    re.IGNORECASE,
)


def fill_in(text: str, values: dict[str, object]) -> str:
    """Replaces `@name@` by its value; an unknown name is an error."""
    return re.sub(r"@([a-z_0-9]+)@", lambda match: str(values[match[1]]), text)


class _Ports(dict):
    """Takes a port the first time that a name which ends in `port` is asked for."""

    def __missing__(self, name: str) -> int:
        if not re.fullmatch(r"([a-z]+_)*port\d*", name):
            raise KeyError(f"@{name}@ stands in the configuration but has no value")
        self[name] = take_port()
        return self[name]


class Gateway:
    """One running gateway. `@port@`, `@tls_port@`, `@admin_port@` and `@folder@` in the configuration are its own."""

    def __init__(
        self,
        configuration: str,
        folder: Path,
        *,
        environment: dict[str, str] | None = None,
        descriptors: int | None = None,
        ready: bool = True,
        **values: object,
    ):
        assert os.access(BINARY, os.X_OK), f"{BINARY} is missing: scripts/build gateway"
        self.folder = folder
        self.values = _Ports(folder=folder, **values)
        self.file = folder / "gateway.conf"
        self.configure(configuration)
        self._log_file = folder / "gateway.log"
        limit = (
            (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))) if descriptors else None
        )
        with open(self._log_file, "wb") as log:
            self.process = subprocess.Popen(
                [BINARY, "run", "-c", str(self.file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | (environment or {}),
                cwd=folder,
                preexec_fn=limit,
            )
        if ready:
            self.wait_until_ready()

    def configure(self, configuration: str) -> None:
        """Writes the configuration file; a running gateway reads it at `reload`."""
        self.configuration = configuration
        self.file.write_text(fill_in(configuration, self.values))

    @property
    def port(self) -> int:
        return self.values["port"]

    @property
    def tls_port(self) -> int:
        return self.values["tls_port"]

    @property
    def admin_port(self) -> int:
        return self.values["admin_port"]

    @property
    def log(self) -> str:
        return self._log_file.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_until_ready(self, within: float = 5.0) -> None:
        """Every port of the configuration takes connections."""
        for name, port in list(self.values.items()):
            if name.startswith("port") or name.endswith("_port"):
                wait_until(lambda port=port: not self.alive or accepts(port), within, 0.002, f"{name} accepts")
        assert self.alive, f"the gateway ended with {self.process.returncode}:\n{self.log}"

    def connect(self, **options) -> Client:
        return Client(self.port, **options)

    def request(self, data: bytes, within: float = 5.0):
        """One request on a connection of its own."""
        with self.connect() as client:
            return client.request(data, within)

    # -- what it says about itself

    def metrics(self) -> prometheus.Metrics:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=5) as answer:
            return prometheus.parse(answer.read().decode())

    def rejected(self, reason: str) -> float:
        return self.metrics().sum("gateway_rejected_total", reason=reason)

    def access_log(self, name: str = "access.log") -> list[dict]:
        """The lines of a JSON access log."""
        file = self.folder / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for_log_line(self, question, name: str = "access.log", within: float = 3.0) -> dict:
        """The first line of the JSON access log for which the question is true."""
        return wait_until(
            lambda: next((line for line in self.access_log(name) if question(line)), None),
            within,
            what=f"a line in {name} among {self.access_log(name)[-3:]}",
        )

    def wait_for_notice(self, text: str, within: float = 5.0) -> None:
        """The error log contains the text."""
        try:
            wait_until(lambda: text in self.log, within)
        except AssertionError:
            raise AssertionError(f"{text!r} is not in the log:\n{self.log}") from None

    def resident_bytes(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # -- what is done to it

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = 10.0) -> float:
        """Sends the signal; the gateway must end by itself with 0 and without a sign of a crash. Returns seconds."""
        started = time.monotonic()
        if self.alive:
            self.send_signal(number)
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {within} s after {number.name}:\n{self.log}") from None
        assert code == 0, f"exit status {code}:\n{self.log}"
        self.check_log()
        return time.monotonic() - started

    def check_log(self) -> None:
        found = _CRASH.search(self.log)
        assert not found, f"{found[0]!r} in the log:\n{self.log}"

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


def accepts(port: int) -> bool:
    """Whether somebody listens on 127.0.0.1:port."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def run_command(
    *arguments: str, cwd: Path | None = None, environment: dict[str, str] | None = None, within: float = 20.0
) -> subprocess.CompletedProcess:
    """Runs `gateway ARGUMENTS` to its end."""
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=within,
        cwd=cwd,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
    )
