"""Prometheus families of what packets are beside their protocol: flags, types, traits, tunnels.

Part of metrics.py's collector; all are counted in the kernel, and appear with their first packet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from prometheus_client.core import CounterMetricFamily, Metric

from pktexp import labels
from pktexp.interfaces import Snapshot
from pktexp.kernel.enums import Trait
from pktexp.kernel.records import TCP_FLAGS

SITE = ("interface", "direction")


def packet_families(snapshot: Snapshot) -> Iterator[Metric]:
    """All of them."""
    totals = snapshot.totals
    yield _family(
        snapshot,
        ("pktexp_tcp_flags", "Packets of TCP that carry a flag.", ("flag",)),
        {bit: (flag,) for bit, flag in enumerate(TCP_FLAGS)},
        totals["tcp_flags"] + totals["tcp_combinations"] @ labels.FLAG_BITS,
    )
    yield _family(
        snapshot,
        ("pktexp_icmp_packets", "Messages of ICMP and ICMPv6.", ("protocol", "type")),
        labels.ICMP_TYPES,
        totals["icmp_types"],
    )
    traits = totals["traits"]
    groups = traits[..., Trait.GROUP] - traits[..., Trait.BROADCAST]
    yield _family(
        snapshot,
        ("pktexp_group_packets", "Packets to all, or to many, by their MAC address.", ("cast",)),
        {0: ("broadcast",), 1: ("multicast",)},
        np.stack((traits[..., Trait.BROADCAST], groups), axis=-1),
    )
    for trait, head in TRAITS.items():
        yield _family(snapshot, (*head, ()), {0: ()}, traits[..., trait : trait + 1])
    yield _family(
        snapshot,
        ("pktexp_tunnelled_packets", "Packets whose inside was looked into.", ("kind",)),
        {tunnel: (name,) for tunnel, name in labels.TUNNELS.items()},
        totals["tunnels"],
    )
    yield _family(
        snapshot,
        (
            "pktexp_unparsed_packets",
            "Packets whose headers could not be read to the end; they pass unharmed.",
            ("reason",),
        ),
        {reason: (name,) for reason, name in labels.UNPARSED.items()},
        totals["unparsed"],
    )


TRAITS = {
    Trait.FRAGMENT: ("pktexp_fragments", "Fragments of IP packets."),
    Trait.ECN_MARKED: ("pktexp_ecn_marked_packets", "Packets marked: congestion experienced."),
}


def _family(
    snapshot: Snapshot,
    head: tuple[str, str, Sequence[str]],
    names: Mapping[int, Sequence[str]],
    counts: npt.NDArray[np.uint64],
) -> Metric:
    """`head`: name, help, and labels beside SITE; `counts`: (interface, direction, index)."""
    name, text, extra = head
    family = CounterMetricFamily(name, text, labels=(*SITE, *extra))
    for row, direction, index in np.argwhere(counts > 0).tolist():
        values = (snapshot.leases[row].name, labels.DIRECTIONS[direction], *names[index])
        family.add_metric(values, int(counts[row, direction, index]))
    return family
