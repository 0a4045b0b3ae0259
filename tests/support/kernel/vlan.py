"""Puts VLAN tags on the packets that an interface sends, beside the frame as a VLAN device does.

It needs no VLAN device: a TCX program runs before all others and calls bpf_skb_vlan_push. A second
tag moves the first into the frame.
"""

from __future__ import annotations

import contextlib
import ctypes as c
import os
import socket
import struct
from collections.abc import Iterator

from pktexp.bpf import libbpf
from pktexp.bpf.hooks import BPF_F_BEFORE
from pktexp.bpf.libbpf import LinkCreateOpts
from pktexp.bpf.probes import TCX_EGRESS
from support.netns.namespace import Namespace

PROGRAM_SCHED_CLS, SKB_VLAN_PUSH = 3, 18  # include/uapi/linux/bpf.h (5.15)
PRIORITY = 1 << 13  # a tag with a priority and no VLAN, which a receiver without VLANs accepts
PROTOCOLS = (0x88A8, 0x8100)  # from the outermost tag; a single one is 802.1Q
TAG_BYTES = 4


@contextlib.contextmanager
def tagging(namespace: Namespace, interface: str, tags: int) -> Iterator[None]:
    """Put one or two tags on each packet that is sent while the context is open."""
    lib = libbpf.find()
    code = _program(tags)
    arguments = (PROGRAM_SCHED_CLS, b"tag", b"GPL", code, len(code) // 8, None)
    program = lib("load a program", "bpf_prog_load", *arguments)
    options = LinkCreateOpts(sz=c.sizeof(LinkCreateOpts), flags=BPF_F_BEFORE)
    with namespace.entered():
        ifindex = socket.if_nametoindex(interface)
        place = (program, ifindex, TCX_EGRESS, c.byref(options))
        link = lib("attach a program", "bpf_link_create", *place)
    try:
        yield
    finally:
        os.close(link)
        os.close(program)


def _program(tags: int) -> bytes:
    """Return BPF instructions: push tags, the innermost first; pass the packet on."""
    code = [_move_register(6, 1)]
    for protocol in PROTOCOLS[-tags:][::-1]:
        code += [_move_register(1, 6), _move(2, socket.htons(protocol)), _move(3, PRIORITY)]
        code += [struct.pack("=BBhi", 0x85, 0, 0, SKB_VLAN_PUSH)]
    return b"".join([*code, _move(0, -1), struct.pack("=BBhi", 0x95, 0, 0, 0)])


def _move(register: int, value: int) -> bytes:
    return struct.pack("=BBhi", 0xB7, register, 0, value)


def _move_register(to: int, source: int) -> bytes:
    return struct.pack("=BBhi", 0xBF, source << 4 | to, 0, 0)
