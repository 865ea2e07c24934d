"""Rows that restart each proxy: start and memory, idle connections, calls and allocations counted by the shim."""
import select
import subprocess
import time

from sidebyside import process
from sidebyside.layout import BUILD
from sidebyside.peers import FILES_MAX, PLAIN, START_SECONDS_MAX, TLS, WITH_TOKEN, ask
from sidebyside.tools import token_file, tool

MIB = 1 << 20
START_REPETITIONS = 7
SETTLE_SECONDS = 0.3
IDLE_TLS_CONNECTIONS = 2000
IDLE_CONNECTIONS = min(9000, (FILES_MAX - 1000) // 2)     # a proxy may need two descriptors for each connection
IDLE_READY_SECONDS_MAX = 60
COUNT_SECONDS = 1.5
COUNT_REPETITIONS = 3     # allocations are the same each time; calls depend on how events come together
CACHED_TOKENS = 20000
PROXIES = ("floor", "nginx", "haproxy", "gateway")


def chosen(session, names=PROXIES):
    return [session.peers[name] for name in names if name in session.peers]


def first_answer(peer):
    """Starts the proxy; seconds from fork to its first complete answer from the origin."""
    peer.stop()
    begun = time.perf_counter()
    peer.start()
    while time.perf_counter() - begun < START_SECONDS_MAX:
        if ask(peer.port(PLAIN), timeout_seconds=1) == 200:
            return time.perf_counter() - begun
        time.sleep(0.0003)
    return None


def start(session):
    with session.origin():
        for _ in range(START_REPETITIONS):
            for peer in chosen(session):
                seconds = first_answer(peer)
                time.sleep(SETTLE_SECONDS)
                _, resident = process.memory(peer.pids)
                session.record("start", peer.name, {
                    "start_ms": seconds * 1e3, "resident_mib": resident / MIB} if seconds else
                    {"error": "no answer"})


def hold_idle(session, peer, kind=PLAIN, count=IDLE_CONNECTIONS):
    """Memory before and with `count` connections that have each had one answer."""
    peer.stop()
    peer.start()
    is_tls = kind == TLS
    session.load("closed", peer.port(kind), t=0.3, w=0.3, s=is_tls)      # what is allocated once is allocated now
    time.sleep(SETTLE_SECONDS)
    before, _ = process.memory(peer.pids)
    command = session.load_command("idle", peer.port(kind), quiet=False, c=count, t=60, s=is_tls,
                                   o=session.layout.origin_port)
    child = process.spawn(command, {session.layout.load_core}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True)
    try:
        readable, _, _ = select.select([child.stdout], [], [], IDLE_READY_SECONDS_MAX)
        line = child.stdout.readline().split() if readable else []
        time.sleep(1)
        after, _ = process.memory(peer.pids)
    finally:
        child.stdin.close()
        process.end(child)
        child.stdout.close()
    if line[:2] != ["READY", str(count)]:
        return {"error": " ".join(line) or "the connections were not ready in time"}
    return {"bytes_each": (after - before) / count, "connections": count}


def idle(session):
    for _ in range(2):
        for peer in chosen(session):
            session.record("idle", peer.name, hold_idle(session, peer))
            peer.check_alive()


def tls_idle(session):
    for _ in range(2):
        for peer in chosen(session, ("nginx", "haproxy", "gateway")):
            session.record("tls-idle", peer.name, hold_idle(session, peer, TLS, IDLE_TLS_CONNECTIONS))
            peer.check_alive()


def restart_counting(peer):
    """Restarts the proxy with the counting shim; the file that holds its counters."""
    counters = BUILD / f"counters-{peer.name}"
    counters.unlink(missing_ok=True)
    peer.stop()
    peer.start(environment={"LD_PRELOAD": tool("counting.so"), "COUNTING_FILE": str(counters)})
    return counters


def count(session, peer, tokens):
    """Calls and allocations of a loaded proxy, exactly: it counts them itself."""
    counters = restart_counting(peer)
    if not counters.exists():
        return {"error": "nothing was counted; is the binary linked statically with libc?"}
    sample = session.load("closed", peer.port(WITH_TOKEN if tokens > 1 else PLAIN), peer.pids, t=COUNT_SECONDS, w=0.5,
                          W=tokens + tokens // 4, k=token_file("rs256"), n=tokens, C=counters)
    if "error" in sample:
        return sample
    if sample["refused"] or sample["broken"]:
        return {"error": f"{sample['refused']} refused, {sample['broken']} broken"}
    counted, requests = sample["counted"], sample["requests"]
    if counted["send"] < requests:
        return {"error": "fewer calls than requests were counted; the binary makes them without libc"}
    allocations = counted.pop("allocations")
    return {"calls_per_request": sum(counted.values()) / requests,
            "allocations_per_request": allocations / requests, "allocations": allocations, "requests": requests,
            "calls": {name: value / requests for name, value in counted.items()}}


def counts(session):
    for _ in range(COUNT_REPETITIONS):
        for peer in chosen(session):
            session.record("counts", peer.name, count(session, peer, 1))
            peer.stop()
        for peer in chosen(session, ("haproxy+cache", "gateway")):
            session.record("counts-tokens", peer.name, count(session, peer, CACHED_TOKENS))
            peer.stop()
