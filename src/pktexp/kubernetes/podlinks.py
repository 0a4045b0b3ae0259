"""Which pod is behind an interface: the one whose address is in the namespace that it leads to.

This is so whatever the network plugin does with routes and bridges, and before the pod has sent
anything. The addresses come from kernel/nsaddresses.py; infometrics.py shows the pods.
"""

from __future__ import annotations

from collections.abc import Sequence

from pktexp.kubernetes.pods import Pod, PodTable
from pktexp.netlink.linkinfo import Link
from pktexp.netlink.namespaceaddresses import NamespaceAddresses


class PodsBehind:
    """Looks at each scrape."""

    def __init__(self, pods: PodTable) -> None:
        self._pods = pods
        self._addresses = NamespaceAddresses()

    def __call__(self, links: Sequence[Link]) -> dict[int, Pod]:
        """By ifindex; OSError if netlink cannot be asked.

        A namespace with addresses of several pods is none of theirs, and has no name.
        """
        leads = {x.ifindex: x.link_netnsid for x in links if x.link_netnsid is not None}
        owners = {
            nsid: {pod for address in inside if (pod := self._pods.by_address.get(address))}
            for nsid, inside in self._addresses.of(leads).items()
        }
        named = {nsid: pods.pop() for nsid, pods in owners.items() if len(pods) == 1}
        return {ifindex: named[nsid] for ifindex, nsid in leads.items() if nsid in named}
