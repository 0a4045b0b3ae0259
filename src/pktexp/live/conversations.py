"""Conversations: both directions of a flow as one row, each packet counted at one interface.

A packet that crosses a veth, a bridge and a NIC is in flows of all three. A conversation is counted
at the one of its interfaces that is nearest to the outside: a physical one, else one that neither
has ports nor is a port, else one that has ports, else a port. A packet that an interface sees in
both directions, as loopback does, is counted in one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pktexp.live.flowtable import Indices, Table
from pktexp.live.rates import DIGITS, F64, Rates, rates
from pktexp.netlink.linkinfo import InterfaceClass, Link
from pktexp.packet.enums import Direction
from pktexp.packet.records import U64, Records

FORWARD, BACKWARD = 0, 1  # from the client to the server, and back
CONVERSATION = np.dtype(
    [("client", "u1", 16), ("server", "u1", 16), ("port", ">u2"), ("packet_class", "u1")]
)


@dataclass(frozen=True)
class Conversations:
    """One row a conversation, in no order.

    `flows`: a flow of the table that has its addresses; `forward`: whether that flow runs from the
    client to the server; `sums` and `growth` a second are (row, way, unit), with the ways FORWARD
    and BACKWARD; `growth` is None before there are rates.
    """

    flows: Indices
    forward: npt.NDArray[np.bool_]
    sums: U64
    growth: F64 | None

    def way(self, row: int, way: int) -> Rates:
        """Return the numbers of one way of a conversation."""
        growth = None if self.growth is None else self.growth[row, way].round(DIGITS).tolist()
        return rates(self.sums[row, way].tolist(), growth)


def conversations(
    table: Table, flows: Indices, tiers: Indices, ephemeral: tuple[int, int]
) -> Conversations:
    """Join the chosen flows of a table; `tiers`: of interfaces by row, the lowest is outermost."""
    keys = table.keys[flows]
    forward = _forward(keys, ephemeral)
    joined = _joined(keys, forward)
    _, group = np.unique(joined.view(f"V{CONVERSATION.itemsize}"), return_inverse=True)
    group = group.reshape(-1)
    chosen = _outermost(group, table.rows[flows], tiers, table.sums[flows, 1])
    group, flows, forward = group[chosen], flows[chosen], forward[chosen]
    groups, group = np.unique(group, return_inverse=True)
    first = np.zeros(len(groups), np.intp)
    first[group[::-1]] = np.arange(len(group))[::-1]
    shape = (len(groups), 2, len(Direction))
    way = np.where(forward, FORWARD, BACKWARD)
    cells = np.ravel_multi_index((group, way, table.directions[flows]), shape)
    sums = _summed(cells, table.sums[flows], shape)
    larger = sums[..., 1].argmax(axis=2)[:, :, None, None]
    growth = None
    if table.growth is not None:
        growth = _summed(cells, table.growth[flows], shape)
        growth = np.take_along_axis(growth, larger, axis=2)[:, :, 0]
    counted = np.take_along_axis(sums, larger, axis=2)[:, :, 0].astype(np.uint64)
    found = Conversations(flows[first], forward[first], counted, growth)
    return _from_larger_sender(found, table.keys["ports"][found.flows].max(axis=1) == 0)


def _from_larger_sender(found: Conversations, portless: npt.NDArray[np.bool_]) -> Conversations:
    """Make the side that sent more the source of the rows without ports."""
    swap = portless & (found.sums[:, BACKWARD, 1] > found.sums[:, FORWARD, 1])
    ways = np.where(swap[:, None], (BACKWARD, FORWARD), (FORWARD, BACKWARD))[..., None]
    growth = found.growth
    return Conversations(
        found.flows,
        found.forward ^ swap,
        np.take_along_axis(found.sums, ways, axis=1),
        None if growth is None else np.take_along_axis(growth, ways, axis=1),
    )


def tiers_of(names: Sequence[str], links: Mapping[str, Link]) -> Indices:
    """Rank interfaces by their distance from the outside; 0 is outermost."""
    masters = {link.master for link in links.values() if link.master is not None}
    return np.array([_tier(links.get(name), masters) for name in names], np.intp)


def _tier(link: Link | None, masters: set[int]) -> int:
    if link is None:
        return 1
    if link.interface_class is InterfaceClass.PHYSICAL:
        return 0
    if link.ifindex in masters:
        return 2
    return 3 if link.master else 1


def _forward(keys: Records, ephemeral: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return which flows run to the serving side, by their ports and else by their addresses.

    The side whose port is not ephemeral serves, else the one with the lower port (docs/metrics.md).
    Without ports, or between equal ones, the side with the higher address stands for it, until
    sums tell which side sends more.
    """
    source, dest = (keys["ports"][:, end].astype(np.int64) for end in (0, 1))
    rank = [np.where(port == 0, 1 << 17, port) for port in (source, dest)]
    low, high = ephemeral
    rank = [port + ((low <= port) & (port <= high)) * (1 << 16) for port in rank]
    higher = _bytes(keys["daddr"]) >= _bytes(keys["saddr"])
    forward: npt.NDArray[np.bool_] = np.where(rank[0] == rank[1], higher, rank[1] < rank[0])
    return forward


def _joined(keys: Records, forward: npt.NDArray[np.bool_]) -> Records:
    """Return the CONVERSATION of each flow."""
    joined = np.zeros(len(keys), CONVERSATION)
    way = forward[:, None]
    joined["client"] = np.where(way, keys["saddr"], keys["daddr"])
    joined["server"] = np.where(way, keys["daddr"], keys["saddr"])
    joined["port"] = np.where(forward, keys["ports"][:, 1], keys["ports"][:, 0])
    joined["packet_class"] = keys["packet_class"]
    return joined


def _outermost(group: Indices, rows: Indices, tiers: Indices, bytes_: U64) -> Indices:
    """Return the flows at the interface of each group that is outermost and, of equals, largest."""
    count = int(rows.max(initial=-1)) + 1
    places, place = np.unique(group * count + rows, return_inverse=True)
    groups, at = np.divmod(places, count)
    amounts = np.bincount(place.reshape(-1), bytes_.astype(np.float64))
    order = np.lexsort((at, -amounts, tiers[at], groups))
    _, first = np.unique(groups[order], return_index=True)
    best = np.zeros(len(places), np.bool_)
    best[order[first]] = True
    return np.flatnonzero(best[place.reshape(-1)])


def _summed(cells: Indices, values: npt.NDArray[np.generic], shape: tuple[int, ...]) -> F64:
    """Sum (flow, unit) by cell: (*shape, unit)."""
    count = int(np.prod(shape))
    units = [np.bincount(cells, values[:, unit].astype(np.float64), count) for unit in (0, 1)]
    summed: F64 = np.stack(units, axis=-1).astype(np.float64).reshape(*shape, 2)
    return summed


def _bytes(addresses: npt.NDArray[np.uint8]) -> npt.NDArray[np.bytes_]:
    """View addresses of 16 bytes as values that compare in the order of addresses."""
    return np.ascontiguousarray(addresses).view("S16")[:, 0]
