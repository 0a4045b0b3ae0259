"""Match interfaces to pods by the addresses in the namespace at the other end of a link.

This works with any network plugin, whatever its routes and bridges, and before the pod has sent a
packet.
"""

from __future__ import annotations

from collections.abc import Sequence

from pktexp.kubernetes.pods import Pod, PodTable
from pktexp.netlink.linkinfo import Link
from pktexp.netlink.namespaceaddresses import NamespaceAddresses


class PodLinks:
    """Find the pod behind each link, from the table of pods and from netlink."""

    def __init__(self, pods: PodTable) -> None:
        self._pods = pods
        self._addresses = NamespaceAddresses()

    def of(self, links: Sequence[Link]) -> dict[int, Pod]:
        """Return the pods behind links, by ifindex. Raises OSError if netlink refuses.

        A namespace that has addresses of several pods matches none of them.
        """
        nsids = {x.ifindex: x.link_netnsid for x in links if x.link_netnsid is not None}
        owners = {
            nsid: {pod for address in inside if (pod := self._pods.by_address.get(address))}
            for nsid, inside in self._addresses.of(nsids).items()
        }
        matched = {nsid: pods.pop() for nsid, pods in owners.items() if len(pods) == 1}
        return {ifindex: matched[nsid] for ifindex, nsid in nsids.items() if nsid in matched}
