"""From samples to figures: medians, ratios within a round, and the comparison with thresholds.json."""
import json
import operator
import statistics

from sidebyside.layout import THRESHOLDS

CPU = "cpu_us_per_request"
NOISY_SPREAD = 0.10      # of the floor, (most - least) / median; on a quiet machine it is a few hundredths
QUIET_SHARE = 0.90       # of its core, that a proxy under full load gets when nobody else wants it
BARE = {"new": "rs256_us", "new-es256": "es256_us", "new-eddsa": "eddsa_us"}     # what verify.c calls each
COMPARISONS = {"at_most": ("≤", operator.le), "below": ("<", operator.lt), "at_least": ("≥", operator.ge), "exactly": ("=", operator.eq)}


def median(session, row, peer, key=CPU):
    """None when any sample failed: a proxy that breaks in one round has no figure."""
    samples = session.samples.get(row, {}).get(peer, [])
    if not samples or any("error" in sample for sample in samples):
        return None
    values = session.values(row, peer, key)
    return statistics.median(values) if values else None


def ratio(a, b):
    return a / b if a is not None and b else None


def rounds(session, row, peer, key=CPU):
    """One value for each round; none at all when any failed."""
    samples = session.samples.get(row, {}).get(peer, [])
    values = [sample.get(key) for sample in samples if "error" not in sample]
    return values if values and len(values) == len(samples) and None not in values else []


def paired(*columns, by=operator.truediv):
    """The median of what rounds give each by itself: a machine that is slower for a while slows both sides of a ratio."""
    if not all(columns) or len({len(column) for column in columns}) != 1:
        return None
    return statistics.median(by(*values) for values in zip(*columns))


def figures(session):
    """Every figure that a threshold can name; None where the run has no measure for it."""
    def gateway(row, key=CPU):
        return median(session, row, "gateway", key)

    def ours(row, key=CPU):
        return rounds(session, row, "gateway", key)

    def of(peer, row, key=CPU, home=None):
        """Ours by the peer's, in the row or in the peer's own."""
        return paired(ours(row, key), rounds(session, home or row, peer, key))

    def of_floor(row):
        """Next to the row where it has a floor of its own."""
        return of("floor", row, home=row if rounds(session, row, "floor") else "plain")

    def verification(row):
        """What a token that was never seen costs above forwarding it, in bare verifications of its kind."""
        return paired(ours(row), ours("plain"), rounds(session, row, "openssl", BARE[row]),
                      by=lambda new, plain, bare: (new - plain) / bare)

    def of_better(row):
        """By the better of nginx and HAProxy; None unless both were measured."""
        both = [of(peer, row) for peer in ("nginx", "haproxy")]
        return None if None in both else max(both)

    overload, nginx_overload = (
        (session.samples.get("overload", {}).get(peer) or [{}])[-1] for peer in ("gateway", "nginx"))
    return {
        "plain, × floor": of_floor("plain"),
        "rs256-1, × floor": of_floor("rs256-1"),
        "rs256-1, × nginx without tokens": of("nginx", "rs256-1", home="plain"),
        "rs256-20000, × floor": of_floor("rs256-20000"),
        "rs256-20000, × nginx without tokens": of("nginx", "rs256-20000", home="plain"),
        **{f"{row}, (new − plain) × bare verification": verification(row) for row in BARE},
        "flood, p99 of cached tokens × without it": gateway("flood", "p99_ratio"),
        "flood, bad tokens a second": gateway("flood", "bad_per_second"),
        "tls, × nginx over TLS without tokens": of("nginx", "tls"),
        "bodies, bytes per CPU second × floor": of("floor", "bodies", "gb_per_cpu_second"),
        "h2, × the better of nginx and HAProxy": of_better("h2"),
        "h2-tls, × the better of nginx and HAProxy": of_better("h2-tls"),
        "h2-origin, without token × floor": of_floor("h2-origin"),
        "h2-origin-token, × floor": of_floor("h2-origin-token"),
        "handshakes, P-256 × nginx": of("nginx", "handshakes"),
        "handshakes, RSA-2048 × nginx": of("nginx", "handshakes-rsa"),
        "tls-bodies, bytes per CPU second × nginx": of("nginx", "tls-bodies", "gb_per_cpu_second"),
        "tls-idle, bytes for each connection × nginx": of("nginx", "tls-idle", "bytes_each"),
        # Each of more sockets than a cache holds costs more: as many connections are compared.
        "websockets, message × floor's request, 1 000 connections": of("floor", "websockets", home="websockets-requests"),
        "revocations, a million × none": paired(rounds(session, "revocations", "million"), rounds(session, "revocations", "none")),
        "counts, calls per plain request": gateway("counts", "calls_per_request"),
        "counts, calls per token request": gateway("counts-tokens", "calls_per_request"),
        "counts, allocations per token request": gateway("counts-tokens", "allocations_per_request"),
        "idle, bytes for each connection": gateway("idle", "bytes_each"),
        "start, ms to the first answer": gateway("start", "start_ms"),
        "start, MiB resident": gateway("start", "resident_mib"),
        # What thousands of connections cost in caches, the load pays, too: only a peer under the same load is a measure.
        "overload, throughput × nginx's": ratio(overload.get("per_second"), nginx_overload.get("per_second")),
        "overload, throughput of the last third × the first": overload.get("steady"),
        "overload, MiB at most": overload.get("peak_mib"),
        "overload, seconds until all connections are gone": overload.get("drain_seconds"),
        "overload, share of requests refused": overload.get("refused_share"),
        "overload, exit status after the drain": overload.get("exit_status"),
    }


def judge(session, rows):
    """Lines of (figure, measured, limit as text, verdict) for the thresholds of these rows."""
    measured, lines = figures(session), []
    for name, limit in json.loads(THRESHOLDS.read_text()).items():
        if name.split(",")[0] not in rows:
            continue
        value = measured[name]
        (kind, bound), = limit.items()
        sign, meets = COMPARISONS[kind]
        verdict = "not measured" if value is None else "ok" if meets(value, bound) else "BREACH"
        lines.append((name, value, f"{sign} {bound}", verdict))
    return lines


def noise(session):
    """A sentence when the machine was too busy for ratios to be believed, or None."""
    floor = session.values("plain", "floor", CPU)
    if len(floor) > 1 and (spread := (max(floor) - min(floor)) / statistics.median(floor)) > NOISY_SPREAD:
        return f"The floor itself spread by {spread:.0%}: something else used these cores."
    shares = [statistics.median(session.values("plain", peer, "utilisation")) for peer in ("nginx", "haproxy")
              if session.values("plain", peer, "utilisation")]
    if shares and max(shares) < QUIET_SHARE:
        return f"A proxy under full load got only {max(shares):.0%} of its core: something else used these cores."
    return None
