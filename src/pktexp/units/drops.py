"""Dropped packets by path of the cgroup and by reason."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np

from pktexp.bpf.cgroupdrops import CgroupDropProgram
from pktexp.bpf.tracepoints import reason_name
from pktexp.packet.labels import OTHER
from pktexp.units.ledger import Ledger

UnitDrop = tuple[str, str]
"""path or OTHER, reason"""


class UnitDrops:
    """Packets whose socket is known and that the kernel dropped. Counters only grow."""

    def __init__(self, program: CgroupDropProgram, ledger: Ledger, reasons: dict[int, str]) -> None:
        """`reasons`: the kernel's names of its drop reasons, by number."""
        self._program = program
        self._ledger = ledger
        self._reasons = reasons
        self._kept: Counter[UnitDrop] = Counter()  # of cells that were removed
        self._paths: dict[int, str] = {}  # of cgroups that have cells
        self._lock = threading.Lock()

    def read(self) -> dict[UnitDrop, int]:
        """Return packets by path and reason. The drops of a new cgroup wait until it has a path."""
        with self._lock:
            found = self._living()
            found.update(self._kept)
            found[OTHER, OTHER] += self._program.overflow
            return dict(+found)

    def close(self) -> None:
        """Detach the program."""
        self._program.close()

    def _living(self) -> Counter[UnitDrop]:
        """Return the drops of cgroups that have a lease; keep those of others without their cells.

        A cgroup that gets a lease later then starts at 0, as its traffic does.
        """
        cells = self._program.cells.read()
        leased, new, shown = self._ledger.paths(), self._ledger.new_ids(), self._ledger.shown()
        self._merge_ended(shown)
        drops: Counter[UnitDrop] = Counter()
        done = np.zeros(len(cells), np.bool_)
        for at, (cgroup, number, _) in enumerate(cells["key"].tolist()):
            reason = reason_name(self._reasons, number)
            if path := leased.get(cgroup):
                drops[path, reason] += int(cells["packets"][at])
                self._paths[cgroup] = path
            elif cgroup not in new:
                last = self._paths.get(cgroup, "")
                self._kept[last if last in shown else OTHER, reason] += int(cells["packets"][at])
                done[at] = True
        self._program.cells.remove(cells["key"][done])
        counted = cells["key"]["cgroup"][~done].tolist()
        self._paths = {x: self._paths[x] for x in counted if x in self._paths}
        return drops

    def _merge_ended(self, shown: set[str]) -> None:
        for path, reason in [drop for drop in self._kept if drop[0] not in {OTHER} | shown]:
            self._kept[OTHER, reason] += self._kept.pop((path, reason))
