"""Encode and decode netlink messages, and exchange them with the kernel over a blocking socket."""

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
STATUS = struct.Struct("=i")  # result of a request or a dump: 0 or a negative errno
SOL_NETLINK, NETLINK_GET_STRICT_CHK = 270, 12  # include/uapi/linux/netlink.h (4.20)

BUFFER = 1 << 16  # bytes of one read; the kernel's dumps come in chunks of at most 32 KiB
TIMEOUT = 5.0  # seconds; the kernel replies at once, unless another process holds the RTNL lock


def request(kind: int, flags: int, body: bytes) -> bytes:
    """Return a request of the given message type, with its header."""
    return HEADER.pack(HEADER.size + len(body), kind, flags | NLM_F_REQUEST, 1, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the type, flags and body of each message in a datagram."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, _, _ = HEADER.unpack_from(data, offset)
        yield kind, flags, data[offset + HEADER.size : offset + length]
        offset += (max(length, HEADER.size) + 3) & ~3


def attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """Return the values of the attributes in `body` from `offset` on, by type.

    `body` may also be the value of an attribute that nests others.
    """
    found = {}
    while offset + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        found[kind & TYPE_MASK] = body[offset + ATTRIBUTE.size : offset + length]
        offset += (max(length, ATTRIBUTE.size) + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """Return one encoded attribute; the value may itself be encoded attributes."""
    head = ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind)
    return head + value + bytes(-len(value) % 4)


class NetlinkSocket:
    """Send one request at a time and wait for its reply.

    Every method raises OSError with the kernel's errno, and TimeoutError after TIMEOUT. A late
    reply would be taken for that of the next request, so close the socket after a timeout.
    """

    def __init__(self, protocol: int = socket.NETLINK_ROUTE, strict: bool = False) -> None:
        """Open a socket; with `strict` the kernel validates and applies the filters of a dump."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.settimeout(TIMEOUT)
        if strict:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)

    def __enter__(self) -> NetlinkSocket:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def ask(self, kind: int, body: bytes, flags: int = 0) -> bytes:
        """Send a request and return the body of its single reply."""
        self._socket.send(request(kind, flags, body))
        reply, _, content = next(messages(self._socket.recv(BUFFER)))
        if reply == NLMSG_ERROR:
            _check(content)
        return content

    def change(self, kind: int, flags: int, body: bytes) -> None:
        """Send a request that changes something and wait for the acknowledgement."""
        self.ask(kind, body, flags | NLM_F_ACK)

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Request a dump and return the bodies of all its messages."""
        self._socket.send(request(kind, NLM_F_DUMP, body))
        bodies: list[bytes] = []
        while True:
            for reply, _, content in messages(self._socket.recv(BUFFER)):
                if reply in (NLMSG_DONE, NLMSG_ERROR):
                    _check(content)
                    return bodies
                bodies.append(content)


def _check(body: bytes) -> None:
    (status,) = STATUS.unpack_from(body)
    if status:
        raise OSError(-status, os.strerror(-status))
