"""Lets the ports of a bond have XDP attached, and detached, one after another.

Most drivers restart the link for XDP. Without turns all links of a bond would be down at one time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import NamedTuple

from pktexp.netlink.linkinfo import Link
from pktexp.netlink.links import read_link

REDUNDANT = ("bond", "team")  # kinds of interfaces whose ports stand in for each other
SETTLE = 1.0  # seconds in which a driver that restarts its link later takes the carrier down
BOUND = 60.0  # seconds to wait for a link; 20 s have been reported, of an X550
STOP = 8.0  # seconds to wait in all at the end: container engines kill after 10
PAUSE = 0.1  # seconds between two looks at the end


class Turn(Enum):
    """When a port may have XDP attached."""

    NOW = auto()
    LATER = auto()
    NEVER = auto()


class Restart(NamedTuple):
    """A port whose link restarts, and since when, in seconds of the clock."""

    port: Link
    since: float


class Turns:
    """The turns of every bond; `waiting` are the ifindexes of ports whose turn comes later."""

    def __init__(
        self,
        read: Callable[[int], Link | None] = read_link,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`read` returns a link as it is now, by its ifindex."""
        self.waiting: set[int] = set()
        self._read = read
        self._clock = clock
        self._sleep = sleep
        self._restarts: dict[int, Restart] = {}  # the latest, by ifindex of the bond

    def turn(self, link: Link) -> Turn:
        """Return when an interface may have XDP attached: NOW unless it is a port of a bond.

        LATER while the link of another port of the same bond is restarting, NEVER if that link has
        not come back in time.
        """
        turn = self._turn(link)
        if turn is Turn.LATER:
            self.waiting.add(link.ifindex)
        return turn

    def take_waiting(self) -> set[int]:
        """Return the ifindexes of the ports that wait, which then have to ask again."""
        waiting, self.waiting = self.waiting, set()
        return waiting

    def restarts(self, link: Link) -> None:
        """Note that an interface's link restarts now; `link` is as it was before.

        A port without a carrier is not waited for, nor is an interface that is no port of a bond.
        """
        if link.carrier and link.master and link.master_kind in REDUNDANT:
            self._restarts[link.master] = Restart(link, self._clock())

    def detach(self, links: Iterable[Link], detach: Callable[[int], None]) -> list[Link]:
        """Detach XDP from the ports of bonds in turn, for at most STOP seconds.

        Returns the ports that are still attached then.
        """
        end = self._clock() + STOP
        left = [link for link in links if link.master_kind in REDUNDANT]
        while left and self._clock() < end:
            for link in list(left):
                if self.turn(link) is Turn.NOW:
                    self.restarts(link)
                    detach(link.ifindex)
                    left.remove(link)
            if left:
                self._sleep(PAUSE)
        return left

    def _turn(self, link: Link) -> Turn:
        restart = self._restarts.get(link.master or 0)
        if restart is None or restart.port.ifindex == link.ifindex:
            return Turn.NOW
        waited = self._clock() - restart.since
        if waited >= SETTLE:
            port = self._read(restart.port.ifindex)
            if port is None or port.master != link.master or port.carrier:
                del self._restarts[restart.port.master or 0]
                return Turn.NOW
        return Turn.LATER if waited < BOUND else Turn.NEVER
