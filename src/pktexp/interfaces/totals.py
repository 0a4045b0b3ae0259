"""What all interfaces have counted, at one moment: from interfaces.py, for the pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pktexp.interfaces.leases import Lease
from pktexp.packet.enums import Direction
from pktexp.packet.records import Records

NO_HOOK = "none"


@dataclass(frozen=True)
class Snapshot:
    """All interfaces at one moment.

    `totals[i, d]` (INTERFACE_COUNTERS) belongs to `leases[i]` and direction d, of those that are
    counted; `hooks[name, d]` is NO_HOOK where none could be had.
    """

    leases: list[Lease]
    totals: Records
    directions: Sequence[Direction]
    hooks: dict[tuple[str, Direction], str]
