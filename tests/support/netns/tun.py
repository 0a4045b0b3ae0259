"""A tun device: its interface receives what is written to its file descriptor."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from support.netns.namespace import Namespace

DEVICE = Path("/dev/net/tun")
IFF_TUN, IFF_NO_PI, TUNSETIFF = 0x0001, 0x1000, 0x400454CA


@contextlib.contextmanager
def tun(namespace: Namespace, name: str) -> Iterator[int]:
    """Yield the file descriptor; the interface is up, and frames have no packet information."""
    if not DEVICE.exists():
        DEVICE.parent.mkdir(exist_ok=True)
        os.mknod(DEVICE, 0o20666, os.makedev(10, 200))
    with namespace.entered():
        fd = os.open(DEVICE, os.O_RDWR)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        namespace.ip("link", "set", name, "up")
        yield fd
    finally:
        os.close(fd)
