"""The structs of bpf/packet.h as numpy types, and the numbers that both sides agree on.

bpf/layout.py compares them with the BPF object's BTF before it is loaded: a field that is added to
packet.h and forgotten here is an error at start that names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pktexp.packet.enums import IcmpType, PacketClass, SizeGroup, Trait, Tunnel, Unparsed

Records = npt.NDArray[np.void]
U64 = npt.NDArray[np.uint64]

WORD = 8  # bytes of a word, by which keys are hashed and copied

# Upper bounds of the size buckets in bytes (enum size_bound); one more bucket counts the rest.
SIZE_BOUNDS = (64, 128, 256, 512, 1024, 1518, 4096, 9216, 16384, 65535)
SIZE_BUCKETS = len(SIZE_BOUNDS) + 1
INTERFACE_WAYS = 4
CHUNK_SLOTS = 8
FLOW_WAYS = 4
HASH_SEEDS = 6
ARP_WITHOUT_ADDRESSES = 1  # in the upper half of the source of a flow of ARP

# TCP flags by bit (RFC 9293, 3.1; RFC 3168), and combinations of them that have a counter each.
TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
TCP_COMBINATIONS = (0x10, 0x18, 0x02, 0x12, 0x11, 0x19, 0x04, 0x14, 0x50, 0x90, 0xC2, 0x52)

CONFIG = np.dtype(
    [
        ("counter_rows", "u4"),
        ("slots", "u4"),
        ("rings", "u4"),
        ("wakeup_bytes", "u4"),
        ("flow_sets", "u4"),
        ("decap", "u4"),
        ("ephemeral", "u2", 2),
        ("events", "u1"),
        ("ports", "u1"),
        ("services", "u1"),
        ("read_kernel", "u1"),
        ("wire_lengths", "u1"),
        ("_pad", "u1", 7),
        ("hash_seed", "u8", HASH_SEEDS),
        ("hash_multiplier", "u8"),
    ]
)
EPOCH = np.dtype("u4")
IFBS = np.dtype("u8")
INTERFACE_ENTRY = np.dtype([("ifindex", "u4"), ("id", "u4"), ("link_type", "u4")])
INTERFACE_BUCKET = np.dtype([("ways", INTERFACE_ENTRY, INTERFACE_WAYS)])
TALLY = np.dtype([("packets", "u8"), ("bytes", "u8")])
INTERFACE_COUNTERS = np.dtype(
    [
        ("classes", TALLY, PacketClass.COUNT),
        ("sizes", "u8", len(SizeGroup) * SIZE_BUCKETS),
        ("unparsed", "u8", len(Unparsed)),
        ("tcp_combinations", "u8", len(TCP_COMBINATIONS)),
        ("tcp_flags", "u8", len(TCP_FLAGS)),
        ("icmp_types", "u8", len(IcmpType)),
        ("traits", "u8", len(Trait)),
        ("tunnels", "u8", len(Tunnel)),
        ("lost", TALLY),
        ("marks", "u8"),
    ]
)
# The interface that a slot is leased to.
LEASE = np.dtype([("name", "S16"), ("id", "u4"), ("_pad", "u4")])

# Fields that distinguish flows, at the beginning of flow_record. This list alone describes the key:
# masks and positions follow from it. Names of padding start with an underscore. The programs hash
# and compare the same fields (bpf/flowcache.h).
KEY_FIELDS: list[tuple[Any, ...]] = [
    ("saddr", "u1", 16),
    ("daddr", "u1", 16),
    ("interface", "u4"),
    ("ports", ">u2", 2),  # source, dest
    ("packet_class", "u1"),
    ("direction", "u1"),
]
SUM_FIELDS = [("tcp_flags", "u1"), ("_pad", "u1"), ("packets", "u4"), ("bytes", "u8")]
FLOW_RECORD = np.dtype([*KEY_FIELDS, *SUM_FIELDS])
FLOW_SLOT = np.dtype([("flow", FLOW_RECORD), ("_pad", "u8")])
FLOW_SET = np.dtype([("ways", FLOW_SLOT, FLOW_WAYS)])


def flow_key(fields: Sequence[tuple[Any, ...]]) -> np.dtype[Any]:
    """Return the type of a key of these fields, padded to whole words."""
    return np.dtype([*fields, ("_rest", "u1", -np.dtype([*fields]).itemsize % WORD)])


FLOW_KEY = flow_key(KEY_FIELDS)
RING_WAKEUP = np.dtype([("armed", "u4"), ("_pad", "u4", 15)])

CACHE_MISSES = np.dtype([("packets", "u8"), ("_pad", "u8", 7)])

# A record in a ring buffer: the kernel's header (kernel/bpf/ringbuf.c, 5.8), then a flow record.
RING_RECORD = np.dtype([("header", "u4"), ("page_offset", "u4"), ("flow", FLOW_RECORD)])
