"""Prometheus families of what interfaces are, and of what their devices say they dropped.

Beside metrics.py, which is about the packets that the programs saw. interfaces.py tells which there
are; kernel/linkstats.py, the devices' own numbers; kernel/linkspeed.py, how fast they are;
kernel/nsids.py, where a link leads; and kubernetes/behind.py, to which pod.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.interfaces.tracker import Interfaces
from pktexp.kubernetes.podlinks import PodsBehind
from pktexp.kubernetes.pods import NOBODY, Pod
from pktexp.netlink import linkstats
from pktexp.netlink.linkinfo import InterfaceClass, Link
from pktexp.netlink.linkspeed import LinkSpeeds
from pktexp.netlink.namespacenames import NamespaceNames
from pktexp.packet.records import Records

log = logging.getLogger(__name__)

DeviceDrops = tuple[str, str, str, int]
"""interface, direction, kind, packets"""

INFO_LABELS = (
    *("interface", "ifindex", "kind", "class", "address", "mtu", "alias", "peer_netns"),
    *("pod_namespace", "pod"),
)

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


class InterfaceCollector(Collector):
    """Collects afresh for each scrape, in the caller's thread; `failures` only grows."""

    def __init__(self, interfaces: Interfaces, pods: PodsBehind | None = None) -> None:
        self._interfaces = interfaces
        self._pods = pods
        self._namespaces = NamespaceNames()
        self._speeds = LinkSpeeds()
        self.failures = 0

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All families; what netlink refuses to tell now is left out, and counted."""
        links = self._interfaces.links()
        yield information(links, self.peers(links), self.pods_behind(links))
        # What virtual drivers tell (10 Gb/s of a veth, whatever it does) is no limit.
        physical = [x for x in links if x.interface_class is InterfaceClass.PHYSICAL]
        try:
            yield speeds(physical, self._speeds.of([link.ifindex for link in physical]))
        except OSError as error:
            self._failed("the speed of interfaces", error)
        rows = self.device_drops(links)
        if rows is not None:
            yield dropped(rows)
        yield CounterMetricFamily(
            "pktexp_netlink_query_failures",
            "Questions to netlink at a scrape that were not answered.",
            value=self.failures,
        )

    def device_drops(self, links: Sequence[Link]) -> list[DeviceDrops] | None:
        """What devices dropped; None, and counted, if netlink does not tell."""
        try:
            return list(drops_of(links, linkstats.read()))
        except OSError as error:
            self._failed("what devices dropped", error)
            return None

    def peers(self, links: Sequence[Link]) -> dict[int, str]:
        """Names of the namespaces that links lead to, by id; none, and counted, likewise."""
        ids = {link.link_netnsid for link in links if link.link_netnsid is not None}
        try:
            return self._namespaces.of(ids)
        except OSError as error:
            self._failed("the names of namespaces", error)
            return {}

    def pods_behind(self, links: Sequence[Link]) -> dict[int, Pod]:
        """By ifindex; none without pods, and none, and counted, likewise."""
        try:
            return self._pods(links) if self._pods else {}
        except OSError as error:
            self._failed("the addresses in namespaces", error)
            return {}

    def _failed(self, what: str, error: OSError) -> None:
        if not self.failures:
            log.warning("netlink does not tell %s: %s (said once, counted always)", what, error)
        self.failures += 1


def information(links: Sequence[Link], peers: Mapping[int, str], pods: Mapping[int, Pod]) -> Metric:
    """1 for each interface, what it is in the labels.

    `peers`: namespaces' names by their ids; `pods`: those behind interfaces, by ifindex.
    """
    family = GaugeMetricFamily(
        "pktexp_interface_info", "What an interface is, as labels.", labels=INFO_LABELS
    )
    for link in links:
        peer = "" if link.link_netnsid is None else peers.get(link.link_netnsid, "")
        pod = pods.get(link.ifindex, NOBODY)
        values = (str(link.ifindex), link.kind, link.interface_class, link.address, str(link.mtu))
        family.add_metric((link.name, *values, link.alias, peer, pod.namespace, pod.name), 1)
    return family


def speeds(links: Sequence[Link], told: Mapping[int, int]) -> Metric:
    """`told`: bytes a second by ifindex."""
    family = GaugeMetricFamily(
        "pktexp_interface_speed_bytes",
        "Bytes a second that a physical interface can carry each way.",
        labels=("interface",),
    )
    for link in links:
        if speed := told.get(link.ifindex):
            family.add_metric((link.name,), speed)
    return family


def dropped(rows: Iterable[DeviceDrops]) -> Metric:
    """What devices dropped."""
    family = CounterMetricFamily(
        "pktexp_interface_dropped_packets",
        "Packets that an interface's device or driver says it dropped.",
        labels=("interface", "direction", "kind"),
    )
    for *values, packets in rows:
        family.add_metric(values, packets)
    return family


def drops_of(links: Sequence[Link], statistics: Records) -> Iterator[DeviceDrops]:
    """From LINK_STATISTICS: kind "dropped" also at 0, others once seen."""
    names = {link.ifindex: link.name for link in links}
    statistics = statistics[np.isin(statistics["ifindex"], list(names))]
    counts = np.stack([statistics[field] for field in DROPS], axis=1)
    rows, columns = np.nonzero((counts > 0) | ALWAYS_SHOWN)
    shown = (statistics["ifindex"][rows], columns, counts[rows, columns])
    for ifindex, column, count in zip(*(array.tolist() for array in shown), strict=True):
        yield names[ifindex], *KINDS[column], count
