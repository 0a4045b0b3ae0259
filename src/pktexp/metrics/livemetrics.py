"""Prometheus families of the samples, the history and the stream (live/)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.live.documents import Live

# name, help, attribute of Live
COUNTERS = (
    ("pktexp_samples", "Samples taken for the history and the API.", "sampler.taken"),
    ("pktexp_sample_cpu_seconds", "CPU time of taking samples.", "sampler.seconds"),
    ("pktexp_sample_failures", "Samples that could not be taken.", "sampler.failures"),
    (
        "pktexp_stream_dropped_readers",
        "Readers of the stream that did not read, and were dropped.",
        "readers.dropped",
    ),
)
GAUGES = (
    (
        "pktexp_history_memory_bytes",
        "Memory of the history when full.",
        "sampler.history.nbytes",
    ),
    (
        "pktexp_history_interfaces",
        "Interfaces that have a history.",
        "sampler.history.interfaces",
    ),
    ("pktexp_history_interface_limit", "Interfaces that can have one.", "sampler.history.limit"),
    ("pktexp_stream_readers", "Readers of the stream.", "readers.count"),
)


@dataclass(eq=False)  # a registry keeps its collectors in a dict
class LiveCollector(Collector):
    """Collects afresh for each scrape."""

    live: Live

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families."""
        for name, text, attribute in COUNTERS:
            yield CounterMetricFamily(name, text, value=attrgetter(attribute)(self.live))
        for name, text, attribute in GAUGES:
            yield GaugeMetricFamily(name, text, value=attrgetter(attribute)(self.live))
