"""Rows on the quiet wire: CPU time of the proxy per request, all peers in turns, one round after the other.

On this wire the load generator never sleeps and is the origin too, so that the proxy never pays for waking the other
core. Every row sends the same requests, with an RS256 token, whether the proxy looks at it or not.
"""
import json
import statistics
import subprocess

from sidebyside import process
from sidebyside.layout import TOKENS
from sidebyside.peers import (
    H2, H2_ORIGIN, H2_ORIGIN_WITH_TOKEN, H2_WITH_TOKEN, PLAIN, TLS, TLS_H2_ORIGIN, TLS_H2_ORIGIN_WITH_TOKEN,
    TLS_RSA_TICKETS, TLS_TICKETS, TLS_WITH_TOKEN, WITH_TOKEN,
)
from sidebyside.tools import token_file, tool

WARM_SECONDS = 0.5
NEW_WARM_REQUESTS = 3000
BODY_BYTES = 1 << 20
BODY_CONNECTIONS = 16
TLS_TOKENS = 1000
STREAM_CONNECTIONS, STREAMS = 16, 16      # of HTTP/2: as many requests are out at once
WEBSOCKETS = 1000
GOOD_PER_SECOND = 10_000      # a tenth of what a core can do, so that who waits does not wait for its like
BAD_PER_SECOND = 20_000
FLOOD_MILLISECONDS = 100

# How many of the session's new tokens a row uses: the longer one takes to check, the fewer for windows of one length.
NEW_SHARE = {"new": 1, "new-es256": 3 / 8, "new-eddsa": 1 / 4}

# HTTP/2: the port, whether that of TLS, and whether its requests have a token. Only the gateway looks at one.
STREAM_WORK = {
    "h2": (H2, False, True), "h2-token": (H2_WITH_TOKEN, False, True),
    "h2-tls": (TLS, True, True), "h2-tls-token": (TLS_WITH_TOKEN, True, True),
    "h2-origin": (H2_ORIGIN, False, False), "h2-origin-token": (H2_ORIGIN_WITH_TOKEN, False, True),
    "h2-origin-tls": (TLS_H2_ORIGIN, True, False), "h2-origin-tls-token": (TLS_H2_ORIGIN_WITH_TOKEN, True, True),
}
CHECKS_TOKENS = {"h2-token", "h2-tls-token", "h2-origin-token", "h2-origin-tls-token"}
HANDSHAKES = {"handshakes": (TLS_TICKETS, False), "handshakes-rsa": (TLS_RSA_TICKETS, False),
              "handshakes-resumed": (TLS_TICKETS, True)}

# What each row measures, and what its ratios need from the same rounds: (work, peer). What a ratio compares stands next to
# each other: machines that others use are slower for seconds at a time.
REFERENCES = [("plain", "floor"), ("plain", "nginx")]
CELLS = {
    "plain": [("plain", "floor"), ("plain", "gateway"), ("plain", "nginx"), ("plain", "haproxy")],
    **{row: [*REFERENCES, (row, "floor"), (row, "gateway"), (row, "haproxy"), (row, "haproxy+cache")]
       for row in ("rs256-1", "rs256-1000", "rs256-20000")},
    **{row: [*REFERENCES, ("plain", "gateway"), (row, "gateway"), (row, "openssl")] for row in NEW_SHARE},
    "flood": [("flood", "gateway")],
    "tls": [("tls", "nginx"), ("tls", "haproxy"), ("tls", "gateway")],
    "bodies": [("bodies", "floor"), ("bodies", "nginx"), ("bodies", "haproxy"), ("bodies", "gateway")],
    "h2": [*REFERENCES, ("h2", "nginx"), ("h2", "haproxy"), ("h2", "gateway"), ("h2-token", "gateway")],
    "h2-tls": [("h2-tls", "nginx"), ("h2-tls", "haproxy"), ("h2-tls", "gateway"), ("h2-tls-token", "gateway")],
    "h2-origin": [*REFERENCES, ("h2-origin", "haproxy"), ("h2-origin", "gateway"), ("h2-origin-tls", "haproxy"),
                  ("h2-origin-tls", "gateway")],
    "h2-origin-token": [*REFERENCES, ("h2-origin-token", "gateway"), ("h2-origin-tls-token", "gateway")],
    "handshakes": [(work, peer) for work in HANDSHAKES for peer in ("nginx", "haproxy", "gateway")],
    "tls-bodies": [("tls-bodies", "nginx"), ("tls-bodies", "haproxy"), ("tls-bodies", "gateway")],
    "websockets": [*REFERENCES, ("websockets-requests", "floor"), ("websockets", "gateway"), ("websockets", "floor"),
                   ("websockets", "nginx"), ("websockets", "haproxy")],
}


def cells(rows):
    """The cells of these rows, each once, in the order in which a round takes them."""
    return list(dict.fromkeys(cell for row in rows for cell in CELLS[row]))


