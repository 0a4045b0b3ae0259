"""What a page says of the packets in one direction of an interface, to hold against another's."""

from __future__ import annotations

from support.service.process import Page

# Of the exporter, or of when it was asked; not of packets.
NOT_OF_PACKETS = ("pktexp_interface_", "pktexp_event_lost_")

Seen = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""name and labels, but for interface and direction -> value"""


def seen(page: Page, interface: str, direction: str = "ingress") -> Seen:
    """Every sample that tells of packets there; those of 0 are left out, as not all are shown."""
    site = {("interface", interface), ("direction", direction)}
    return {
        (name, labels - site): value
        for (name, labels), value in page.items()
        if site <= labels and value and not name.startswith(NOT_OF_PACKETS)
    }
