"""What metrics.py and flowpage.py ask: of live traffic (interfaces.py, flows.py) or of a capture.

A capture's traffic comes from replay.py by way of report.py.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from pktexp.flows.table import FlowSnapshot
from pktexp.interfaces.totals import Snapshot


class Totals(Protocol):
    """Exact totals by interface."""

    def lease_names(self) -> dict[int, str]:
        """The ids under which records may come, and whose they are."""

    def snapshot(self) -> Snapshot:
        """The totals now."""


class Flows(Protocol):
    """Flows, and the rest as others."""

    def snapshot(self, ids: Collection[int]) -> FlowSnapshot:
        """Those of the interfaces with these lease ids."""
