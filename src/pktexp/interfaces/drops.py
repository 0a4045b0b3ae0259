"""Dropped and retransmitted packets by interface, read from the tracepoints' programs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator

import numpy as np

from pktexp.bpf.tracepoints import reason_name
from pktexp.bpf.tracing import NO_INTERFACE, Tracing
from pktexp.interfaces.totals import Totals
from pktexp.packet.labels import OTHER

Drop = tuple[str, str]
"""interface, reason"""

# Reasons of packets that the kernel discards because a socket was closed: nothing was lost. One
# list for API, page, alerts and dashboard (include/net/dropreason-core.h, 6.18).
HARMLESS = (
    "queue_purge",
    "socket_close",
    "tcp_abort_on_data",
    "tcp_close",
    "tcp_reset",
    "unix_disconnect",
)
# Reasons that most hosts meet; a series of each exists at 0 where an interface has traffic.
USUAL = (
    "ip_inhdr",
    "ip_outnoroutes",
    "netfilter_drop",
    "no_socket",
    "not_specified",
    "qdisc_drop",
    "queue_purge",
    "socket_rcvbuff",
)


class Drops:
    """Packets that the kernel dropped, by interface and reason."""

    def __init__(self, interfaces: Totals, tracing: Tracing, reasons: dict[int, str]) -> None:
        """`reasons`: the kernel's names of its drop reasons, by number."""
        self._interfaces = interfaces
        self._tracing = tracing
        self._reasons = reasons

    @property
    def misses(self) -> int:
        """Drops not counted because the program was counting another one on the same CPU."""
        return self._tracing.misses

    def usual(self, names: Collection[str]) -> Iterator[Drop]:
        """Yield the usual reasons that this kernel names, for each interface."""
        reasons = [reason for reason in USUAL if reason in self._reasons.values()]
        return itertools.product(names, reasons)

    def read(self) -> dict[Drop, int]:
        """Return packets by interface and reason; "" stands for no interface."""
        drops: Counter[Drop] = Counter()
        for name, reason, packets in _cells(self._tracing, self._interfaces):
            drops[name, reason_name(self._reasons, reason)] += packets
        drops["", OTHER] += self._tracing.overflow
        return dict(+drops)


class Retransmits:
    """TCP segments that the kernel sent again, by interface."""

    def __init__(self, interfaces: Totals, tracing: Tracing) -> None:
        self._interfaces = interfaces
        self._tracing = tracing

    def read(self) -> dict[str, int]:
        """Return segments by interface; "" stands for no interface."""
        segments = Counter({"": self._tracing.overflow})
        for name, _, packets in _cells(self._tracing, self._interfaces):
            segments[name] += packets
        return dict(+segments)


def _cells(tracing: Tracing, interfaces: Totals) -> Iterator[tuple[str, int, int]]:
    """Yield (interface, reason, packets) of every interface whose lease has not ended.

    Cells of ended leases are removed. The leases are listed after the cells are read: an id that
    is missing from the list was leased before, so no living lease is mistaken for an ended one.
    """
    cells = tracing.read()
    names = {NO_INTERFACE: "", **interfaces.lease_names()}
    ended = ~np.isin(cells["key"]["interface"], list(names))
    tracing.remove(cells["key"][ended])
    for (interface, reason), packets in cells[~ended].tolist():
        yield names[interface], reason, packets
