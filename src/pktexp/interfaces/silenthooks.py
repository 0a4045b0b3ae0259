"""Find hooks that see no packets while the device's own statistic grows.

A driver may accept an XDP program and never run it (xen-netfront, if the backend leaves no
headroom: drivers/net/xen-netfront.c, 6.12), or run it under the ifindex of another interface
(hv_netvsc of its VF: drivers/net/hyperv/netvsc_bpf.c, 6.12; bonds of their ports).
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pktexp.bpf.counters import Counters
from pktexp.bpf.hookchoice import Hook
from pktexp.interfaces.attacher import Attachment
from pktexp.netlink import linkstats
from pktexp.netlink.linkinfo import InterfaceClass
from pktexp.netlink.links import xdp_programs
from pktexp.packet.enums import Direction
from pktexp.packet.records import Records

LEAST = 50  # packets in a check; fewer may come from a device's firmware alone
FEW = 100  # a silent hook sees at most one of so many packets
CHECKS = 2  # consecutive; drivers that read their card late report packets of before in the first
SOON, LATER = 2.0, 10.0  # seconds between checks, while an attachment is new and afterwards
NEW = 15  # checks


@dataclass(frozen=True)
class Silent:
    """A hook that saw `seen` of the packets that the device reports: `passed`."""

    attachment: Attachment
    direction: Direction
    passed: int
    seen: int

    @property
    def hook(self) -> Hook:
        """The hook."""
        return Hook(self.attachment.hooks[self.direction])

    def __str__(self) -> str:
        verb = "received" if self.direction is Direction.INGRESS else "sent"
        return f"{self.hook} saw {self.seen} of {self.passed} packets that the device {verb}"


@dataclass
class _Watched:
    """The latest totals of a device and its hook, and their sums over consecutive silent checks."""

    attachment: Attachment
    direction: Direction
    passed: int
    seen: int
    checks: int = 0
    silent: int = 0
    sums: tuple[int, int] = (0, 0)
    reported: bool = False

    def compare(self, passed: int, seen: int) -> None:
        """Note new totals, and whether the hook was silent since the former."""
        more, hooked = passed - self.passed, seen - self.seen
        self.passed, self.seen = passed, seen
        self.checks += 1
        if more < LEAST or hooked * FEW > more:
            self.silent, self.sums = 0, (0, 0)
        else:
            self.silent, self.sums = self.silent + 1, (self.sums[0] + more, self.sums[1] + hooked)


class SilentHooks:
    """Compares what hooks count with the devices' statistics; `count`: silent hooks found.

    Hooks of socket buffers are compared at physical devices only: virtual ones count other moments
    of a packet. XDP is compared everywhere. `pause`: seconds between two checks now.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._watched: dict[tuple[int, Direction], _Watched] = {}
        self._checked = time.monotonic()
        self.pause = SOON
        self.count = 0

    def find(self, attachments: Sequence[Attachment]) -> list[Silent]:
        """Return hooks newly found silent, each once an attachment; [] before a check is due.

        Raises OSError if netlink does not reply.
        """
        now = time.monotonic()
        if now - self._checked < self.pause:
            return []
        self._checked = now
        watched = [self._compare(*row) for row in self._read(attachments)]
        self._watched = {(w.attachment.link.ifindex, w.direction): w for w in watched}
        self.pause = SOON if any(w.checks < NEW for w in watched) else LATER
        found = [w for w in watched if w.silent >= CHECKS and not w.reported]
        found = [w for w in found if not _is_bypassed(w.attachment)]
        for each in found:
            each.reported = True
        self.count += len(found)
        return [Silent(w.attachment, w.direction, *w.sums) for w in found]

    def _read(
        self, attachments: Sequence[Attachment]
    ) -> Iterator[tuple[Attachment, Direction, int, int]]:
        """Yield totals of device and hook.

        The device's are read first: packets received meanwhile look seen, never unseen.
        """
        compared = [a for a in attachments if a.lease and _directions(a)]
        rows = linkstats.of([a.link.ifindex for a in compared])
        passed = dict(zip(rows["ifindex"].tolist(), _passed(rows), strict=True))
        slots = [a.lease.slot for a in compared if a.lease]
        counters = self._counters.read(np.array(slots, np.intp))
        seen = counters["classes"]["packets"].sum(axis=2).tolist()
        for attachment, counted in zip(compared, seen, strict=True):
            if device := passed.get(attachment.link.ifindex):
                for direction in _directions(attachment):
                    yield attachment, direction, device[direction], counted[direction]

    def _compare(
        self, attachment: Attachment, direction: Direction, passed: int, seen: int
    ) -> _Watched:
        watched = self._watched.get((attachment.link.ifindex, direction))
        if watched is None or watched.attachment is not attachment:
            return _Watched(attachment, direction, passed, seen)
        watched.compare(passed, seen)
        return watched


def _directions(attachment: Attachment) -> list[Direction]:
    """Return the directions whose hook can be compared."""
    physical = attachment.link.interface_class is InterfaceClass.PHYSICAL
    return [d for d, hook in attachment.hooks.items() if physical or Hook(hook).xdp]


def _passed(statistics: Records) -> list[tuple[int, int]]:
    """Return packets that should have passed the hooks, by direction; some dropped ones did."""
    fields = (statistics[field].tolist() for field in ("rx_packets", "rx_dropped", "tx_packets"))
    return [(received - dropped, sent) for received, dropped, sent in zip(*fields, strict=True)]


def _is_bypassed(attachment: Attachment) -> bool:
    """Return whether another XDP program is there, which may keep packets from the hooks."""
    hook = attachment.hooks.get(Direction.INGRESS)
    if hook and Hook(hook).xdp:
        return False  # ours; there is room for one
    try:
        return bool(xdp_programs(attachment.link.ifindex))
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return True  # the interface is gone
