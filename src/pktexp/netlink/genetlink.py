"""Encode and decode generic netlink messages, and look up the numbers of their families."""

from __future__ import annotations

import struct

from pktexp.netlink.rtnetlink import NetlinkSocket, attribute, attributes

# include/uapi/linux/genetlink.h (5.15).
NETLINK_GENERIC, GENL_ID_CTRL = 16, 16
HEADER = struct.Struct("=BBxx")  # struct genlmsghdr: command, version
CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 3, 1, 2
U16 = struct.Struct("=H")


def encode(command: int, encoded: bytes = b"") -> bytes:
    """Return the body of a request for any family; `encoded` has its attributes."""
    return HEADER.pack(command, 1) + encoded


def decode(body: bytes) -> dict[int, bytes]:
    """Return the attributes of a reply's body, by type."""
    return attributes(body, HEADER.size)


def family(netlink: NetlinkSocket, name: bytes) -> int:
    """Return the message type that the kernel assigned to a family; OSError if it has none."""
    body = encode(CTRL_CMD_GETFAMILY, attribute(CTRL_ATTR_FAMILY_NAME, name + b"\0"))
    (number,) = U16.unpack(decode(netlink.ask(GENL_ID_CTRL, body))[CTRL_ATTR_FAMILY_ID])
    return int(number)
