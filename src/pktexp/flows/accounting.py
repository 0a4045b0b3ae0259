"""Compare interface totals with flows: total = flows + other + lost, for each site.

The two sides reach user space on different paths: totals are read from the kernel's counters, flows
pass through the flow cache and the ring buffers. A difference is a bug of pktexp.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from pktexp.failures import FailureCounter
from pktexp.flows.others import Site
from pktexp.flows.table import Flows
from pktexp.interfaces.totals import Snapshot, Totals
from pktexp.packet.labels import DIRECTIONS
from pktexp.tasks import to_its_end

log = logging.getLogger(__name__)

INTERVAL = 5.0  # seconds between checks

Bounds = tuple[float, float]
ANYTHING = (0.0, math.inf)


@dataclass(frozen=True)
class Packets:
    """Packets of each site at one moment: all that were `counted`, and the `lost` ones of them."""

    counted: dict[Site, int]
    lost: dict[Site, int]


class Accounts:
    """Compares totals with flows, and keeps the difference of each site.

    `unaccounted` counts packets that are in no flow; it is negative for packets in more than one.
    During traffic the two sides are not of the same moment, so a difference shows once it exceeds
    the packets counted between two readings of the totals. Without traffic it is exact.
    """

    def __init__(
        self,
        interfaces: Totals,
        flows: Flows,
        settle: Callable[[], Awaitable[None]],
        inherited: Collection[int] = (),
    ) -> None:
        """`settle` returns when all packets counted before the call are merged into `flows`.

        `inherited` are ids of leases some of whose packets an earlier process attributed. Their
        number is unknown; each check narrows it.
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
        """Compare once. A failure is counted and logged, never raised."""
        with self.failures.suppressed("failed to compare totals with flows, retrying"):
            before = await asyncio.to_thread(self._read)
            await self._settle()
            await asyncio.to_thread(self._compare, before)

    def _read(self) -> Packets:
        return _packets(self._interfaces.snapshot())

    def _compare(self, before: Packets) -> None:
        names = self._interfaces.lease_names()
        attributed = self._flows.snapshot(names).others_with(slice(None))
        after = self._read()
        found = {}
        for site, counted in before.counted.items():
            known = attributed[site].packets if site in attributed else 0
            least = counted - known - after.lost.get(site, 0)
            most = after.counted.get(site, counted) - known - before.lost[site]
            found[site] = self._differ(site, least, most)
        # A record that is being written while the rings are read is missing from one check only.
        lasting = {site: _less(n, self._last.get(site, 0)) for site, n in found.items()}
        self._last = found
        self._report({site: n for site, n in lasting.items() if n}, names)
        self.checks += 1

    def _differ(self, site: Site, least: int, most: int) -> int:
        """Return how many packets the bounds of a difference lie outside its earlier bounds."""
        low, high = self._earlier.get(site, (0, 0) if site[0] not in self._inherited else ANYTHING)
        if least > high:
            return int(least - high)
        if most < low:
            return int(most - low)
        if site[0] in self._inherited:
            self._earlier[site] = max(low, least), min(high, most)
        return 0

    def _report(self, unaccounted: dict[Site, int], names: dict[int, str]) -> None:
        for site, packets in unaccounted.items():
            if self.unaccounted.get(site) != packets:
                name = f"{names.get(site[0], '?')}, {DIRECTIONS[site[1]]}"
                log.error("flows do not sum to the total of %s: %d packets missing", name, packets)
        self.unaccounted = unaccounted


def _packets(snapshot: Snapshot) -> Packets:
    """Return the packets of each site of a snapshot."""
    totals, lost = snapshot.totals[..., 0].tolist(), snapshot.lost[..., 0].tolist()
    rows = list(enumerate(snapshot.leases))
    sites = {(lease.id, d): (row, d) for row, lease in rows for d in snapshot.directions}
    return Packets(
        {site: totals[row][d] for site, (row, d) in sites.items()},
        {site: lost[row][d] for site, (row, d) in sites.items()},
    )


def _less(a: int, b: int) -> int:
    """Return the number nearer to zero, or 0 if the two differ in sign."""
    return 0 if a * b <= 0 else min(a, b, key=abs)
