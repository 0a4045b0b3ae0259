"""Prometheus families about the exporter itself: events, losses of its own, memory, BPF run time.

Beside metrics.py, which is about the traffic; both go into one registry (service.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.bpf.datapath import Datapath
from pktexp.bpf.runtime import run_times
from pktexp.flows.attribution import Attribution
from pktexp.flows.table import FlowTable
from pktexp.interfaces.tracker import Interfaces

# name, help, attribute of a Reader
RING_COUNTERS = (
    ("pktexp_events", "Records read from a ring buffer.", "merger.records"),
    ("pktexp_event_batches", "Batches in which those records were merged.", "merger.batches"),
    ("pktexp_event_merge_seconds", "Time spent merging batches.", "merger.seconds"),
    ("pktexp_event_merge_failures", "Batches counted whole as other.", "merger.failures.count"),
    ("pktexp_ring_wakeups", "Times the kernel woke a reader.", "wakeups"),
)
RING_GAUGES = (
    ("pktexp_event_largest_batch", "Records in the largest batch so far.", "merger.largest_batch"),
    ("pktexp_ring_unread_bytes", "Bytes that wait in a ring buffer.", "unread"),
)
# name, help, attribute of a Drainer
CACHE_COUNTERS = (
    ("pktexp_flow_cache_drains", "Times the flow cache was drained.", "drains"),
    ("pktexp_flow_cache_drain_seconds", "Time spent draining, waiting included.", "seconds"),
    ("pktexp_flow_cache_drain_failures", "Drains that left something behind.", "failures.count"),
    ("pktexp_flow_cache_records", "Records taken from the flow cache.", "merger.records"),
    ("pktexp_flow_cache_merge_seconds", "Time spent merging them.", "merger.seconds"),
    (
        "pktexp_flow_cache_merge_failures",
        "Batches counted whole as other.",
        "merger.failures.count",
    ),
)
INTERFACE_COUNTERS = (
    (
        "pktexp_interface_reattachments",
        "Programs attached again, after somebody else had detached them.",
        "reattachments",
    ),
    (
        "pktexp_interface_attach_failures",
        "Interfaces that no hook could be had on.",
        "attach_failures",
    ),
    ("pktexp_interface_follow_failures", "Errors while following interfaces.", "follow_failures"),
    ("pktexp_netlink_overruns", "Times netlink told more than its queue could hold.", "overruns"),
)


@dataclass(eq=False)  # a registry keeps its collectors in a dict
class SelfCollector(Collector):
    """Collects afresh for each scrape, in the caller's thread."""

    version: str
    libbpf_version: str
    datapath: Datapath
    interfaces: Interfaces
    attribution: Attribution | None
    flows: FlowTable | None

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families."""
        info = GaugeMetricFamily(
            "pktexp_build_info", "Versions, as labels.", labels=("version", "libbpf")
        )
        info.add_metric((self.version, self.libbpf_version), 1)
        yield info
        for name, text, attribute in RING_COUNTERS:
            yield self._by_ring(CounterMetricFamily(name, text, labels=("ring",)), attribute)
        for name, text, attribute in RING_GAUGES:
            yield self._by_ring(GaugeMetricFamily(name, text, labels=("ring",)), attribute)
        if self.attribution and self.attribution.drainer:
            yield from _counters(CACHE_COUNTERS, self.attribution.drainer)
        yield from _counters(INTERFACE_COUNTERS, self.interfaces)
        yield from self._limits()
        yield from self._run_time()

    def _by_ring(
        self, family: CounterMetricFamily | GaugeMetricFamily, attribute: str
    ) -> CounterMetricFamily | GaugeMetricFamily:
        for number, reader in enumerate(self.attribution.readers if self.attribution else ()):
            family.add_metric((str(number),), attrgetter(attribute)(reader))
        return family

    def _limits(self) -> Iterator[Metric]:
        options, cache = self.datapath.options, self.datapath.flow_cache
        flows = self.flows
        values = {
            "pktexp_interface_limit": ("Interfaces that can be counted.", options.slots),
            "pktexp_interface_memory_bytes": (
                "Kernel memory of the interface counters.",
                self.datapath.counter_bytes,
            ),
            "pktexp_ring_memory_bytes": (
                "Kernel memory of the ring buffers.",
                self.datapath.ring_bytes,
            ),
            "pktexp_flow_cache_memory_bytes": (
                "Kernel memory of the flow cache.",
                cache.nbytes if cache else 0,
            ),
            "pktexp_flow_cache_limit": (
                "Flows that the cache of a CPU has room for.",
                cache.entries if cache else 0,
            ),
            "pktexp_flow_series_limit": (
                "Flows that can be shown one by one.",
                flows.limit if flows else 0,
            ),
            "pktexp_flows_watched": (
                "Flows that are known, shown or not.",
                flows.watched if flows else 0,
            ),
        }
        for name, (text, value) in values.items():
            yield GaugeMetricFamily(name, text, value=value)

    def _run_time(self) -> Iterator[Metric]:
        measured = run_times(self.datapath)
        if not measured:
            return
        seconds = CounterMetricFamily(
            "pktexp_bpf_run_seconds", "Time in a BPF program.", labels=("program",)
        )
        runs = CounterMetricFamily("pktexp_bpf_runs", "Runs of a BPF program.", labels=("program",))
        for program, (time, count) in measured.items():
            seconds.add_metric((program,), time)
            runs.add_metric((program,), count)
        yield seconds
        yield runs


def _counters(table: Sequence[tuple[str, str, str]], owner: object) -> Iterator[Metric]:
    for name, text, attribute in table:
        yield CounterMetricFamily(name, text, value=attrgetter(attribute)(owner))
