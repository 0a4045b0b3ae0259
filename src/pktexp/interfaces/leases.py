"""Leases of counter slots to interface names.

A lease outlasts the interface by an hour: its last values stay readable, and an interface that
returns under the same name continues from them.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from pktexp.bpf.counters import Counters
from pktexp.packet.records import LEASE, Records

RETENTION = 3600.0  # seconds
KEPT = 64  # leases of gone interfaces, so that short-lived names take little memory


@dataclass
class Lease:
    """A slot leased to a name; `gone_since`: monotonic seconds since when no interface has it."""

    name: str
    id: int
    slot: int
    gone_since: float | None = None


class Leases:
    """Leases, at most one a slot; leases whose interface is gone longest make room."""

    def __init__(self, counters: Counters, table: Records | None = None) -> None:
        """Continue the leases of an earlier process in `table`, (slots) of LEASE.

        Raises BpfError if a chunk of counters for them cannot be made.
        """
        self._counters = counters
        self._table = np.zeros(counters.slots, LEASE) if table is None else table
        self.by_name: dict[str, Lease] = {}
        self._free: list[int] = []
        """a heap: the lowest slot is leased first, so that few chunks of counters are made"""
        for slot, (name, id_, _) in enumerate(self._table.tolist()):
            if name:
                text = name.decode(errors="backslashreplace")  # as linkinfo.py decodes it
                self.by_name[text] = Lease(text, id_, slot)
                counters.require(slot)
            else:
                self._free.append(slot)

    def take(self, name: str, kernel_name: bytes = b"") -> Lease | None:
        """Return the name's lease, a new one if it has none; None if every slot is in use.

        `kernel_name`: the bytes that the kernel has for it, unless they are its UTF-8. Raises
        BpfError if a chunk of counters for it cannot be made.
        """
        if name in self.by_name:
            return self.by_name[name]
        if not self._free and not self._end_oldest():
            return None
        slot = self._free[0]
        self._counters.restart(slot)
        heapq.heappop(self._free)
        # As in packet.h: the low bits are the slot, the others distinguish its leases.
        before = int(self._table["id"][slot]) or slot
        lease = Lease(name, (before + self._counters.slots) & 0xFFFFFFFF, slot)
        self._table["id"][slot] = lease.id
        self._table["name"][slot] = kernel_name or name.encode()
        self.by_name[name] = lease
        return lease

    def mark(self, used: set[str], now: float) -> None:
        """Record which names are in use at `now`; end leases that have expired or exceed KEPT."""
        for lease in list(self.by_name.values()):
            if lease.name in used:
                lease.gone_since = None
            elif lease.gone_since is None:
                lease.gone_since = now
            elif now - lease.gone_since > RETENTION:
                self._end(lease)
        for lease in self._gone()[:-KEPT]:
            self._end(lease)

    def _gone(self) -> list[Lease]:
        """Return the leases whose interface is gone, the longest gone first."""
        gone = [lease for lease in self.by_name.values() if lease.gone_since is not None]
        return sorted(gone, key=lambda lease: lease.gone_since or 0.0)

    def _end_oldest(self) -> bool:
        oldest = self._gone()[:1]
        for lease in oldest:
            self._end(lease)
        return bool(oldest)

    def _end(self, lease: Lease) -> None:
        del self.by_name[lease.name]
        self._table["name"][lease.slot] = b""
        heapq.heappush(self._free, lease.slot)
