"""What all of rtnetlink's messages have in common, and a socket to ask it on.

For links.py, which follows what is told unasked; linkinfo.py and linkstats.py, which read messages;
nsids.py; nsaddresses.py; clsact.py; and genetlink.py, which is another of netlink's protocols.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from types import TracebackType

# include/uapi/linux/netlink.h (6.1).
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x4, 0x10, 0x100 | 0x200

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
TYPE_MASK = 0x3FFF  # NLA_TYPE_MASK: without the flags "nested" and "network byte order"
STATUS = struct.Struct("=i")  # how a dump ended, or what was wrong: 0 or a negative errno
SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12  # include/uapi/linux/netlink.h (4.20)

BUFFER = 1 << 16  # bytes of one read; the kernel's dumps come in chunks of at most 32 KiB
TIMEOUT = 5.0  # seconds; the kernel answers at once, unless somebody holds its lock on all links


def request(kind: int, flags: int, body: bytes) -> bytes:
    """A message to the kernel."""
    return HEADER.pack(HEADER.size + len(body), kind, flags | NLM_F_REQUEST, 1, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and body of each message in a datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, _, _ = HEADER.unpack_from(data, offset)
        yield kind, flags, data[offset + HEADER.size : offset + length]
        offset += (max(length, HEADER.size) + 3) & ~3


def attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """The attributes of a body, or of an attribute that nests others, from `offset` on."""
    found = {}
    while offset + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        found[kind & TYPE_MASK] = body[offset + ATTRIBUTE.size : offset + length]
        offset += (max(length, ATTRIBUTE.size) + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute; a value may be attributes itself."""
    head = ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind)
    return head + value + bytes(-len(value) % 4)


class RouteSocket:
    """Asks one question after another; all raise OSError, with the kernel's own errno."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE, strict: bool = False) -> None:
        """`strict`: the kernel looks at what else a question for a listing says."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.settimeout(TIMEOUT)
        if strict:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)

    def __enter__(self) -> RouteSocket:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def ask(self, kind: int, body: bytes, flags: int = 0) -> bytes:
        """The body of the one message that answers."""
        self._socket.send(request(kind, flags, body))
        answer, _, answered = next(messages(self._socket.recv(BUFFER)))
        if answer == NLMSG_ERROR:
            _check(answered)
        return answered

    def change(self, kind: int, flags: int, body: bytes) -> None:
        """Have the kernel change something."""
        self.ask(kind, body, flags | NLM_F_ACK)

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """The bodies of all messages of a listing."""
        self._socket.send(request(kind, NLM_F_DUMP, body))
        bodies: list[bytes] = []
        while True:
            for answer, _, answered in messages(self._socket.recv(BUFFER)):
                if answer in (NLMSG_DONE, NLMSG_ERROR):
                    _check(answered)
                    return bodies
                bodies.append(answered)


def _check(body: bytes) -> None:
    (status,) = STATUS.unpack_from(body)
    if status:
        raise OSError(-status, os.strerror(-status))
