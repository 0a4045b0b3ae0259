"""Whether the sums agree: what interfaces counted (interfaces.py) = flows + other + lost.

The two sides come to user space by different ways: the totals are read where the kernel counts,
the flows (flows.py) are what came through cache and rings. counting.py runs it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import numpy as np

from pktexp.failures import FailureCounter
from pktexp.flows.others import Site
from pktexp.flows.table import Flows, FlowSnapshot
from pktexp.interfaces.totals import Snapshot, Totals
from pktexp.packet.labels import DIRECTIONS
from pktexp.tasks import to_its_end

log = logging.getLogger(__name__)

INTERVAL = 5.0  # seconds between checks

Bounds = tuple[float, float]
ANYTHING = (0.0, math.inf)


@dataclass(frozen=True)
class Look:
    """Packets of each site: `counted`, and of these those that are known to be `lost`."""

    counted: dict[Site, int]
    lost: dict[Site, int]


class Accounts:
    """`unaccounted`: packets of each site that are in no flow, or negative if in more than one.

    While packets come the two sides are not of the same moment: then what is missing shows as soon
    as it is more than came between two looks, and without traffic to the packet.
    """

    def __init__(
        self,
        interfaces: Totals,
        flows: Flows,
        settle: Callable[[], Awaitable[None]],
        inherited: Collection[int] = (),
    ) -> None:
        """`settle` returns when what was counted before the call has come to `flows`.

        `inherited`: ids of leases that an earlier process attributed packets of: how many is not
        known, but each check narrows it.
        """
        self._interfaces = interfaces
        self._flows = flows
        self._settle = settle
        self._inherited = inherited
        self._earlier: dict[Site, Bounds] = {}
        self._last: dict[Site, int] = {}
        self.unaccounted: dict[Site, int] = {}
        self.checks = 0
        self.failures = FailureCounter(log)

    @property
    def difference(self) -> int:
        """Packets found in no flow, or in more than one, by the latest check."""
        return sum(map(abs, self.unaccounted.values()))

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await to_its_end(self.check())

    async def check(self) -> None:
        """Compare; a failure is counted, never raised."""
        with self.failures.suppressed("failed to compare totals with flows, retrying"):
            before = await asyncio.to_thread(self._look)
            await self._settle()
            await asyncio.to_thread(self._compare, before)

    def _look(self) -> Look:
        return look(self._interfaces.snapshot())

    def _compare(self, before: Look) -> None:
        names = self._interfaces.lease_names()
        flows = _sums(self._flows.snapshot(names))
        after = self._look()
        found = {}
        for site, counted in before.counted.items():
            known = flows.get(site, 0)
            least = counted - known - after.lost.get(site, 0)
            most = after.counted.get(site, counted) - known - before.lost[site]
            found[site] = self._differ(site, least, most)
        # A record that is being written while the rings are read comes a moment later.
        lasting = {site: _less(n, self._last.get(site, 0)) for site, n in found.items()}
        self._last = found
        self._tell({site: n for site, n in lasting.items() if n}, names)
        self.checks += 1

    def _differ(self, site: Site, least: int, most: int) -> int:
        """By how much what no flow has, between these bounds, is not what it was before."""
        low, high = self._earlier.get(site, (0, 0) if site[0] not in self._inherited else ANYTHING)
        if least > high:
            return int(least - high)
        if most < low:
            return int(most - low)
        if site[0] in self._inherited:
            self._earlier[site] = max(low, least), min(high, most)
        return 0

    def _tell(self, unaccounted: dict[Site, int], names: dict[int, str]) -> None:
        for site, packets in unaccounted.items():
            if self.unaccounted.get(site) != packets:
                where = f"{names.get(site[0], '?')}, {DIRECTIONS[site[1]]}"
                log.error(
                    "flows do not sum to the total of %s: %d packets unaccounted", where, packets
                )
        self.unaccounted = unaccounted


def look(snapshot: Snapshot) -> Look:
    """The packets of a snapshot."""
    totals, lost = snapshot.totals[..., 0].tolist(), snapshot.lost[..., 0].tolist()
    rows = list(enumerate(snapshot.leases))
    sites = {(lease.id, d): (row, d) for row, lease in rows for d in snapshot.directions}
    return Look(
        {site: totals[row][d] for site, (row, d) in sites.items()},
        {site: lost[row][d] for site, (row, d) in sites.items()},
    )


def _sums(flows: FlowSnapshot) -> dict[Site, int]:
    sums = {site: tally.packets for site, tally in flows.others.items()}
    sites = np.stack((flows.keys["interface"], flows.keys["direction"]), axis=1)
    found, where = np.unique(sites, axis=0, return_inverse=True)
    packets = np.zeros(len(found), np.uint64)
    np.add.at(packets, where.reshape(-1), flows.packets)
    for (interface, direction), shown in zip(found.tolist(), packets.tolist(), strict=True):
        sums[interface, direction] = sums.get((interface, direction), 0) + shown
    return sums


def _less(a: int, b: int) -> int:
    """What both have: nothing if they differ in sign, else the smaller."""
    return 0 if a * b <= 0 else min(a, b, key=abs)
