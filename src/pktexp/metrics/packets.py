"""Prometheus families of what packets are beside their protocol: flags, types, traits, tunnels.

Part of metrics.py's page; all are counted in the kernel, and appear with their first packet.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pktexp.interfaces.totals import Snapshot
from pktexp.metrics.exposition import Family, Row, counter, label
from pktexp.packet import labels
from pktexp.packet.enums import Direction, Trait
from pktexp.packet.records import TCP_FLAGS

Sites = dict[tuple[int, Direction], str]
"""row of the totals, direction -> labels as text"""

FLAGS = [label("flag", flag) for flag in TCP_FLAGS]
ICMP_TYPES = [
    f"{label('protocol', protocol)},{label('type', name)}"
    for protocol, name in labels.ICMP_TYPES.values()
]
CASTS = [label("cast", "broadcast"), label("cast", "multicast")]
TUNNELS = [label("kind", name) for name in labels.TUNNELS.values()]
REASONS = [label("reason", labels.UNPARSED.get(i, "")) for i in range(max(labels.UNPARSED) + 1)]


def sites_of(snapshot: Snapshot) -> Sites:
    """Every interface and direction that counts."""
    names = [label("interface", lease.name) for lease in snapshot.leases]
    pairs = itertools.product(enumerate(names), snapshot.directions)
    return {(r, d): f'{name},direction="{labels.DIRECTIONS[d]}"' for (r, name), d in pairs}


def rows_of(
    sites: Sites,
    counts: npt.NDArray[np.uint64],
    texts: Sequence[str],
    shown: npt.NDArray[np.bool_] | None = None,
) -> list[Row]:
    """`counts`: (interface, direction, index); `texts`: labels by index; if not told, from 1 on."""
    at = np.argwhere(counts > 0 if shown is None else shown)
    values = counts[tuple(at.T)].tolist()
    return [
        (f"{sites[row, direction]},{texts[index]}", value)  # type: ignore[index]  # a Direction
        for (row, direction, index), value in zip(at.tolist(), values, strict=True)
    ]


def packet_families(snapshot: Snapshot, sites: Sites) -> Iterator[Family]:
    """All of them."""
    totals = snapshot.totals
    traits = totals["traits"]
    flags = totals["tcp_flags"] + totals["tcp_combinations"] @ labels.FLAG_BITS
    multicast = traits[..., Trait.GROUP] - traits[..., Trait.BROADCAST]
    casts = np.stack((traits[..., Trait.BROADCAST], multicast), axis=-1)
    tables = (
        ("pktexp_tcp_flags", "Packets of TCP that carry a flag.", flags, FLAGS),
        ("pktexp_icmp_packets", "Messages of ICMP and ICMPv6.", totals["icmp_types"], ICMP_TYPES),
        ("pktexp_group_packets", "Packets to all, or to many, by their MAC address.", casts, CASTS),
        (
            "pktexp_tunnelled_packets",
            "Packets whose inside was looked into.",
            totals["tunnels"],
            TUNNELS,
        ),
        (
            "pktexp_unparsed_packets",
            "Packets whose headers could not be read to the end; they pass unharmed.",
            totals["unparsed"],
            REASONS,
        ),
    )
    for name, text, counts, texts in tables:
        yield counter(name, text, rows_of(sites, counts, texts))
    for trait, (name, text) in TRAITS.items():
        amounts = traits[..., trait].tolist()
        found = ((site, amounts[row][direction]) for (row, direction), site in sites.items())
        yield counter(name, text, (row for row in found if row[1]))


TRAITS = {
    Trait.FRAGMENT: ("pktexp_fragments", "Fragments of IP packets."),
    Trait.ECN_MARKED: ("pktexp_ecn_marked_packets", "Packets marked: congestion experienced."),
}
