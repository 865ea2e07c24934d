"""A strict reader of the Prometheus text format 0.0.4: what it does not know is an error."""

import math
import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) (.*)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram|summary|untyped)")
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)(?: (-?\d+))?")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count", "")}


class MetricsError(AssertionError):
    """The text is not what a Prometheus server would accept."""


@dataclass
class Metrics:
    """Samples by name and labels, and the type that was declared for each family."""

    samples: dict[tuple[str, frozenset], float] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    def sum(self, name: str, **labels: str) -> float:
        """The sum of all samples of `name` that carry (at least) these labels; 0 if there are none."""
        wanted = set(labels.items())
        return sum(value for (found, carried), value in self.samples.items() if found == name and wanted <= carried)

    def has(self, name: str) -> bool:
        return any(found == name for found, _ in self.samples)

    def label_values(self, label: str) -> set[str]:
        return {value for _, labels in self.samples for key, value in labels if key == label}


def parse(text: str) -> Metrics:
    """Reads an exposition and checks families, types, labels, duplicates and histograms."""
    if not text.endswith("\n"):
        raise MetricsError("the last line does not end in a line feed")
    metrics = Metrics()
    family, finished = None, set()
    for line in text[:-1].split("\n"):
        if not line:
            continue
        if line.startswith("#"):
            family = _read_comment(line, metrics, family, finished)
            continue
        name, labels, value = _read_sample(line)
        owner = _family_of(name, metrics.types)
        if owner != family:
            raise MetricsError(f"sample of {owner} outside of its group: {line!r}")
        if (name, labels) in metrics.samples:
            raise MetricsError(f"twice: {line!r}")
        if metrics.types[owner] == "counter" and (value < 0 or math.isnan(value)):
            raise MetricsError(f"counter below zero: {line!r}")
        metrics.samples[name, labels] = value
    _check_histograms(metrics)
    return metrics


def _read_comment(line: str, metrics: Metrics, family: str | None, finished: set[str]) -> str | None:
    if match := _HELP.fullmatch(line):
        name = match[1]
    elif match := _TYPE.fullmatch(line):
        name = match[1]
        if name in metrics.types:
            raise MetricsError(f"second TYPE of {name}")
        metrics.types[name] = match[2]
        if match[2] == "counter" and not name.endswith("_total"):
            raise MetricsError(f"counter without _total: {name}")
    else:
        raise MetricsError(f"neither HELP nor TYPE: {line!r}")
    if name != family and name in finished:
        raise MetricsError(f"family {name} is torn apart")
    finished.add(name)
    return name


def _read_sample(line: str) -> tuple[str, frozenset, float]:
    match = _SAMPLE.fullmatch(line)
    if not match:
        raise MetricsError(f"not a sample: {line!r}")
    labels, rest = [], match[2] or ""
    while rest:
        label = _LABEL.match(rest)
        if not label:
            raise MetricsError(f"bad labels: {line!r}")
        labels.append((label[1], re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], label[2])))
        rest = rest[label.end() :]
    if len({key for key, _ in labels}) != len(labels):
        raise MetricsError(f"label twice: {line!r}")
    return match[1], frozenset(labels), float(match[3])


def _family_of(name: str, types: dict[str, str]) -> str:
    for family, kind in types.items():
        if name in {family + suffix for suffix in _SUFFIXES.get(kind, ("",))}:
            return family
    raise MetricsError(f"sample without TYPE: {name}")


def _check_histograms(metrics: Metrics) -> None:
    for family, kind in metrics.types.items():
        if kind != "histogram":
            continue
        series: dict[frozenset, list[tuple[float, float]]] = {}
        for (name, labels), value in metrics.samples.items():
            if name == f"{family}_bucket":
                bound = dict(labels)["le"]
                series.setdefault(frozenset(l for l in labels if l[0] != "le"), []).append((float(bound), value))
        for labels, buckets in series.items():
            counts = [count for _, count in sorted(buckets)]
            if counts != sorted(counts):
                raise MetricsError(f"buckets of {family}{dict(labels)} are not cumulative")
            if max(buckets)[0] != math.inf:
                raise MetricsError(f"{family}{dict(labels)} has no +Inf bucket")
            if counts[-1] != metrics.samples.get((f"{family}_count", labels)):
                raise MetricsError(f"{family}{dict(labels)}: _count is not the last bucket")
