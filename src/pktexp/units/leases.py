"""Leases of series to paths of cgroups.

A lease outlasts its cgroup by an hour: its last values stay readable, and a cgroup that returns
under the same path, as that of a restarted service does, continues from them.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass

from pktexp.bpf.cgroupmaps import PATH_SIZE, tallies
from pktexp.packet.records import U64, Records

RETENTION = 3600.0  # seconds


@dataclass
class Lease:
    """A series leased to a path.

    `id`: the latest cgroup under the path; `gone_since`: monotonic seconds since when none has it.
    """

    path: str
    number: int
    id: int = 0
    gone_since: float | None = None


class Leases:
    """Leases, at most one a series; the lease whose cgroup is gone longest makes room.

    `kept` (lease, direction, unit): sums of cgroups that have no place any more. The last entry is
    that of all others, and takes over the sums of leases that end.
    """

    def __init__(self, table: Records) -> None:
        """Continue the leases of an earlier process in `table`, CGROUP_LEASE."""
        self._table = table
        self.kept: U64 = tallies(table["kept"])
        self.others = len(table) - 1
        self.by_path: dict[str, Lease] = {}
        self._free: deque[int] = deque()
        for number, path in enumerate(table["path"][: self.others].tolist()):
            if path:
                self.by_path[os.fsdecode(path)] = Lease(os.fsdecode(path), number)
            else:
                self._free.append(number)

    def take(self, path: str) -> tuple[Lease | None, Lease | None]:
        """Return the path's lease, a new one if it has none, and the lease that made room for it.

        The first is None if all are in use, or if the path is too long to be kept.
        """
        if path in self.by_path:
            return self.by_path[path], None
        ended = None
        name = os.fsencode(path)
        if len(name) > PATH_SIZE or not (self._free or (ended := self._oldest())):
            return None, None
        if ended:
            self.end(ended)
        number = self._free.popleft()
        self._table["path"][number] = name
        lease = self.by_path[path] = Lease(path, number)
        return lease, ended

    def expired(self, now: float) -> list[Lease]:
        """Return the leases whose cgroup has been gone for longer than RETENTION."""
        return [x for x in self.by_path.values() if now - (x.gone_since or now) > RETENTION]

    def end(self, lease: Lease) -> None:
        """End a lease; what was kept for it goes to the others."""
        del self.by_path[lease.path]
        self.kept[self.others] += self.kept[lease.number]
        self.kept[lease.number] = 0
        self._table["path"][lease.number] = b""
        self._free.append(lease.number)

    def _oldest(self) -> Lease | None:
        gone = [lease for lease in self.by_path.values() if lease.gone_since is not None]
        return min(gone, key=lambda lease: lease.gone_since or 0.0, default=None)
