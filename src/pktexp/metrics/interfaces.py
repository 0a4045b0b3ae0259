"""Families of what interfaces are, how fast they are, and what their devices dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pktexp.interfaces.facts import DeviceDrops, InterfaceFacts, drops_of
from pktexp.interfaces.unseen import Unseen
from pktexp.kubernetes.pods import NO_POD, Pod
from pktexp.netlink.linkinfo import Link

INFO_LABELS = (
    *("interface", "ifindex", "kind", "class", "address", "mtu", "alias", "peer_netns"),
    *("master", "has_ports", "pod_namespace", "pod"),
)


class InterfaceCollector(Collector):
    """Collects at each scrape, in the caller's thread; `links` returns the wanted interfaces."""

    def __init__(
        self,
        links: Callable[[], Sequence[Link]],
        facts: InterfaceFacts,
        unseen: Unseen | None = None,
    ) -> None:
        self._links = links
        self._facts = facts
        self._unseen = unseen

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all families, without what netlink refuses to answer now."""
        links, facts = self._links(), self._facts
        yield information(links, facts.peers(links), facts.pods(links))
        if known := facts.speeds(links):
            yield speeds(known)
        covered = self._unseen.covered() if self._unseen else []
        statistics = facts.statistics()
        if drops := list(drops_of(links, statistics)):
            yield dropped(drops)
        if self._unseen and (unseen := self._unseen.read(covered, statistics)):
            yield unseen_packets(unseen)


def information(links: Sequence[Link], peers: Mapping[int, str], pods: Mapping[int, Pod]) -> Metric:
    """Build a gauge of 1 for each interface, with its properties as labels.

    `peers`: names of namespaces by id; `pods`: pods at the other end of links, by ifindex.
    """
    names = {link.ifindex: link.name for link in links}
    masters = {link.master for link in links}
    family = GaugeMetricFamily(
        "pktexp_interface_info", "Properties of an interface, as labels.", labels=INFO_LABELS
    )
    for link in links:
        peer = "" if link.link_netnsid is None else peers.get(link.link_netnsid, "")
        master = "" if link.master is None else names.get(link.master, "")
        has_ports = "true" if link.ifindex in masters else ""
        pod = pods.get(link.ifindex, NO_POD)
        identity = (link.name, str(link.ifindex), link.kind, link.interface_class, link.address)
        stack = (str(link.mtu), link.alias, peer, master, has_ports, pod.namespace, pod.name)
        family.add_metric((*identity, *stack), 1)
    return family


def speeds(bytes_per_second: Mapping[str, int]) -> Metric:
    """Build the gauge of speeds by interface name."""
    family = GaugeMetricFamily(
        "pktexp_interface_speed_bytes",
        "Bytes a second that a physical interface can carry each way.",
        labels=("interface",),
    )
    for name, speed in bytes_per_second.items():
        family.add_metric((name,), speed)
    return family


def dropped(drops: Iterable[DeviceDrops]) -> Metric:
    """Build the counter of packets that devices report as dropped."""
    family = CounterMetricFamily(
        "pktexp_interface_dropped_packets",
        "Packets that an interface's device or driver reports as dropped.",
        labels=("interface", "direction", "kind"),
    )
    for *values, packets in drops:
        family.add_metric(values, packets)
    return family


def unseen_packets(unseen: Iterable[tuple[str, int]]) -> Metric:
    """Build the counter of packets that the kernel sent past the egress hook."""
    family = CounterMetricFamily(
        "pktexp_interface_unseen_packets",
        "Packets, at least, that an interface sent and no hook saw.",
        labels=("interface", "direction"),
    )
    for name, packets in unseen:
        family.add_metric((name, "egress"), packets)
    return family
