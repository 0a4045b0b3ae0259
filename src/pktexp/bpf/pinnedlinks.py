"""Links of hooks.py that are pinned (pins.py): taken over by a new program, or let go."""

from __future__ import annotations

import os

from pktexp.bpf.libbpf import Libbpf
from pktexp.bpf.pins import Pins, link_name, linked

EGRESS = "egress"  # in the name of a hook


class PinnedLinks:
    """What an earlier process left, and what this one pins."""

    def __init__(self, lib: Libbpf, pins: Pins) -> None:
        self._lib = lib
        self._pins = pins
        self._inherited: dict[tuple[int, str], int] = {}
        self._find()

    def _find(self) -> None:
        """What was on an interface that is gone is let go."""
        for ifindex, hook in self._pins.links():
            fd = self._pins.get(link_name(ifindex, hook))
            assert fd is not None, f"{ifindex} was there a moment ago"
            if linked(self._lib, fd).ifindex == ifindex:
                self._inherited[ifindex, hook] = fd
            else:
                self._let_go(ifindex, hook, fd)

    def take_over(self, ifindex: int, hook: str, program: int) -> int | None:
        """The link's descriptor, now running `program`; None if there is none.

        The kernel exchanges the programs in one step (bpf_link_update: XDP since 5.9, commit
        026a4c28e1db; TCX since 6.6): each packet is seen by the one or the other.
        """
        if (fd := self._inherited.pop((ifindex, hook), None)) is None:
            self._drop_instead(ifindex, hook)
            return None
        arguments = (fd, program, None)
        try:
            self._lib("exchange the program of a link", "bpf_link_update", *arguments)
        except OSError:  # it is made anew
            self._let_go(ifindex, hook, fd)
            return None
        return fd

    def pin(self, ifindex: int, hook: str, fd: int) -> None:
        """A new link; what was there under its name had been detached by somebody else."""
        self._pins.drop(name := link_name(ifindex, hook))
        self._pins.put(name, fd)

    def drop(self, ifindex: int) -> None:
        """What is pinned of an interface."""
        for other, hook in list(self._pins.links()):
            if other == ifindex:
                self._pins.drop(link_name(ifindex, hook))

    def drop_inherited(self) -> None:
        """What nobody has taken over."""
        for (ifindex, hook), fd in self._inherited.items():
            self._let_go(ifindex, hook, fd)
        self._inherited.clear()

    def _drop_instead(self, ifindex: int, hook: str) -> None:
        """Other hooks of the same direction: a packet would be counted at both."""
        egress = EGRESS in hook
        for key in [k for k in self._inherited if k[0] == ifindex and (EGRESS in k[1]) == egress]:
            self._let_go(*key, self._inherited.pop(key))

    def _let_go(self, ifindex: int, hook: str, fd: int) -> None:
        self._pins.drop(link_name(ifindex, hook))
        os.close(fd)
