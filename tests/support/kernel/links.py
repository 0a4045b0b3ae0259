"""BPF links as another program of root's sees them, which may detach them."""

from __future__ import annotations

import contextlib
import ctypes as c
import os
import socket
from collections.abc import Iterator

from pktexp.bpf import libbpf
from pktexp.bpf.pinnedlinks import link_info
from pktexp.netlink.links import xdp_programs
from support.kernel.features import MULTI_BUFFER_XDP
from support.netns.namespace import Namespace

PROGRAM_XDP = 6  # BPF_PROG_TYPE_XDP (include/uapi/linux/bpf.h, 5.15)
ATTACH_XDP, XDP_HAS_FRAGS = 37, 1 << 5
PASS = bytes.fromhex("b700000002000000 9500000000000000")  # r0 = XDP_PASS; exit


class LoadOpts(c.Structure):
    """struct bpf_prog_load_opts (libbpf 1.0), up to the last field used here."""

    _fields_ = (
        ("sz", c.c_size_t),
        ("attempts", c.c_int),
        ("attach_type", c.c_int),
        ("btf_fd", c.c_uint32),
        ("flags", c.c_uint32),
    )


def detach(namespace: Namespace, interface: str) -> int:
    """Detach every link of an interface; return how many there were."""
    with _links(namespace, interface) as (dll, found):
        for fd in found:
            assert dll.bpf_link_detach(fd) == 0
        return len(found)


def silence_xdp(namespace: Namespace, interface: str) -> None:
    """Exchange the program of an interface's XDP link for one that only passes packets on."""
    lib = libbpf.find()
    # The kernel exchanges only programs of the same kind.
    frags = XDP_HAS_FRAGS if MULTI_BUFFER_XDP else 0
    options = LoadOpts(c.sizeof(LoadOpts), attach_type=ATTACH_XDP, flags=frags)
    arguments = (PROGRAM_XDP, b"pass", b"GPL", PASS, len(PASS) // 8, c.byref(options))
    program = lib("load a program", "bpf_prog_load", *arguments)
    with namespace.entered():
        ids = xdp_programs(socket.if_nametoindex(interface))
    with _links(namespace, interface) as (_, found):
        # Other namespaces may have an interface of the same ifindex, with links of its own.
        (link,) = [fd for fd in found if link_info(lib, fd).program in ids]
        lib("exchange the program of a link", "bpf_link_update", link, program, None)
    os.close(program)


@contextlib.contextmanager
def _links(namespace: Namespace, interface: str) -> Iterator[tuple[c.CDLL, list[int]]]:
    """Yield libbpf, and the descriptors of all links of an ifindex."""
    with namespace.entered():
        ifindex = socket.if_nametoindex(interface)
    lib = libbpf.find()
    dll = c.CDLL(lib.path)
    # Listed first: who lost one may have made another by the time that the next is looked at.
    every = list(_descriptors(dll))
    try:
        yield dll, [fd for fd in every if link_info(lib, fd).ifindex == ifindex]
    finally:
        for fd in every:
            os.close(fd)


def _descriptors(dll: c.CDLL) -> Iterator[int]:
    number = c.c_uint32(0)
    while dll.bpf_link_get_next_id(number, c.byref(number)) == 0:
        if (fd := dll.bpf_link_get_fd_by_id(number)) >= 0:
            yield fd
