"""BPF links as another program of root's sees them, which may detach them."""

from __future__ import annotations

import ctypes as c
import os
import socket
from collections.abc import Iterator

from pktexp.bpf import libbpf
from pktexp.bpf.pinnedlinks import link_info
from support.netns.namespace import Namespace


def detach(namespace: Namespace, interface: str) -> int:
    """Detach every link of an interface; return how many there were."""
    with namespace.entered():
        ifindex = socket.if_nametoindex(interface)
    lib = libbpf.find()
    dll = c.CDLL(lib.path)
    # Listed first: who lost one may have made another by the time that the next is looked at.
    every = list(_links(dll))
    found = [fd for fd in every if link_info(lib, fd).ifindex == ifindex]
    for fd in found:
        assert dll.bpf_link_detach(fd) == 0
    for fd in every:
        os.close(fd)
    return len(found)


def _links(dll: c.CDLL) -> Iterator[int]:
    number = c.c_uint32(0)
    while dll.bpf_link_get_next_id(number, c.byref(number)) == 0:
        if (fd := dll.bpf_link_get_fd_by_id(number)) >= 0:
            yield fd
