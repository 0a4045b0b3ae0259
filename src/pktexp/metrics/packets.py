"""Families of packet properties beside the protocol: flags, types, casts, tunnels, fragments.

All are counted in the kernel; a series appears with its first packet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pktexp.interfaces.totals import Snapshot
from pktexp.metrics.exposition import Family, counter, label
from pktexp.metrics.series import SiteLabels, series_of
from pktexp.packet import labels
from pktexp.packet.enums import Trait
from pktexp.packet.records import TCP_FLAGS, U64


class Property(NamedTuple):
    """A family: `counts` (row, direction, kind) of a snapshot, with a label for each kind."""

    name: str
    text: str
    counts: Callable[[Snapshot], U64]
    kinds: Sequence[str]


def _casts(snapshot: Snapshot) -> U64:
    """Count broadcast apart from multicast; the kernel counts both together as GROUP."""
    traits = snapshot.counts("traits")
    multicast = traits[..., Trait.GROUP] - traits[..., Trait.BROADCAST]
    return np.stack((traits[..., Trait.BROADCAST], multicast), axis=-1)


PROPERTIES = (
    Property(
        "pktexp_tcp_flags",
        "TCP packets that carry a flag.",
        lambda snapshot: snapshot.tcp_flags,
        [label("flag", flag) for flag in TCP_FLAGS],
    ),
    Property(
        "pktexp_icmp_packets",
        "ICMP and ICMPv6 messages by type.",
        lambda snapshot: snapshot.counts("icmp_types"),
        [
            f"{label('protocol', protocol)},{label('type', name)}"
            for protocol, name in labels.ICMP_TYPES.values()
        ],
    ),
    Property(
        "pktexp_group_packets",
        "Packets to a broadcast or multicast MAC address.",
        _casts,
        [label("cast", "broadcast"), label("cast", "multicast")],
    ),
    Property(
        "pktexp_tunnelled_packets",
        "Packets that were decapsulated.",
        lambda snapshot: snapshot.counts("tunnels"),
        [label("kind", name) for name in labels.TUNNELS.values()],
    ),
    Property(
        "pktexp_unparsed_packets",
        "Packets whose headers could not be parsed to the end; they pass unharmed.",
        lambda snapshot: snapshot.counts("unparsed"),
        [label("reason", labels.UNPARSED.get(i, "")) for i in range(max(labels.UNPARSED) + 1)],
    ),
)

# Traits with a family of their own, without a label for the kind.
TRAITS = {
    Trait.FRAGMENT: ("pktexp_fragments", "Fragments of IP packets."),
    Trait.ECN_MARKED: ("pktexp_ecn_marked_packets", "Packets marked Congestion Experienced."),
}


def packet_families(snapshot: Snapshot, sites: SiteLabels) -> Iterator[Family]:
    """Yield the families of PROPERTIES and TRAITS."""
    for name, text, counts, kinds in PROPERTIES:
        yield counter(name, text, series_of(sites, counts(snapshot), kinds))
    traits = snapshot.counts("traits")
    for trait, (name, text) in TRAITS.items():
        amounts = traits[..., trait].tolist()
        found = ((site, amounts[row][direction]) for (row, direction), site in sites.items())
        yield counter(name, text, (series for series in found if series[1]))
