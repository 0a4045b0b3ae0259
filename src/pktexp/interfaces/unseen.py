"""Packets that an interface sent past its egress hook, by the kernel's own statistic.

PACKET_QDISC_BYPASS, AF_XDP, pktgen and XDP_REDIRECT hand packets to the driver without a hook. The
kernel's tx_packets has them and the programs' count has not: the difference shows them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pktexp.interfaces.attacher import Attachment
from pktexp.interfaces.totals import Snapshot
from pktexp.packet.enums import Direction
from pktexp.packet.records import Records

# Kinds of devices that count a packet as sent after the hook has seen it, and at most once for
# every packet that it counts. Others count frames of firmware (hardware), or several devices.
KINDS = ("veth", "tun")


class Attachments(Protocol):
    """The interfaces that are counted, and their totals."""

    def attachments(self) -> list[Attachment]:
        """Return the attachments as they are now."""

    def snapshot(self) -> Snapshot:
        """Read the totals now."""


@dataclass
class _Known:
    attachment: Attachment
    ahead: int
    """how many packets the kernel's statistic had more than the programs at the first reading"""
    before: int
    """unseen packets of earlier attachments under the same lease"""
    most: int = 0


class Unseen:
    """Lower bounds of the packets that no hook saw, by lease; they only grow.

    A packet with several segments is one for these devices, and several for the programs: it hides
    as many unseen packets. An attachment counts from its first reading.
    """

    def __init__(self, interfaces: Attachments) -> None:
        self._interfaces = interfaces
        self._known: dict[int, _Known] = {}
        self._lock = threading.Lock()

    def covered(self) -> list[Attachment]:
        """Return the attachments to give to `read`; call this before reading the statistics.

        An interface attached after its statistic was read would begin with packets too many.
        """
        return [
            each
            for each in self._interfaces.attachments()
            if each.lease and each.link.kind in KINDS and Direction.EGRESS in each.hooks
        ]

    def read(self, covered: Sequence[Attachment], statistics: Records) -> list[tuple[str, int]]:
        """Return names and unseen egress packets, from LINK_STATISTICS that were just read.

        The totals are read here, after the statistics: packets sent meanwhile hide unseen ones,
        and never look like them. An interface that was detached meanwhile is left out.
        """
        with self._lock:
            still = {id(each) for each in self._interfaces.attachments()}
            # By lease: while names are exchanged, two interfaces may have one.
            by_lease = {each.lease.id: each for each in covered if each.lease and id(each) in still}
            if not by_lease:
                return []
            sent = dict(
                zip(*(statistics[x].tolist() for x in ("ifindex", "tx_packets")), strict=True)
            )
            snapshot = self._interfaces.snapshot()
            self._forget({lease.id for lease in snapshot.leases})
            totals = snapshot.totals[:, Direction.EGRESS, 0].tolist()
            return [
                (
                    lease.name,
                    self._of(lease.id, attachment, sent[attachment.link.ifindex] - counted),
                )
                for lease, counted in zip(snapshot.leases, totals, strict=True)
                if (attachment := by_lease.get(lease.id)) and attachment.link.ifindex in sent
            ]

    def _of(self, lease: int, attachment: Attachment, ahead: int) -> int:
        known = self._known.get(lease)
        # Whoever detaches or moves an interface ends its attachment: its statistic grows alone.
        if known is None or known.attachment is not attachment:
            before = known.before + known.most if known else 0
            known = self._known[lease] = _Known(attachment, ahead, before)
        known.most = max(known.most, ahead - known.ahead)
        return known.before + known.most

    def _forget(self, leases: set[int]) -> None:
        for ended in self._known.keys() - leases:
            del self._known[ended]
