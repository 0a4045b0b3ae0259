"""Facts of interfaces beside their packets: speed, device drops, peers, pods.

Every question goes to netlink. A question that netlink refuses is counted and answered with
nothing, so that a scrape or a sample goes on without it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np

from pktexp.failures import FailureCounter
from pktexp.kubernetes.podlinks import PodLinks
from pktexp.kubernetes.pods import Pod
from pktexp.netlink import linkstats
from pktexp.netlink.linkinfo import InterfaceClass, Link
from pktexp.netlink.linkspeed import LinkSpeeds
from pktexp.netlink.namespacenames import NamespaceNames
from pktexp.packet.records import Records

log = logging.getLogger(__name__)

DeviceDrops = tuple[str, str, str, int]
"""interface, direction, kind, packets"""

# Field of LINK_STATISTICS: (direction, kind).
DROPS = {
    "rx_dropped": ("ingress", "dropped"),
    "rx_missed_errors": ("ingress", "missed"),
    "rx_fifo_errors": ("ingress", "fifo"),
    "rx_errors": ("ingress", "errors"),
    "rx_nohandler": ("ingress", "nohandler"),
    "tx_dropped": ("egress", "dropped"),
    "tx_fifo_errors": ("egress", "fifo"),
    "tx_errors": ("egress", "errors"),
}
KINDS = tuple(DROPS.values())
ALWAYS_SHOWN = np.array([kind == "dropped" for _, kind in KINDS])


class InterfaceFacts:
    """Asks netlink, in the caller's thread; `failures` counts the questions it refused."""

    def __init__(self, pods: PodLinks | None = None) -> None:
        self._pods = pods
        self._namespaces = NamespaceNames()
        self._speeds = LinkSpeeds()
        self.failures = FailureCounter(log, logging.WARNING, once=True)

    def speeds(self, links: Sequence[Link]) -> dict[str, int]:
        """Return bytes a second by name, of physical interfaces whose drivers report a speed.

        Virtual drivers report a constant (10 Gb/s for every veth) that limits nothing.
        """
        names = {x.ifindex: x.name for x in links if x.interface_class is InterfaceClass.PHYSICAL}
        with self._query("interface speeds"):
            return {names[i]: speed for i, speed in self._speeds.of(list(names)).items()}
        return {}

    def statistics(self) -> Records:
        """Return LINK_STATISTICS of all interfaces; none if netlink refuses."""
        with self._query("device statistics"):
            return linkstats.read()
        return np.zeros(0, linkstats.LINK_STATISTICS)

    def device_drops(self, links: Sequence[Link]) -> list[DeviceDrops]:
        """Return the packets that devices and drivers report as dropped."""
        return list(drops_of(links, self.statistics()))

    def peers(self, links: Sequence[Link]) -> dict[int, str]:
        """Return names of the network namespaces that links lead to, by namespace id."""
        ids = {link.link_netnsid for link in links if link.link_netnsid is not None}
        with self._query("namespace names"):
            return self._namespaces.of(ids)
        return {}

    def pods(self, links: Sequence[Link]) -> dict[int, Pod]:
        """Return the pods at the other end of links, by ifindex; empty without --kubernetes."""
        with self._query("addresses in namespaces"):
            return self._pods.of(links) if self._pods else {}
        return {}

    def _query(self, subject: str) -> AbstractContextManager[bool | None]:
        return self.failures.suppressed("netlink query for %s failed", subject, only=OSError)


def drops_of(links: Sequence[Link], statistics: Records) -> Iterator[DeviceDrops]:
    """Yield drops from LINK_STATISTICS: kind "dropped" also at 0, other kinds from 1 on."""
    names = {link.ifindex: link.name for link in links}
    statistics = statistics[np.isin(statistics["ifindex"], list(names))]
    counts = np.stack([statistics[field] for field in DROPS], axis=1)
    rows, columns = np.nonzero((counts > 0) | ALWAYS_SHOWN)
    shown = (statistics["ifindex"][rows], columns, counts[rows, columns])
    for ifindex, column, count in zip(*(array.tolist() for array in shown), strict=True):
        yield names[ifindex], *KINDS[column], count
