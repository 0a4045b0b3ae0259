"""Writes families with many series as text for Prometheus.

The Prometheus client library needs twenty times as long for them, more than a scrape of a thousand
interfaces may take (docs/performance.md). It still writes the families that have few series.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Series = tuple[str, int]
"""labels as text, without braces; value"""
Histogram = tuple[str, Sequence[int], int]
"""labels as text; packets in each bucket; sum of all values"""

ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True)
class Family:
    """One family: the samples of each series as text, or `series` of a counter without `lines`.

    `series` that count have, in `created`, the Unix time when each was still 0, or None; or it is
    empty. The value of a histogram is its number of observations.
    """

    name: str
    kind: str
    text: str
    lines: list[str] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    created: Sequence[float | None] = ()

    def head(self, openmetrics: bool) -> list[str]:
        """Write help and type, which differ between the two formats."""
        counter = self.kind == "counter" and not openmetrics
        name = f"{self.name}_total" if counter else self.name
        kind = "untyped" if self.kind == "unknown" and not openmetrics else self.kind
        return [f"# HELP {name} {self.text}", f"# TYPE {name} {kind}"]

    def samples(self, openmetrics: bool) -> list[str]:
        """Write the samples; only OpenMetrics has the times of creation."""
        lines = self.lines[:]
        if not lines:
            lines = [f"{self.name}_total{{{labels}}} {value}" for labels, value in self.series]
        if openmetrics:
            for at, created in enumerate(self.created):
                if created is not None:
                    lines[at] += f"\n{self.name}_created{{{self.series[at][0]}}} {created:.3f}"
        return lines


def label(name: str, value: str) -> str:
    """Write one label, with its value escaped."""
    return f'{name}="{value.translate(ESCAPES)}"'


def counter(name: str, text: str, series: Iterable[Series]) -> Family:
    """Build a counter; `name` comes without `_total`."""
    return Family(name, "counter", text, series=list(series))


def gauge(name: str, text: str, series: Iterable[Series], kind: str = "gauge") -> Family:
    """Build a gauge, or another `kind` whose samples have the family's own name."""
    lines = [f"{name}{{{labels}}} {value}" for labels, value in series]
    return Family(name, kind, text, lines)


def histogram(name: str, text: str, bounds: Sequence[str], series: Iterable[Histogram]) -> Family:
    """Build a histogram; `bounds` are upper bounds of the buckets, the last one "+Inf"."""
    lines: list[str] = []
    counted: list[Series] = []
    ends = [f'le="{bound}"}}' for bound in bounds]
    for labels, counts, sum_ in series:
        cumulated = list(itertools.accumulate(counts))
        start = f"{name}_bucket{{{labels},"
        buckets = [f"{start}{end} {n}" for end, n in zip(ends, cumulated, strict=True)]
        sums = f"{name}_count{{{labels}}} {cumulated[-1]}", f"{name}_sum{{{labels}}} {sum_}"
        lines.append("\n".join((*buckets, *sums)))
        counted.append((labels, cumulated[-1]))
    return Family(name, "histogram", text, lines, counted)


def write(families: Iterable[Family], openmetrics: bool) -> str:
    """Write the families in one of the two formats, without the `# EOF` of OpenMetrics."""
    lines: list[str] = []
    for family in families:
        lines += family.head(openmetrics)
        lines += family.samples(openmetrics)
    return "\n".join([*lines, ""])
