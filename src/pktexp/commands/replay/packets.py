"""Packets of a capture: records as its file has them, and packets as the programs run them."""

from __future__ import annotations

from dataclasses import dataclass

from pktexp.packet.enums import LinkType


@dataclass(frozen=True, slots=True)
class Record:
    """A packet as a file has it.

    It had `length` bytes, of which the file kept `data`; both begin with the header of `link_type`
    (https://www.tcpdump.org/linktypes.html) and end with `fcs` bytes of frame check sequence.
    """

    data: bytes
    length: int
    link_type: int
    fcs: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as the programs parse it: `data` begins with the header of `link_type`.

    `length` is that of its record without FCS. `left_out`: why it is not counted, or "".
    """

    data: bytes
    length: int
    link_type: LinkType
    left_out: str = ""
