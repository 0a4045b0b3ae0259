"""The API's document of interfaces, and their sums by class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pktexp.interfaces.totals import NO_HOOK
from pktexp.kubernetes.pods import NO_POD
from pktexp.live.rates import Rates, grown, rates
from pktexp.live.sample import Sample
from pktexp.netlink.linkinfo import InterfaceClass, Link
from pktexp.packet import labels
from pktexp.packet.enums import Direction
from pktexp.packet.records import SIZE_BOUNDS, SIZE_BUCKETS, U64

PROTOCOLS = tuple(dict.fromkeys(protocol for protocol, _ in labels.PACKET_CLASSES.values()))
PROTOCOL_CLASSES = [
    [c for c, (of, _) in labels.PACKET_CLASSES.items() if of == p] for p in PROTOCOLS
]
"""packet classes of each protocol"""
BOUNDS = [*SIZE_BOUNDS, None]

Document = dict[str, Any]


@dataclass(frozen=True)
class Counted:
    """Totals and rates of all leases, as nested lists by row, direction and unit.

    `growth` is None while it is unknown; `protocols` are keyed by row and direction.
    """

    totals: list[Any]
    growth: list[Any] | None
    protocols: dict[tuple[int, int], dict[str, Rates]]
    sizes: list[Any]

    def document(self, row: int, direction: Direction) -> Document:
        """Build the part of one row and direction."""
        growth = self.growth[row][direction] if self.growth else None
        sizes = {"bounds": BOUNDS, "counts": self.sizes[row][direction]}
        protocols = self.protocols.get((row, direction), {})
        return rates(self.totals[row][direction], growth) | {"protocols": protocols, "sizes": sizes}


@dataclass(frozen=True)
class Stack:
    """Which existing interface is a port of which: names by ifindex, and numbers of ports."""

    names: dict[int, str]
    ports: Counter[int]

    @classmethod
    def of(cls, last: Sample) -> Stack:
        """Read the stack of a sample's interfaces."""
        links = last.links.values()
        ports = Counter(link.master for link in links if link.master is not None)
        return cls({link.ifindex: link.name for link in links}, ports)


def interfaces(samples: Sequence[Sample], known: Mapping[str, Link]) -> list[Document]:
    """Build a document for every interface that is, was, or should be counted, in order of names.

    `known`: links by name, including interfaces that are gone.
    """
    last, counted = samples[-1], _counted(samples)
    rows = {lease.name: row for row, lease in enumerate(last.leases)}
    drops, stack = _drops(last), Stack.of(last)
    return [
        _identity(last, stack, name, known.get(name) or last.links.get(name))
        | _directions(last, counted, rows.get(name))
        | {"dropped": drops[name], "lost_packets": _lost(last, rows.get(name))}
        for name in sorted(rows.keys() | last.links.keys())
    ]


def classes(samples: Sequence[Sample]) -> Document:
    """Sum over the existing interfaces of each class, each packet counted once a direction.

    An interface that has ports is left out: each of its packets is at one of its ports, too.
    """
    last, growth = samples[-1], grown(samples, _totals)
    sums, found = _totals(last), {}
    for kind in InterfaceClass:
        links, rows = _of_class(last, kind)
        total = sums[rows].sum(axis=0).tolist()
        more = growth[rows].sum(axis=0).tolist() if growth is not None else (None, None)
        told = {labels.DIRECTIONS[d]: rates(total[d], more[d]) for d in last.directions}
        if links:
            found[kind.value] = {"egress": None} | told
    return found


def outside(last: Sample) -> npt.NDArray[np.bool_]:
    """Return the interfaces of the first existing class, as (row, direction)."""
    mask = np.zeros((len(last.leases), len(Direction)), np.bool_)
    for kind in InterfaceClass:
        links, rows = _of_class(last, kind)
        if links:
            mask[np.ix_(rows, last.directions)] = True
            break
    return mask


