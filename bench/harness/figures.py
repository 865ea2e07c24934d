"""From samples to figures: medians, ratios within the run, and the comparison with thresholds.json."""
import json
import statistics

from harness.layout import THRESHOLDS

CPU = "cpu_us_per_request"
NOISY_SPREAD = 0.10      # of the floor, (max - min) / median: beyond it the machine was too busy to believe ratios


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
    bare, plain, new = median(session, "new", "openssl", "rs256_us"), gateway("plain"), gateway("new")
    extra = new - plain if None not in (new, plain) else None
    overload = (session.samples.get("overload", {}).get("gateway") or [{}])[-1]
    return {
        "plain, × floor": ratio(plain, floor),
        "rs256-1, × floor": ratio(gateway("rs256-1"), floor),
        "rs256-1, × nginx without tokens": ratio(gateway("rs256-1"), nginx),
        "rs256-20000, × floor": ratio(gateway("rs256-20000"), floor),
        "rs256-20000, × nginx without tokens": ratio(gateway("rs256-20000"), nginx),
        "new, (new − plain) × bare verification": ratio(extra, bare),
        "tls, × nginx over TLS without tokens": ratio(gateway("tls"), median(session, "tls", "nginx")),
        "bodies, bytes per CPU second × floor": ratio(gateway("bodies", "gb_per_cpu_second"),
                                                      median(session, "bodies", "floor", "gb_per_cpu_second")),
        "counts, calls per plain request": gateway("counts", "calls_per_request"),
        "counts, calls per token request": gateway("counts-tokens", "calls_per_request"),
        "counts, allocations per token request": gateway("counts-tokens", "allocations_per_request"),
        "idle, bytes for each connection": gateway("idle", "bytes_each"),
        "start, ms to the first answer": gateway("start", "start_ms"),
        "start, MiB resident": gateway("start", "resident_mib"),
        "overload, throughput × the same with few connections": overload.get("holds"),
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
        text = f"≤ {limit['at_most']}" if "at_most" in limit else f"≥ {limit['at_least']}"
        good = value is not None and value <= limit.get("at_most", value) and value >= limit.get("at_least", value)
        verdict = "ok" if good else "not measured" if value is None else "BREACH"
        lines.append((name, value, text, verdict))
    return lines


def floor_spread(session):
    values = session.values("plain", "floor", CPU)
    return (max(values) - min(values)) / statistics.median(values) if len(values) > 1 else None
