"""From samples to figures: medians, ratios within the run, and the comparison with thresholds.json."""
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


def figures(session):
    """Every figure that a threshold can name; None where the run has no measure for it."""
    def gateway(row, key=CPU):
        return median(session, row, "gateway", key)

    floor, nginx = median(session, "plain", "floor"), median(session, "plain", "nginx")
    plain = gateway("plain")

    def verification(row):
        """What a token that was never seen costs above forwarding it, in bare verifications of its kind."""
        extra = gateway(row) - plain if None not in (gateway(row), plain) else None
        return ratio(extra, median(session, row, "openssl", BARE[row]))

    def better(row):
        """Of nginx and HAProxy; None unless both were measured."""
        both = [median(session, row, peer) for peer in ("nginx", "haproxy")]
        return None if None in both else min(both)

    def of_nginx(row, key=CPU):
        return ratio(gateway(row, key), median(session, row, "nginx", key))

    overload, nginx_overload = (
        (session.samples.get("overload", {}).get(peer) or [{}])[-1] for peer in ("gateway", "nginx"))
    return {
        "plain, × floor": ratio(plain, floor),
        "rs256-1, × floor": ratio(gateway("rs256-1"), floor),
        "rs256-1, × nginx without tokens": ratio(gateway("rs256-1"), nginx),
        "rs256-20000, × floor": ratio(gateway("rs256-20000"), floor),
        "rs256-20000, × nginx without tokens": ratio(gateway("rs256-20000"), nginx),
        **{f"{row}, (new − plain) × bare verification": verification(row) for row in BARE},
        "flood, p99 of cached tokens × without it": gateway("flood", "p99_ratio"),
        "flood, bad tokens a second": gateway("flood", "bad_per_second"),
        "tls, × nginx over TLS without tokens": ratio(gateway("tls"), median(session, "tls", "nginx")),
        "bodies, bytes per CPU second × floor": ratio(gateway("bodies", "gb_per_cpu_second"),
                                                      median(session, "bodies", "floor", "gb_per_cpu_second")),
        "h2, × the better of nginx and HAProxy": ratio(gateway("h2"), better("h2")),
        "h2-tls, × the better of nginx and HAProxy": ratio(gateway("h2-tls"), better("h2-tls")),
        "h2-origin, without token × floor": ratio(gateway("h2-origin"), floor),
        "h2-origin-token, × floor": ratio(gateway("h2-origin-token"), floor),
        "handshakes, P-256 × nginx": of_nginx("handshakes"),
        "handshakes, RSA-2048 × nginx": of_nginx("handshakes-rsa"),
        "tls-bodies, bytes per CPU second × nginx": of_nginx("tls-bodies", "gb_per_cpu_second"),
        "tls-idle, bytes for each connection × nginx": of_nginx("tls-idle", "bytes_each"),
        "websockets, message × floor's request": ratio(gateway("websockets"), floor),
        "revocations, a million × none": ratio(median(session, "revocations", "million"),
                                               median(session, "revocations", "none")),
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
