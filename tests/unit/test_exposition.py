"""Families as text against what the Prometheus client library would write."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from pktexp.metrics.exposition import counter, gauge, histogram, label, write

STRANGE = 'we"ird\\ \n name'
BOUNDS = ("64.0", "128.0", "+Inf")


def text(openmetrics: bool) -> str:
    name = label("interface", STRANGE)
    families = [
        counter("things", "Things.", [(name, 5)]),
        gauge("level", "Level.", [(f'{name},state="a"', 1), (f'{name},state="b"', 0)]),
        gauge("old_things", "Old.", [(name, 7)], "unknown"),
        histogram("sizes", "Sizes.", BOUNDS, [(name, [1, 0, 3], 999)]),
        counter("nothing", "Nothing yet.", []),
    ]
    return write(families, openmetrics)


class Library(Collector):
    """The same families by the library's own means."""

    def describe(self) -> tuple[Metric, ...]:
        return ()

    def collect(self) -> list[Metric]:
        things = CounterMetricFamily("things", "Things.", labels=["interface"])
        things.add_metric([STRANGE], 5)
        level = GaugeMetricFamily("level", "Level.", labels=["interface", "state"])
        level.add_metric([STRANGE, "a"], 1)
        level.add_metric([STRANGE, "b"], 0)
        old = UnknownMetricFamily("old_things", "Old.", labels=["interface"])
        old.add_metric([STRANGE], 7)
        sizes = HistogramMetricFamily("sizes", "Sizes.", labels=["interface"])
        buckets = [("64.0", 1.0), ("128.0", 1.0), ("+Inf", 4.0)]
        sizes.add_metric([STRANGE], buckets=buckets, sum_value=999)
        return [things, level, old, sizes, CounterMetricFamily("nothing", "Nothing yet.")]


@pytest.mark.parametrize("openmetrics", [False, True])
def test_text_equals_that_of_the_client_library(openmetrics: bool) -> None:
    registry = CollectorRegistry()
    registry.register(Library())
    written = (generate_openmetrics if openmetrics else generate_latest)(registry).decode()
    # Whole numbers have `.0` there, which is the same to all readers.
    expected = [line.removesuffix(".0") for line in written.splitlines() if line != "# EOF"]
    assert text(openmetrics).splitlines() == expected
