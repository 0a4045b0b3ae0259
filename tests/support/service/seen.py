"""The packet metrics of one direction of an interface, to compare with another's."""

from __future__ import annotations

from support.service.process import Page

# Of the exporter, or of when it was asked; not of packets.
NOT_OF_PACKETS = ("pktexp_interface_", "pktexp_event_lost_")

Seen = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""name and labels, but for interface and direction -> value"""


def seen(page: Page, interface: str, direction: str = "ingress") -> Seen:
    """Return all samples about packets there, without zeros, as not all of them are written."""
    site = {("interface", interface), ("direction", direction)}
    return {
        (name, labels - site): value
        for (name, labels), value in page.items()
        if site <= labels and value and not name.startswith(NOT_OF_PACKETS)
    }
