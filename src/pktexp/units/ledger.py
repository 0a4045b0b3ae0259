"""The ledger of traffic by cgroup: which id belongs to which lease, and the sums of each.

The kernel claims a place for an id with its first packet. This module finds the id's path, adds
what is counted at its places to the lease of the path, and frees places of cgroups that are gone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pktexp.bpf import cgroupmaps
from pktexp.bpf.cgroupmaps import GONE, tallies
from pktexp.bpf.cgroups import CgroupPrograms
from pktexp.failures import FailureCounter
from pktexp.packet.records import U64
from pktexp.tasks import to_its_end
from pktexp.units import hierarchy
from pktexp.units.leases import Lease, Leases

log = logging.getLogger(__name__)

ROUND = 1.0  # seconds between two looks at new ids
CHECK = 10.0  # seconds between two looks at whether cgroups still exist
PAUSE = 20  # times as long as the last scan took, before the next one

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class UnitCounts:
    """Sums of each lease, and last of all others: `counts` (lease or others, direction, unit)."""

    leases: Sequence[Lease]
    counts: U64


class Ledger:
    """Sums by cgroup. `update` runs in one thread at a time, `snapshot` in any.

    `scans`, `scan_seconds` and `unknown` (ids whose cgroup was gone before it had a name, or is
    beyond what a scan looks at) only grow.
    """

    def __init__(self, programs: CgroupPrograms, root: Path) -> None:
        self._programs = programs
        self._root = root
        self._places = programs.places
        self._since: U64 = tallies(programs.places["since"])
        self._leases = Leases(programs.leases)
        self._others = self._leases.others
        self._freed: Places = np.flatnonzero(programs.ids == GONE)
        self._waiting: dict[int, str] = {}  # paths without a lease, by place
        self._lock = threading.Lock()
        self._next_scan = self._next_check = 0.0
        self.scans = 0
        self.scan_seconds = 0.0
        self.unknown = 0
        self.failures = FailureCounter(log)
        # The place of cgroups without a place belongs to the others from the start. Cgroups that an
        # earlier process counted among the others may get a lease from this one.
        self._places["id"][-1], self._places["owner"][-1] = GONE, self._others
        self._places["owner"][self._places["id"] == 0] = self._others
        among = self._of(self._others)
        self._keep(among)
        self._places["id"][among] = 0

    @property
    def limit(self) -> int:
        """Cgroups that can have series of their own."""
        return self._others

    @property
    def count(self) -> int:
        """Cgroups that have series of their own."""
        return len(self._leases.by_path)

    @property
    def nbytes(self) -> int:
        """Kernel memory of counters, ids, places and paths, in bytes."""
        return self._programs.nbytes

    def close(self) -> None:
        """Detach the programs, unless they are pinned."""
        self._programs.close()

    async def follow(self) -> None:
        """Update the ledger each second, until cancelled."""
        while True:
            await to_its_end(asyncio.to_thread(self._attempt))
            await asyncio.sleep(ROUND)

    def snapshot(self) -> UnitCounts:
        """Return the sums. A cgroup whose path is not known yet is missing until the next update.

        The sums of all series never shrink, and miss no packet once its cgroup's path is known.
        """
        with self._lock:
            owned = np.flatnonzero(self._places["id"])
            sums = self._leases.kept.copy()
            np.add.at(sums, self._places["owner"][owned], self._counted(owned))
            leases = sorted(self._leases.by_path.values(), key=lambda lease: lease.number)
        rows = [lease.number for lease in leases]
        return UnitCounts(leases, sums[[*rows, self._others]])

    def paths(self) -> dict[int, str]:
        """Return the paths of cgroups that have a lease and a place, by id."""
        with self._lock:
            names = {lease.number: path for path, lease in self._leases.by_path.items()}
            owned = self._places[self._places["id"] > 0]
            pairs = zip(owned["id"].tolist(), owned["owner"].tolist(), strict=True)
            return {number: names[owner] for number, owner in pairs if owner in names}

    def shown(self) -> set[str]:
        """Return the paths that have a lease."""
        with self._lock:
            return set(self._leases.by_path)

    def new_ids(self) -> set[int]:
        """Return the ids whose path is not known yet."""
        with self._lock:
            return set(self._programs.ids[self._new()].tolist())

    def update(self) -> None:
        """Find the paths of new ids, and free the places of cgroups that are gone."""
        now = time.monotonic()
        with self._lock:
            self._free()
            self._recognise()
            new = self._new()
        if len(new) and now >= self._next_scan:
            found = self._scan()
            with self._lock:
                for place in new.tolist():
                    self._name(place, found)
        if now >= self._next_check:
            self._next_check = now + CHECK
            with self._lock:
                self._check(now)

    def _attempt(self) -> None:
        with self.failures.suppressed("failed to read the cgroups, trying again"):
            self.update()

    def _counted(self, places: Places) -> U64:
        counted: U64 = cgroupmaps.read(self._programs.counts, places) - self._since[places]
        return counted

    def _new(self) -> Places:
        ids = self._programs.ids
        return np.flatnonzero((ids > 0) & (ids != GONE) & (ids != self._places["id"][:-1]))

    def _scan(self) -> hierarchy.Scan:
        found = hierarchy.scan(self._root)
        self.scans += 1
        self.scan_seconds += found.seconds
        self._next_scan = time.monotonic() + PAUSE * found.seconds
        return found

    def _recognise(self) -> None:
        """Serve cgroups that are gone and whose sockets still send, without a scan."""
        leases = {lease.id: lease for lease in self._leases.by_path.values()}
        for place in self._new().tolist():
            if lease := leases.get(int(self._programs.ids[place])):
                self._own(place, lease.number)

    def _name(self, place: int, found: hierarchy.Scan) -> None:
        """Give a place with a new id to the lease of its path, or to the others."""
        number = int(self._programs.ids[place])
        path = found.paths.get(number)
        lease = self._lease(path, number) if path else None
        self._own(place, lease.number if lease else self._others)
        if path and not lease:
            self._waiting[place] = path
        elif not path:
            self.unknown += 1
            if found.complete:
                self._mark([place])

    def _own(self, place: int, owner: int) -> None:
        self._places["owner"][place] = owner
        self._places["id"][place] = self._programs.ids[place]

    def _lease(self, path: str, number: int) -> Lease | None:
        """Return a path's lease; the places of the lease that makes room go to the others."""
        lease, ended = self._leases.take(path)
        if ended:
            self._disown(ended)
        if lease:
            lease.id, lease.gone_since = number, None
        return lease

    def _disown(self, ended: Lease) -> None:
        owned = self._of(ended.number)
        self._places["owner"][owned] = self._others
        self._mark(owned.tolist())

    def _of(self, owner: int) -> Places:
        """Return the places of a lease or of the others, but for the last one."""
        places = self._places[:-1]
        return np.flatnonzero((places["owner"] == owner) & (places["id"] > 0))

    def _check(self, now: float) -> None:
        """Mark places of cgroups that are gone; end leases that expired; serve who waits."""
        for lease in self._leases.expired(now):
            self._leases.end(lease)
            self._disown(lease)
        for lease in self._leases.by_path.values():
            owned = self._of(lease.number).tolist()
            self._mark([place for place in owned if not self._exists(lease.path, place)])
            gone = not hierarchy.exists(self._root, lease.path)
            lease.gone_since = (lease.gone_since or now) if gone else None
        for place, path in list(self._waiting.items()):
            if not self._exists(path, place):
                self._mark([place])
            elif found := self._lease(path, int(self._places["id"][place])):
                self._restart(place, found)

    def _exists(self, path: str, place: int) -> bool:
        return hierarchy.exists(self._root, path, int(self._places["id"][place]))

    def _restart(self, place: int, lease: Lease) -> None:
        """Give a place of the others to a lease, which counts from now on."""
        del self._waiting[place]
        self._keep(np.array([place]))
        self._places["owner"][place] = lease.number

    def _mark(self, places: Sequence[int]) -> None:
        """Take places from their ids; they are freed with the next update.

        Programs that have found the id still count there meanwhile.
        """
        for place in places:
            self._waiting.pop(place, None)
            self._programs.ids[place] = GONE
        self._freed = np.union1d(self._freed, np.array(places, np.intp))

    def _free(self) -> None:
        self._keep(self._freed)
        self._places["id"][self._freed] = 0
        self._places["owner"][self._freed] = self._others
        self._programs.ids[self._freed] = 0
        self._freed = self._freed[:0]

    def _keep(self, places: Places) -> None:
        """Move what places have counted into what is kept for their leases."""
        counted = self._counted(places)
        np.add.at(self._leases.kept, self._places["owner"][places], counted)
        self._since[places] += counted
