"""Where things are: folders, cores and ports of one run."""
import os
import pathlib
import socket
import sys

BENCH = pathlib.Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
BUILD = BENCH / "build"              # compiled tools, tokens, the processes' files; may be deleted at any time
TOKENS = BUILD / "tokens"
RUNS = BUILD / "runs"
RESULTS = BENCH / "results" / "latest.json"
THRESHOLDS = BENCH / "thresholds.json"
GATEWAY = REPOSITORY / ".build" / "release" / "gateway"

PORTS_PER_PEER = 12                  # what each is for, peers.py says
PEERS_MAX = 12


class Layout:
    """The cores and the ports that one run uses."""

    def __init__(self, cores, first_port):
        self.proxy_core, self.load_core = cores
        self.first_port = first_port
        self.origin_port = first_port

    def peer_port(self, index):
        return self.first_port + PORTS_PER_PEER * (index + 1)

    def check_ports(self):
        """Ends the run with one sentence if somebody already listens where we are going to."""
        for port in range(self.first_port, self.first_port + PORTS_PER_PEER * (PEERS_MAX + 1)):
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                except OSError:
                    sys.exit(f"bench/run: port {port} is taken; choose others with --first-port")


def two_cores(text):
    """The cores for the proxy and for load and origin, from `A,B` or from what this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if text:
        chosen = [int(part) for part in text.split(",")]
        if len(chosen) != 2 or chosen[0] == chosen[1] or not set(chosen) <= set(allowed):
            sys.exit(f"bench/run: --cores wants two different numbers out of {allowed}, such as {allowed[:2]}")
        return chosen
    if len(allowed) < 2:
        sys.exit("bench/run: two cores are needed, one for the proxy and one for load and origin")
    return allowed[:2]
