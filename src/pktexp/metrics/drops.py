"""Families of dropped packets and of retransmitted TCP segments, written for each scrape."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from pktexp.interfaces.drops import Drop, Drops, Retransmits
from pktexp.metrics.births import Births
from pktexp.metrics.exposition import Family, counter, label, write

Active = Callable[[], Collection[str]]
"""returns the names of interfaces that have had traffic"""


class DropPage:
    """Writes dropped packets by interface and reason.

    Interfaces with traffic have the usual reasons also at 0: first drops then show as an increase.
    """

    def __init__(self, drops: Drops, active: Active, since: float | None = None) -> None:
        """`since`: Unix time when all counters were 0; None if it is unknown."""
        self._drops = drops
        self._active = active
        self._births = Births(since)

    def __call__(self, openmetrics: bool) -> str:
        """Write the drops, and the drops that could not be counted."""
        now = time.time()
        drops = dict.fromkeys(self._drops.usual(self._active()), 0) | self._drops.read()
        families = [
            counter(
                "pktexp_dropped_packets",
                "Packets that the kernel dropped, by its own reason.",
                ((_labels(drop), packets) for drop, packets in drops.items()),
            ),
            Family(
                "pktexp_drop_misses",
                "counter",
                "Drops not counted because the program was counting another one on the same CPU.",
                [f"pktexp_drop_misses_total {self._drops.misses}"],
            ),
        ]
        return write(self._births.dated(families, now), openmetrics)


class RetransmitPage:
    """Writes retransmitted segments by interface, for interfaces with traffic also at 0."""

    def __init__(
        self, retransmits: Retransmits, active: Active, since: float | None = None
    ) -> None:
        """`since`: Unix time when all counters were 0; None if it is unknown."""
        self._retransmits = retransmits
        self._active = active
        self._births = Births(since)

    def __call__(self, openmetrics: bool) -> str:
        """Write the family."""
        now = time.time()
        segments = dict.fromkeys(self._active(), 0) | self._retransmits.read()
        series = ((label("interface", name), count) for name, count in segments.items())
        family = counter("pktexp_tcp_retransmitted_segments", "TCP segments sent again.", series)
        return write(self._births.dated([family], now), openmetrics)


def _labels(drop: Drop) -> str:
    interface, reason = drop
    return f"{label('interface', interface)},{label('reason', reason)}"
