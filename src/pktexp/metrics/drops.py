"""Families of dropped packets and of retransmitted TCP segments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.interfaces.drops import Drops, Retransmits


class DropCollector(Collector):
    """Collects dropped packets at each scrape, in the caller's thread."""

    def __init__(self, drops: Drops) -> None:
        self._drops = drops

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield drops by interface and reason, and the drops that could not be counted."""
        family = CounterMetricFamily(
            "pktexp_dropped_packets",
            "Packets that the kernel dropped, by its own reason.",
            labels=("interface", "reason"),
        )
        for drop, packets in self._drops.read().items():
            family.add_metric(drop, packets)
        yield family
        yield CounterMetricFamily(
            "pktexp_drop_misses",
            "Drops not counted because the program was counting another one on the same CPU.",
            value=self._drops.misses,
        )


class RetransmitCollector(Collector):
    """Collects retransmitted segments at each scrape, in the caller's thread."""

    def __init__(self, retransmits: Retransmits) -> None:
        self._retransmits = retransmits

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield retransmitted segments by interface."""
        family = CounterMetricFamily(
            "pktexp_tcp_retransmitted_segments",
            "TCP segments sent again.",
            labels=("interface",),
        )
        for name, packets in self._retransmits.read().items():
            family.add_metric((name,), packets)
        yield family
