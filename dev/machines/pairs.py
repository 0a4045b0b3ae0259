"""A pair of cards inside the machine: an interface that sends and one that is counted."""

from __future__ import annotations

import json

from machines.wiring import End, Pair
from support.netns.namespace import Namespace, run
from support.patience import wait_for

VLAN = 5


class Cards:
    """The two interfaces of a pair, each in a namespace of its own, with addresses."""

    def __init__(self, pair: Pair, sender: Namespace, counter: Namespace) -> None:
        self.pair, self.sender, self.counter = pair, sender, counter
        self.sending, self.counted = "tx0", "rx0"
        self.address = "192.0.2.2"
        self.place(pair.sending, sender, self.sending, "192.0.2.1", pair.counting.mac)
        self.place_counted()
        for namespace, name in ((sender, self.sending), (counter, self.counted)):
            namespace.wait_for_carrier(name)

    def place_counted(self) -> None:
        """Set up the card that is counted, from when it is plugged in."""
        end = self.pair.counting
        self.place(end, self.counter, self.counted, self.address, self.pair.sending.mac)

    @staticmethod
    def place(end: End, namespace: Namespace, name: str, address: str, peer: str) -> None:
        """Move a card into a namespace, under a name, with an address and its peer's MAC."""
        found = wait_for(lambda: interface(end.mac))
        run("ip", "link", "set", found, "netns", namespace.name, "name", name)
        # Frames of a VLAN that no device has are filtered by some cards.
        vlan = ("type", "vlan", "id", str(VLAN))
        namespace.ip("link", "add", "link", name, "name", f"{name}.{VLAN}", *vlan)
        namespace.ip("address", "add", f"{address}/24", "dev", name)
        for device in (name, f"{name}.{VLAN}"):
            namespace.ip("link", "set", device, "up")
        other = "192.0.2.1" if address.endswith("2") else "192.0.2.2"
        entry = (other, "lladdr", peer, "dev", name, "nud", "permanent")
        namespace.ip("neighbour", "replace", *entry)  # no ARP among the counts

    def carrier_changes(self) -> int:
        """Return how often the link of the counted interface went up or down."""
        return int(self.counter.run("cat", f"/sys/class/net/{self.counted}/carrier_changes"))

    def set_mtu(self, mtu: int) -> bool:
        """Set the MTU of both ends: whether the drivers took it."""
        try:
            for namespace, name in ((self.sender, self.sending), (self.counter, self.counted)):
                namespace.ip("link", "set", name, "mtu", str(mtu))
        except AssertionError:
            return False
        for namespace, name in ((self.sender, self.sending), (self.counter, self.counted)):
            namespace.wait_for_carrier(name)
        return True


def interface(mac: str) -> str:
    """Return the name of the interface with an address; "" if there is none yet."""
    links = json.loads(run("ip", "-j", "link", "show"))
    return next((link["ifname"] for link in links if link.get("address") == mac), "")


def present(namespace: Namespace, name: str) -> bool:
    """Return whether an interface is in a namespace."""
    return name in namespace.run("ls", "/sys/class/net").split()
