"""Generic netlink, where families have numbers of their own; for driver.py and linkspeed.py."""

from __future__ import annotations

import struct

from pktexp.netlink.rtnetlink import RouteSocket, attribute, attributes

# include/uapi/linux/genetlink.h (5.15).
NETLINK_GENERIC, GENL_ID_CTRL = 16, 16
HEADER = struct.Struct("=BBxx")  # struct genlmsghdr: command, version
CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 3, 1, 2
U16 = struct.Struct("=H")


def question(command: int, asked: bytes = b"") -> bytes:
    """The body of a message of any family; `asked`: its attributes."""
    return HEADER.pack(command, 1) + asked


def answered(body: bytes) -> dict[int, bytes]:
    """The attributes of the body of an answer."""
    return attributes(body, HEADER.size)


def family(netlink: RouteSocket, name: bytes) -> int:
    """The number under which a family is asked, while the kernel runs; OSError if there is none."""
    asked = question(CTRL_CMD_GETFAMILY, attribute(CTRL_ATTR_FAMILY_NAME, name + b"\0"))
    (number,) = U16.unpack(answered(netlink.ask(GENL_ID_CTRL, asked))[CTRL_ATTR_FAMILY_ID])
    return int(number)
