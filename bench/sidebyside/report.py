"""Prints the tables and writes the JSON file of a run."""
import json
import os
import platform
import statistics
import subprocess
import time

from sidebyside.figures import BARE, CPU, noise, paired, rounds
from sidebyside.layout import RESULTS
from sidebyside.session import show

# What is printed of each row: the key of the sample and its unit. Rows not named here: CPU time per request.
COLUMNS = {
    "tls-bodies": [("gb_per_cpu_second", "GB per CPU s")],
    "tls-idle": [("bytes_each", "bytes for each")],
    "websockets": [(CPU, "CPU µs per message")],
    **{row: [(CPU, "CPU µs per handshake")] for row in ("handshakes", "handshakes-rsa", "handshakes-resumed")},
    "bodies": [("gb_per_cpu_second", "GB per CPU s")],
    "flood": [("p99_us", "µs p99"), ("p99_alone_us", "µs p99 without the flood"), ("bad_per_second", "bad per s")],
    "start": [("start_ms", "ms to first answer"), ("resident_mib", "MiB resident")],
    "idle": [("bytes_each", "bytes for each")],
    "counts": [("calls_per_request", "calls"), ("allocations_per_request", "allocations")],
    "counts-tokens": [("calls_per_request", "calls"), ("allocations_per_request", "allocations")],
    "overload": [("per_second", "per s"), ("holds", "× few connections"), ("steady", "last third × first"),
                 ("peak_mib", "MiB at most"), ("drain_seconds", "s to drain")],
}

COMPARABLE = (CPU, "gb_per_cpu_second")


def columns(row, peer):
    return [(BARE[row], "µs for each")] if peer == "openssl" else COLUMNS.get(row, [(CPU, "CPU µs per request")])


def spread(values):
    middle = show(float(statistics.median(values)))
    return middle if len(values) == 1 else f"{middle} ({show(float(min(values)))}–{show(float(max(values)))})"


def against_floor(session, row, peer, key):
    """The ratio to the floor of the same run, where the floor does comparable work."""
    if "tls" in row or row.startswith("handshakes") or key not in COMPARABLE:
        return ""
    here, plain = (paired(rounds(session, row, peer, key), rounds(session, home, "floor", key)) for home in (row, "plain"))
    if row.startswith("websockets") and here and plain:
        return f"{here:.2f} × floor   {plain:.2f} × floor in plain"
    return f"{here or plain:.2f} × floor" if here or plain else ""


def row_lines(session, row):
    for peer, samples in session.samples[row].items():
        errors = [sample["error"] for sample in samples if "error" in sample]
        parts = []
        for key, unit in columns(row, peer):
            if values := session.values(row, peer, key):
                parts.append(f"{spread(values)} {unit}  {against_floor(session, row, peer, key)}".rstrip())
        for key, unit in (("utilisation", "of its core"), ("per_second", "per s")):
            if (values := session.values(row, peer, key)) and row != "overload":
                parts.append(f"{show(float(statistics.median(values)))} {unit}")
        if errors:
            parts.append(f"{len(errors)} of {len(samples)} failed: {errors[0]}")
        yield f"  {peer:14} " + "   ".join(parts)


def print_tables(session):
    print("\nMedian (least–most) of the rounds. CPU time is the scheduler's, of all threads of the proxy.")
    for row in session.samples:
        print(f"\n{row}")
        for line in row_lines(session, row):
            print(line)
    if sentence := noise(session):
        print(f"\n{sentence} Measure again on a quiet machine.")


def print_verdicts(lines):
    if not lines:
        return
    print("\nThresholds (bench/thresholds.json)")
    for name, value, limit, verdict in lines:
        print(f"  {name:54} {'–' if value is None else show(float(value)):>9}  {limit:9} {verdict}")


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except OSError:
        return None
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else None


def processor():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write(session, lines):
    peers = {name: first_line([peer.binary, "-v"]) for name, peer in session.peers.items() if name in
             ("nginx", "haproxy")}
    document = {
        "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"processor": processor(), "cores": os.cpu_count(), "kernel": platform.release(),
                    "openssl": first_line(["openssl", "version"]), **peers},
        "rounds": session.rounds, "seconds": session.seconds, "noise": noise(session),
        "samples": session.samples,
        "thresholds": [{"figure": name, "value": value, "limit": limit, "verdict": verdict}
                       for name, value, limit, verdict in lines],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    part = RESULTS.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    part.replace(RESULTS)
    print(f"\nAll samples: {RESULTS}")
