"""Interfaces as the API tells them, from samples (sample.py); also their sums by class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pktexp import labels
from pktexp.interfaces import NO_HOOK
from pktexp.kernel.enums import Direction
from pktexp.kernel.linkinfo import InterfaceClass, Link
from pktexp.kernel.records import SIZE_BOUNDS, SIZE_BUCKETS
from pktexp.live.rates import grown, rates
from pktexp.live.sample import Sample

PROTOCOLS = tuple(dict.fromkeys(protocol for protocol, _ in labels.CLASSES.values()))
CLASSES = [[c for c, (of, _) in labels.CLASSES.items() if of == p] for p in PROTOCOLS]
BOUNDS = [*SIZE_BOUNDS, None]
NOTHING = ((0, 0), (0, 0))

Document = dict[str, Any]


@dataclass(frozen=True)
class Counted:
    """By row of the leases, direction, protocol and unit, as lists; growth None if unknown."""

    sums: list[Any]
    growth: list[Any] | None
    sizes: list[Any]

    def document(self, row: int, direction: Direction) -> Document:
        """All that went one way."""
        sums = self.sums[row][direction]
        growth = self.growth[row][direction] if self.growth else [None] * len(sums)
        told = (rates(*pair) for pair in zip(sums, growth, strict=True))
        total, *protocols = told
        seen = {p: r for p, r in zip(PROTOCOLS, protocols, strict=True) if r["packets"]}
        sizes = {"bounds": BOUNDS, "counts": self.sizes[row][direction]}
        return total | {"protocols": seen, "sizes": sizes}


def interfaces(samples: Sequence[Sample], known: Mapping[str, Link]) -> list[Document]:
    """Every interface that is counted, was, or should be, by name; `known`: also those gone."""
    last, counted = samples[-1], _counted(samples)
    rows = {lease.name: row for row, lease in enumerate(last.leases)}
    drops = _drops(last)
    return [
        _identity(last, name, known.get(name) or last.links.get(name))
        | _directions(last, counted, rows.get(name))
        | {"dropped": drops[name], "lost_packets": _lost(last, rows.get(name))}
        for name in sorted(rows.keys() | last.links.keys())
    ]


def classes(samples: Sequence[Sample]) -> Document:
    """Sums over the interfaces that there are of each class."""
    last, growth = samples[-1], grown(samples, lambda sample: sample.tallies.sum(axis=2))
    sums, found = last.tallies.sum(axis=2), {}
    for kind in InterfaceClass:
        links = [link.name for link in last.links.values() if link.interface_class is kind]
        rows = [row for row, lease in enumerate(last.leases) if lease.name in links]
        total = sums[rows].sum(axis=0).tolist()
        more = growth[rows].sum(axis=0).tolist() if growth is not None else (None, None)
        told = {labels.DIRECTIONS[d]: rates(total[d], more[d]) for d in last.directions}
        if links:
            found[kind.value] = {"egress": None} | told
    return found


def _counted(samples: Sequence[Sample]) -> Counted:
    last, growth = samples[-1], grown(samples, lambda sample: _protocols(sample.tallies))
    sums = _protocols(last.tallies).tolist()
    return Counted(sums, None if growth is None else growth.tolist(), last.sizes.tolist())


def _protocols(tallies: Any) -> Any:
    """(…, class, unit) to (…, protocol, unit); the first is all of them."""
    every = [tallies.sum(axis=-2)]
    return np.stack(every + [tallies[..., of, :].sum(axis=-2) for of in CLASSES], axis=-2)


def _identity(last: Sample, name: str, link: Link | None) -> Document:
    here = last.links.get(name)
    nsid = here.link_netnsid if here else None
    peers = last.details.peers if last.details else {}
    return {
        "name": name,
        "ifindex": here.ifindex if here else None,
        "kind": link.kind if link else "",
        "class": link.interface_class.value if link else InterfaceClass.VIRTUAL.value,
        "address": link.address if link else "",
        "mtu": here.mtu if here else None,
        "alias": link.alias if link else "",
        "peer_netns": "" if nsid is None else peers.get(nsid, ""),
        "pod": "",
        "pod_namespace": "",
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
