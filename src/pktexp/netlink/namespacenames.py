"""Names of the network namespaces that links lead to, as `ip netns` lists them; for infometrics.py.

A link's message has this namespace's number for the other one (IFLA_LINK_NETNSID); asked about an
open file of /run/netns, the kernel tells the number of that namespace. None is entered.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Set
from pathlib import Path

from pktexp.netlink.rtnetlink import RouteSocket, attributes

RTM_GETNSID = 90  # include/uapi/linux/rtnetlink.h (6.1)
FOLDER = Path("/run/netns")
FAMILY_SIZE = 4  # of struct rtgenmsg, padded
QUESTION = struct.Struct("=BxxxHHi")  # struct rtgenmsg, and an attribute that says which file
QUESTION_SIZE = QUESTION.size - FAMILY_SIZE
NUMBER = struct.Struct("=i")
NSID, FD, NOT_ASSIGNED = 1, 3, -1  # NETNSA_…, include/uapi/linux/net_namespace.h (6.1)
SETTLED = 2.0  # seconds, more than a tick of any file system's clock


class NamespaceNames:
    """Keeps what it has learnt for as long as the folder and the ids stay as they are.

    So a scrape costs one stat(2), and a look at every file only after a link with another id, or a
    name, has come or gone.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._known: tuple[float, Set[int]] | None = None
        self._names: dict[int, str] = {}

    def of(self, ids: Set[int]) -> dict[int, str]:
        """Names by id, of those `ids` that have one; OSError if netlink cannot be asked."""
        try:
            changed = self._folder.stat().st_mtime
        except OSError:
            return {}
        if self._known != (changed, ids):
            self._names = _ask(self._folder) if ids else {}
            # A name is a file first, and a namespace is mounted on it a moment later; another may
            # come within the same tick of the folder's clock.
            settled = time.time() - changed > SETTLED
            self._known = (changed, ids) if settled else None
        return self._names


def _ask(folder: Path) -> dict[int, str]:
    """Every name by its id; of two names for one namespace the first in order."""
    names = {}
    with RouteSocket() as route:
        for path in sorted(folder.iterdir(), reverse=True):
            names[_id(route, path)] = os.fsencode(path.name).decode(errors="backslashreplace")
    names.pop(NOT_ASSIGNED, None)
    return names


def _id(route: RouteSocket, path: Path) -> int:
    """This namespace's id for the one at `path`; NOT_ASSIGNED also if there is none at all."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return NOT_ASSIGNED  # gone by now
    try:
        answer = route.ask(RTM_GETNSID, QUESTION.pack(socket.AF_UNSPEC, QUESTION_SIZE, FD, fd))
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file on which no namespace is mounted
            raise
        return NOT_ASSIGNED
    finally:
        os.close(fd)
    (found,) = NUMBER.unpack(attributes(answer, FAMILY_SIZE)[NSID])
    return int(found)
