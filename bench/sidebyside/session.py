"""One run of the benchmark: its settings, its peers, the load generator, and all samples taken."""
import contextlib
import json
import socket
import subprocess
import sys
import time

from sidebyside import process
from sidebyside.tools import tool

LOAD_SECONDS_MAX = 120
ORIGIN_SECONDS_MAX = 5


class Session:
    def __init__(self, layout, peers, rounds, seconds, new_tokens):
        self.layout, self.peers = layout, peers
        self.rounds, self.seconds = rounds, seconds
        self.new_tokens = new_tokens
        self.samples = {}        # row -> peer -> list of samples

    def record(self, row, peer, sample):
        self.samples.setdefault(row, {}).setdefault(peer, []).append(sample)
        shown = {key: value for key, value in sample.items() if key in SHOWN}
        print(f"  {row:19} {peer:14}", "  ".join(f"{key} {show(value)}" for key, value in shown.items()), flush=True)

    def values(self, row, peer, key):
        return [s[key] for s in self.samples.get(row, {}).get(peer, []) if s.get(key) is not None]

    def load_command(self, mode, port, pids=(), *, quiet=True, **options):
        """The load generator's command line; the letters are those in tools/load/main.c."""
        command = [tool("load"), mode, "-p", str(port)]
        if quiet:
            command += ["-b", "-o", str(self.layout.origin_port)]
        for letter, value in options.items():
            if value is not False:
                command += [f"-{letter}"] if value is True else [f"-{letter}", str(value)]
        for pid in pids:
            command += ["-P", str(pid)]
        return command

    def load(self, mode, port, pids=(), cores=None, **options):
        """Runs the load generator to its end. A sample with `error` when the window was no good."""
        child = process.spawn(self.load_command(mode, port, pids, **options), cores or {self.layout.load_core},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = child.communicate(timeout=LOAD_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            return {"error": "the load generator did not end"}
        finally:
            process.end(child)
        if child.returncode:
            return {"error": err.strip() or f"load ended with {child.returncode}"}
        return json.loads(out)

    @contextlib.contextmanager
    def origin(self, cores=None):
        """An origin that runs on its own, for rows whose load is not the quiet wire's."""
        child = process.spawn([tool("load"), "origin", "-o", str(self.layout.origin_port)],
                              cores or {self.layout.load_core}, stdin=subprocess.DEVNULL)
        try:
            wait_for_listener(self.layout.origin_port)
            yield child
        finally:
            process.end(child)

    def start_all(self):
        for peer in self.peers.values():
            if peer.process is None:
                peer.start()

    def stop_all(self):
        for peer in self.peers.values():
            peer.stop()


def wait_for_listener(port):
    deadline = time.monotonic() + ORIGIN_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.005)
    sys.exit("bench/run: the origin does not listen")


SHOWN = ("cpu_us_per_request", "gb_per_cpu_second", "utilisation", "per_second", "rs256_us", "es256_us", "eddsa_us", "bytes_each", "start_ms",
         "resident_mib", "calls_per_request", "allocations_per_request", "allocations", "holds", "steady", "peak_mib",
         "drained", "exit_status", "p99_alone_us", "p99_ratio", "bad_per_second", "error")


def show(value):
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
