"""Families with many series as text for Prometheus; for metrics.py, packetmetrics.py, flowpage.py.

The Prometheus client library takes twenty times as long over them, and longer than a scrape of a
thousand interfaces may (docs/performance.md); what has few series is left to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Row = tuple[str, int]
"""labels as text, without braces; value"""
Histogram = tuple[str, Sequence[int], int]
"""labels as text; how many in each bucket; sum of all"""

ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True)
class Family:
    """One family; `lines`: its samples as text."""

    name: str
    kind: str
    text: str
    lines: list[str]

    def head(self, openmetrics: bool) -> list[str]:
        """Help and type, in which alone the two formats differ."""
        counter = self.kind == "counter" and not openmetrics
        name = f"{self.name}_total" if counter else self.name
        kind = "untyped" if self.kind == "unknown" and not openmetrics else self.kind
        return [f"# HELP {name} {self.text}", f"# TYPE {name} {kind}"]


def label(name: str, value: str) -> str:
    """One label; the value may be anything."""
    return f'{name}="{value.translate(ESCAPES)}"'


def counter(name: str, text: str, rows: Iterable[Row]) -> Family:
    """`name` without `_total`."""
    lines = [f"{name}_total{{{labels}}} {value}" for labels, value in rows]
    return Family(name, "counter", text, lines)


def gauge(name: str, text: str, rows: Iterable[Row], kind: str = "gauge") -> Family:
    """Or of another kind whose samples have the family's own name."""
    lines = [f"{name}{{{labels}}} {value}" for labels, value in rows]
    return Family(name, kind, text, lines)


def histogram(name: str, text: str, bounds: Sequence[str], rows: Iterable[Histogram]) -> Family:
    """`bounds`: of the buckets, the last one "+Inf"."""
    lines: list[str] = []
    ends = [f'le="{bound}"}}' for bound in bounds]
    for labels, counts, sum_ in rows:
        cumulated = list(itertools.accumulate(counts))
        start = f"{name}_bucket{{{labels},"
        lines += [f"{start}{end} {n}" for end, n in zip(ends, cumulated, strict=True)]
        lines += [f"{name}_count{{{labels}}} {cumulated[-1]}", f"{name}_sum{{{labels}}} {sum_}"]
    return Family(name, "histogram", text, lines)


def write(families: Iterable[Family], openmetrics: bool) -> str:
    """All of them, in either of Prometheus's formats, without the end that OpenMetrics wants."""
    lines: list[str] = []
    for family in families:
        lines += family.head(openmetrics)
        lines += family.lines
    return "\n".join([*lines, ""])