def _of_class(last: Sample, kind: InterfaceClass) -> tuple[list[Link], list[int]]:
    """Return the existing interfaces of a class, and the rows of those without ports."""
    masters = {link.master for link in last.links.values()}
    links = [link for link in last.links.values() if link.interface_class is kind]
    names = {link.name for link in links if link.ifindex not in masters}
    return links, [row for row, lease in enumerate(last.leases) if lease.name in names]


def _counted(samples: Sequence[Sample]) -> Counted:
    sums, growth = _totals(samples[-1]), grown(samples, _totals)
    told = None if growth is None else growth.tolist()
    return Counted(sums.tolist(), told, _protocols(samples), samples[-1].sizes.tolist())


def _protocols(samples: Sequence[Sample]) -> dict[tuple[int, int], dict[str, Rates]]:
    """Return rates of the protocols that were seen, which are few of all possible ones."""
    sums, growth = _by_protocol(samples[-1]), grown(samples, _by_protocol)
    seen = np.argwhere(sums[..., 0] > 0)
    at = tuple(seen.T)
    grew = [None] * len(seen) if growth is None else growth[at].tolist()
    found: dict[tuple[int, int], dict[str, Rates]] = defaultdict(dict)
    for (row, direction, protocol), *told in zip(
        seen.tolist(), sums[at].tolist(), grew, strict=True
    ):
        found[row, direction][PROTOCOLS[protocol]] = rates(*told)
    return found


def _totals(sample: Sample) -> U64:
    """(row, direction, unit)."""
    totals: U64 = sample.classes.sum(axis=2)
    return totals


def _by_protocol(sample: Sample) -> U64:
    """(row, direction, protocol, unit)."""
    return np.stack([sample.classes[:, :, of].sum(axis=2) for of in PROTOCOL_CLASSES], axis=2)


def _identity(last: Sample, stack: Stack, name: str, link: Link | None) -> Document:
    here = last.links.get(name)
    nsid = here.link_netnsid if here else None
    peers = last.details.peers if last.details else {}
    pod = last.details.pods.get(here.ifindex, NO_POD) if last.details and here else NO_POD
    return {
        "name": name,
        "ifindex": here.ifindex if here else None,
        "kind": link.kind if link else "",
        "class": link.interface_class.value if link else InterfaceClass.VIRTUAL.value,
        "address": link.address if link else "",
        "mtu": here.mtu if here else None,
        "alias": link.alias if link else "",
        "master": stack.names.get(here.master, "") if here and here.master else "",
        "ports": stack.ports[here.ifindex] if here else 0,
        "peer_netns": "" if nsid is None else peers.get(nsid, ""),
        "pod": pod.name,
        "pod_namespace": pod.namespace,
        **_hooks(last, name),
    }


def _hooks(last: Sample, name: str) -> Document:
    hooks = {labels.DIRECTIONS[d]: last.hooks.get((name, d), NO_HOOK) for d in last.directions}
    counting = sum(hook != NO_HOOK for hook in hooks.values())
    states = {0: "not counted", len(hooks): "counting"}
    state = states.get(counting, "partly") if name in last.links else "gone"
    return {"state": state, "hooks": {"egress": None} | hooks}


def _directions(last: Sample, counted: Counted, row: int | None) -> Document:
    nothing = rates((0, 0), None) | {
        "protocols": {},
        "sizes": {"bounds": BOUNDS, "counts": [0] * SIZE_BUCKETS},
    }
    told = {
        labels.DIRECTIONS[d]: nothing if row is None else counted.document(row, d)
        for d in last.directions
    }
    return {"egress": None} | told


def _drops(last: Sample) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for (name, reason), packets in (last.details.drops if last.details else {}).items():
        found[name][reason] = packets
    return found


def _lost(last: Sample, row: int | None) -> int:
    return 0 if row is None else int(last.lost[row, :, 0].sum())
