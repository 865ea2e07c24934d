"""Before anything is measured: does each proxy refuse what it must, and answer what it should?"""
import sys

from sidebyside.peers import PLAIN, WITH_TOKEN, ask
from sidebyside.tools import token_cases, token_file
from sidebyside.wire import CHECKS_TOKENS, STREAM_WORK

CHECKED = ("haproxy", "haproxy+cache", "gateway")


def expected(case, peer):
    """HAProxy is configured without permissions here, so only the gateway can answer 403."""
    return {200} if case["status"] == 403 and peer != "gateway" else {case["status"]}


def refuses_in_streams(session, peer):
    """Every stream with a bad token must hear a refusal. What went wrong, in sentences."""
    count = sum(1 for _ in open(token_file("bad")))
    for work in sorted(CHECKS_TOKENS):
        kind, is_tls, _ = STREAM_WORK[work]
        sample = session.load("closed", peer.port(kind), quiet=False, t=0.1, w=0, W=2 * count, c=1, k=token_file("bad"), n=count,
                              s=is_tls, **{"2": 1})
        if "error" in sample or sample["refused"] != sample["requests"]:
            yield f"{peer.name}, {work}: {sample.get('error') or 'a bad token was let in'}"


def run(session):
    """Ends the run at the first wrong answer: numbers of a proxy that lets everybody in mean nothing."""
    session.start_all()
    wrong = []
    with session.origin():
        for name, peer in session.peers.items():
            if name != "haproxy+cache" and (status := ask(peer.port(PLAIN))) != 200:
                wrong.append(f"{name}, plain: answered {status}, not 200")
            if name not in CHECKED:
                continue
            for case in token_cases() * 2:     # twice: a cached verdict must be the same
                status = ask(peer.port(WITH_TOKEN), token=case["token"])
                if status not in expected(case, name):
                    wrong.append(f"{name}, token {case['name']}: answered {status}, not {case['status']}")
    if "gateway" in session.peers:
        wrong += refuses_in_streams(session, session.peers["gateway"])
    if wrong:
        sys.exit("bench/run: wrong answers, nothing was measured:\n  " + "\n  ".join(dict.fromkeys(wrong)))
    print(f"tokens: {len(token_cases())} cases answered rightly by", ", ".join(
        name for name in CHECKED if name in session.peers), flush=True)
