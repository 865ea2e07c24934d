"""Two workers on two cores, more load than they can take, thousands of connections, clients that vanish.

Load and origin share the two cores with the proxy here, so the figures say whether it holds, not how fast it is.
"""
import json
import subprocess
import time

from sidebyside import process
from sidebyside.alone import IDLE_CONNECTIONS, MIB
from sidebyside.peers import Gateway, Nginx, PEERS_INDEX_OVERLOAD, WITH_TOKEN, PLAIN, ask
from sidebyside.tools import token_cases, token_file

FEW_CONNECTIONS = 256
TOKENS = 1000
VANISHING_PER_SECOND = 200
DRAIN_SECONDS_MAX = 10
STOP_SECONDS_MAX = 10
HELD = {"01", "08"}      # ESTABLISHED and CLOSE_WAIT: states in which the process still owns the socket


def held_connections(port):
    """Connections that clients have, or had, to this port and that the proxy has not closed."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] in HELD for row in rows)


def press(session, peer, port, cores, seconds):
    """The load itself, with the proxy's memory sampled while it runs."""
    command = session.load_command("closed", port, peer.pids, quiet=False, c=IDLE_CONNECTIONS, t=seconds, w=3,
                                   W=IDLE_CONNECTIONS, k=token_file("rs256"), n=TOKENS, v=VANISHING_PER_SECOND)
    child = process.spawn(command, cores, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    peak, deadline = 0, time.monotonic() + seconds + 60
    try:
        while child.poll() is None and time.monotonic() < deadline:
            peak = max(peak, process.memory(peer.pids)[0])
            time.sleep(0.25)
    finally:
        process.end(child)
    out, err = child.communicate()
    sample = json.loads(out) if child.returncode == 0 else {"error": err.strip() or "the load did not end"}
    return sample, peak


def drain(port):
    """Seconds until the last connection is gone, or None."""
    begun = time.monotonic()
    while time.monotonic() - begun < DRAIN_SECONDS_MAX:
        if held_connections(port) == 0:
            return time.monotonic() - begun
        time.sleep(0.05)
    return None


def part_rates(each_second):
    third = max(1, len(each_second) // 3)
    return sum(each_second[:third]) / third, sum(each_second[-third:]) / third


def measure(session, peer, port, token):
    cores = {session.layout.proxy_core, session.layout.load_core}
    with session.origin(cores):
        peer.start(cores)
        few = session.load("closed", port, peer.pids, cores, quiet=False, c=FEW_CONNECTIONS, t=4, w=1,
                           W=TOKENS, k=token_file("rs256"), n=TOKENS)
        sample, peak = press(session, peer, port, cores, 5 * session.seconds + 5)
        if "error" in few or "error" in sample:
            return {"error": few.get("error") or sample["error"]}
        drained = drain(port)
        answer = ask(port, token=token)
        begun = time.monotonic()
        status = peer.stop(STOP_SECONDS_MAX)
        first, last = part_rates(sample["each_second"])
        return {"per_second": sample["per_second"], "holds": sample["per_second"] / few["per_second"],
                "steady": last / first if first else 0, "peak_mib": peak / MIB, "drained": drained is not None,
                "drain_seconds": drained, "answers_afterwards": answer == 200, "exit_status": status,
                "stop_seconds": time.monotonic() - begun, "vanished": sample["vanished"],
                "broken_share": sample["broken"] / max(1, sample["requests"]),
                "refused_share": sample["refused"] / max(1, sample["requests"])}


def run(session):
    good = next(case["token"] for case in token_cases() if case["status"] == 200)
    session.stop_all()
    for kind, port in ((Nginx, PLAIN), (Gateway, WITH_TOKEN)):
        if not kind.binary:
            continue
        peer = kind(session.layout, PEERS_INDEX_OVERLOAD[kind.name], workers=2, suffix="-overload")
        try:
            session.record("overload", peer.name, measure(session, peer, peer.port(port), good))
        finally:
            peer.stop()