def cached(session, peer, port, count, tls=False, remembers=False):
    """Every connection cycles through `count` tokens; all of them are seen before the window opens."""
    remembers = remembers or peer.name in ("gateway", "haproxy+cache")
    options = {"s": True} if tls else {}
    return session.load("closed", port, peer.pids, t=session.seconds, w=WARM_SECONDS, k=token_file("rs256"), n=count,
                        W=count + count // 4 if remembers else 0, **options)


def plain(session, peer):
    return cached(session, peer, peer.port(PLAIN), 1)


def tls(session, peer):
    if peer.name == "gateway":
        return cached(session, peer, peer.port(TLS_WITH_TOKEN), TLS_TOKENS, tls=True)
    return cached(session, peer, peer.port(TLS), 1, tls=True)


def new(session, peer, row):
    # A restart empties the cache, so that tokens of an earlier round are new again.
    peer.stop()
    peer.start()
    return session.load("once", peer.port(WITH_TOKEN), peer.pids, w=0, W=NEW_WARM_REQUESTS, k=token_file(row),
                        n=int(session.new_tokens * NEW_SHARE[row]))


def flood(session, peer):
    """Cached tokens at their pace: beside well-formed tokens with bad signatures from another address, which come and go."""
    # Each bad token once, so that nothing remembers it: a restart, or an earlier round's would be known.
    peer.stop()
    peer.start()
    seconds = 2 * session.seconds
    count = int(BAD_PER_SECOND * (session.seconds + FLOOD_MILLISECONDS / 1000))
    sample = session.load("paced", peer.port(WITH_TOKEN), peer.pids, t=seconds, w=WARM_SECONDS, r=GOOD_PER_SECOND,
                          k=token_file("rs256"), n=1000, W=1000, f=BAD_PER_SECOND, F=token_file("new"),
                          m=min(count, session.new_tokens), a=FLOOD_MILLISECONDS)
    if "error" not in sample:
        alone, beside = sample["phases_us"][::2], sample["phases_us"][1::2]
        sample["p99_alone_us"], sample["p99_us"] = statistics.median(alone), statistics.median(beside)
        sample["p99_ratio"] = statistics.median(b / a for a, b in zip(alone, beside))
        sample["bad_per_second"] = sample["flooded"] * 2e6 / sample["wall_us"]
    return sample


def streams(session, peer, work):
    """HTTP/2 on the wire: all streams of all connections always have one request out."""
    kind, is_tls, has_token = STREAM_WORK[work]
    options = {"2": STREAMS, "c": STREAM_CONNECTIONS, "s": is_tls}
    if has_token:
        options |= {"k": token_file("rs256"), "n": 1}
    if work in CHECKS_TOKENS:
        options |= {"n": TLS_TOKENS, "W": TLS_TOKENS + TLS_TOKENS // 4}
    return session.load("closed", peer.port(kind), peer.pids, t=session.seconds, w=WARM_SECONDS, **options)


def handshakes(session, peer, work):
    """All proxies offer session tickets here, as they do by themselves."""
    kind, resumes = HANDSHAKES[work]
    return session.load("handshakes", peer.port(kind), peer.pids, t=session.seconds, w=WARM_SECONDS, R=resumes)


def websockets_requests(session, peer):
    """As many connections as there are WebSockets, each of which always has one request out, not a message."""
    return session.load("closed", peer.port(PLAIN), peer.pids, t=session.seconds, w=WARM_SECONDS, c=WEBSOCKETS,
                        W=2 * WEBSOCKETS, k=token_file("rs256"), n=1)


def websockets(session, peer):
    return session.load("websockets", peer.port(PLAIN), peer.pids, t=session.seconds, w=WARM_SECONDS, c=WEBSOCKETS,
                        W=2 * WEBSOCKETS)


def bodies(session, peer, kind=PLAIN):
    sample = session.load("closed", peer.port(kind), peer.pids, t=session.seconds, w=WARM_SECONDS,
                          c=BODY_CONNECTIONS, B=BODY_BYTES, s=kind == TLS)
    if sample.get("cpu_us"):
        sample["gb_per_cpu_second"] = sample["bytes"] / 1e3 / sample["cpu_us"]
    return sample


def tls_bodies(session, peer):
    return bodies(session, peer, TLS)


def verify(session):
    """The bare OpenSSL loop, on the core where the proxies run."""
    child = process.spawn([tool("verify"), str(TOKENS)], {session.layout.proxy_core}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = child.communicate(timeout=60)
    finally:
        process.end(child)
    return json.loads(out) if child.returncode == 0 else {"error": err.strip()}


WORK = {"plain": plain, "tls": tls, "flood": flood, "bodies": bodies, "tls-bodies": tls_bodies, "websockets": websockets,
        "websockets-requests": websockets_requests}


def measure(session, work, peer):
    if work.startswith("rs256-") and peer.name == "floor":
        sample = plain(session, peer)
    elif work.startswith("rs256-"):
        sample = cached(session, peer, peer.port(WITH_TOKEN), int(work.removeprefix("rs256-")))
    elif work in NEW_SHARE:
        sample = new(session, peer, work)
    elif work in STREAM_WORK:
        sample = streams(session, peer, work)
    elif work in HANDSHAKES:
        sample = handshakes(session, peer, work)
    else:
        sample = WORK[work](session, peer)
    peer.check_alive()
    if sample.get("refused") or sample.get("broken"):
        sample = {"error": f"{sample['refused']} refused, {sample['broken']} broken of {sample['requests']}"}
    return sample


def run(session, rows):
    session.start_all()
    todo = cells(rows)
    for number in range(session.rounds):
        print(f"round {number + 1} of {session.rounds}", flush=True)
        for work, name in todo:
            if name == "openssl":
                session.record(work, name, verify(session))
            elif name in session.peers:
                session.record(work, name, measure(session, work, session.peers[name]))
