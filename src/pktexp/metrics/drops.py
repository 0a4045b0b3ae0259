"""Prometheus families of packets that died: dropped by the kernel, or sent again by TCP.

Beside metrics.py; counted by kernel/tracing.py at the tracepoints of kernel/drops.py, and put into
the registry by service.py where the kernel has them. live/sample.py asks for the same drops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.bpf.tracepoints import reason_name
from pktexp.bpf.tracing import NO_INTERFACE, Tracing
from pktexp.interfaces.tracker import Interfaces

OTHER = "other"


class _Traced(Collector):
    """Packets that a tracing program counted, by interface and reason."""

    def __init__(self, interfaces: Interfaces, tracing: Tracing) -> None:
        self._interfaces = interfaces
        self._tracing = tracing

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def _read(self) -> Iterator[tuple[str, int, int]]:
        """(interface, reason, packets) of every interface whose lease has not ended.

        Cells of leases that have are removed. The leases are listed after the cells: an id that is
        not among them was let before, and no living one is mistaken for it.
        """
        cells = self._tracing.read()
        names = {NO_INTERFACE: "", **self._interfaces.lease_names()}
        ended = ~np.isin(cells["key"]["interface"], list(names))
        self._tracing.remove(cells["key"][ended])
        for (interface, reason), packets in cells[~ended].tolist():
            yield names[interface], reason, packets


class DropCollector(_Traced):
    """Packets that the kernel dropped; collects afresh for each scrape, in the caller's thread."""

    def __init__(self, interfaces: Interfaces, tracing: Tracing, reasons: dict[int, str]) -> None:
        """`reasons`: the kernel's names, by number (reason_names)."""
        super().__init__(interfaces, tracing)
        self._reasons = reasons

    def collect(self) -> Iterator[Metric]:
        """Dropped packets by reason, and how often counting was not possible."""
        family = CounterMetricFamily(
            "pktexp_dropped_packets",
            "Packets that the kernel dropped, by its own reason.",
            labels=("interface", "reason"),
        )
        for name, reason, packets in self.drops():
            family.add_metric((name, reason), packets)
        yield family
        yield CounterMetricFamily(
            "pktexp_drop_misses",
            "Drops that could not be counted, as one was being counted on the same CPU.",
            value=self._tracing.misses,
        )

    def drops(self) -> Iterator[tuple[str, str, int]]:
        """(interface, the reason's name, packets)."""
        for name, reason, packets in self._read():
            yield name, reason_name(self._reasons, reason), packets
        if overflow := self._tracing.overflow:
            yield "", OTHER, overflow


class RetransmitCollector(_Traced):
    """Segments that TCP sent again; collects afresh for each scrape, in the caller's thread."""

    def collect(self) -> Iterator[Metric]:
        """Retransmitted segments."""
        family = CounterMetricFamily(
            "pktexp_tcp_retransmitted_segments",
            "TCP segments sent again.",
            labels=("interface",),
        )
        segments = Counter({"": self._tracing.overflow})
        for name, _, packets in self._read():
            segments[name] += packets
        for name, packets in (+segments).items():
            family.add_metric((name,), packets)
        yield family
