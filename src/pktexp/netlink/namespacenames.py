"""Read the names of the network namespaces at the other end of links, as `ip netns` lists them.

A link carries this namespace's id for the other one (IFLA_LINK_NETNSID). For an open file of
/run/netns, the kernel returns the id of that namespace. No namespace is entered.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Set
from pathlib import Path

from pktexp.netlink.rtnetlink import NetlinkSocket, attributes

RTM_GETNSID = 90  # include/uapi/linux/rtnetlink.h (6.1)
FOLDER = Path("/run/netns")
FAMILY_SIZE = 4  # of struct rtgenmsg, padded
REQUEST = struct.Struct("=BxxxHHi")  # struct rtgenmsg, then an attribute with a file descriptor
FD_ATTRIBUTE_SIZE = REQUEST.size - FAMILY_SIZE
NUMBER = struct.Struct("=i")
NSID, FD, NOT_ASSIGNED = 1, 3, -1  # NETNSA_…, include/uapi/linux/net_namespace.h (6.1)
SETTLED = 2.0  # seconds, more than a tick of any file system's clock


class NamespaceNames:
    """Cache the names until the folder or the set of ids changes.

    So a scrape costs one stat(2), and opens the files only after a name, or a link with another
    id, has appeared or disappeared.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._cache_key: tuple[float, Set[int]] | None = None
        self._names: dict[int, str] = {}

    def of(self, ids: Set[int]) -> dict[int, str]:
        """Return names by namespace id, for `ids` that have one. Raises OSError if netlink refuses.

        The result may have names for other ids too.
        """
        try:
            changed = self._folder.stat().st_mtime
        except OSError:
            return {}
        if self._cache_key != (changed, ids):
            self._names = _read(self._folder) if ids else {}
            # A name is a file first, and a namespace is mounted on it a moment later; another name
            # may appear within the same tick of the folder's clock.
            settled = time.time() - changed > SETTLED
            self._cache_key = (changed, ids) if settled else None
        return self._names


def _read(folder: Path) -> dict[int, str]:
    """Return all names by id; of two names for one namespace the first in alphabetical order."""
    names = {}
    with NetlinkSocket() as route:
        for path in sorted(folder.iterdir(), reverse=True):
            names[_id(route, path)] = os.fsencode(path.name).decode(errors="backslashreplace")
    names.pop(NOT_ASSIGNED, None)
    return names


def _id(route: NetlinkSocket, path: Path) -> int:
    """Return this namespace's id for the namespace at `path`; NOT_ASSIGNED if there is none."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return NOT_ASSIGNED  # removed meanwhile
    try:
        reply = route.ask(RTM_GETNSID, REQUEST.pack(socket.AF_UNSPEC, FD_ATTRIBUTE_SIZE, FD, fd))
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file on which no namespace is mounted
            raise
        return NOT_ASSIGNED
    finally:
        os.close(fd)
    (found,) = NUMBER.unpack(attributes(reply, FAMILY_SIZE)[NSID])
    return int(found)
