"""numpy mirror of bpf/packet.h, held against the object's BTF when it is opened (datapath.py).

A field that is added to packet.h and forgotten here is an error at start that names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from pktexp.bpf.btf import Btf, Field
from pktexp.errors import PktexpError
from pktexp.packet.enums import (
    Direction,
    IcmpType,
    IpClass,
    LinkClass,
    LinkType,
    PacketClass,
    SizeGroup,
    Trait,
    Tunnel,
    Unparsed,
)

Records = npt.NDArray[np.void]
U64 = npt.NDArray[np.uint64]

WORD = 8  # bytes of a word, by which keys are hashed and copied

# Upper bounds of the size buckets in bytes; one more bucket takes what is larger (enum size_bound).
SIZE_BOUNDS = (64, 128, 256, 512, 1024, 1518, 4096, 9216, 16384, 65535)
SIZE_BUCKETS = len(SIZE_BOUNDS) + 1
INTERFACE_WAYS = 4
FLOW_WAYS = 4
HASH_SEEDS = 6

# Flags of TCP by bit (RFC 9293, 3.1; RFC 3168), and combinations of them that are counted as one.
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
        ("_pad", "u1"),
        ("hash_seed", "u8", HASH_SEEDS),
        ("hash_multiplier", "u8"),
    ]
)
EPOCH = np.dtype("u4")
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
    ]
)
# To whom a slot is let (leases.py); not the programs' concern, and kept where they are pinned.
LEASE = np.dtype([("name", "S16"), ("id", "u4"), ("_pad", "u4")])
# Fields that distinguish flows, at the beginning of flow_record. This list alone describes the key:
# hashes, masks and places follow from it. Explicit padding has a name with an underscore in front.
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

# A record as it lies in a ring: the kernel's header (kernel/bpf/ringbuf.c, 5.8), then ours.
RING_RECORD = np.dtype([("header", "u4"), ("page_offset", "u4"), ("flow", FLOW_RECORD)])

STRUCTS = {
    "config": CONFIG,
    "interface_entry": INTERFACE_ENTRY,
    "interface_bucket": INTERFACE_BUCKET,
    "tally": TALLY,
    "interface_counters": INTERFACE_COUNTERS,
    "flow_record": FLOW_RECORD,
    "flow_slot": FLOW_SLOT,
    "flow_set": FLOW_SET,
    "ring_wakeup": RING_WAKEUP,
}


def _enumerators(prefix: str, members: type[IntEnum]) -> dict[str, int]:
    return {f"{prefix}_{m.name}": m.value for m in members}


def _icmp_types() -> dict[str, int]:
    """In C those of ICMPv6 have a prefix of their own."""
    names = {f"ICMP_TYPE_{m.name}": m.value for m in IcmpType}
    return {n.replace("ICMP_TYPE_V6_", "ICMPV6_TYPE_"): value for n, value in names.items()}


ENUMS: dict[str, dict[str, int]] = {
    "link_type": _enumerators("LINK", LinkType),
    "direction": _enumerators("DIRECTION", Direction) | {"DIRECTION_COUNT": len(Direction)},
    "link_class": _enumerators("LINK_CLASS", LinkClass),
    "ip_class": _enumerators("IP_CLASS", IpClass),
    "packet_class": _enumerators("CLASS", PacketClass),
    "size_group": _enumerators("SIZE_GROUP", SizeGroup) | {"SIZE_GROUP_COUNT": len(SizeGroup)},
    "size_bound": {f"SIZE_BOUND_{i}": bound for i, bound in enumerate(SIZE_BOUNDS)},
    "unparsed": _enumerators("UNPARSED", Unparsed) | {"UNPARSED_COUNT": len(Unparsed)},
    "tcp_combination": {f"TCP_COMBINATION_{i}": bits for i, bits in enumerate(TCP_COMBINATIONS)},
    "icmp_type": _icmp_types() | {"ICMP_TYPE_COUNT": len(IcmpType)},
    "trait": _enumerators("TRAIT", Trait) | {"TRAIT_COUNT": len(Trait)},
    "tunnel": _enumerators("TUNNEL", Tunnel) | {"TUNNEL_COUNT": len(Tunnel)},
}
LIMITS = {
    "SIZE_BUCKETS": SIZE_BUCKETS,
    "INTERFACE_WAYS": INTERFACE_WAYS,
    "FLOW_WAYS": FLOW_WAYS,
    "HASH_SEEDS": HASH_SEEDS,
    "TCP_FLAGS": len(TCP_FLAGS),
    "TCP_COMBINATIONS": len(TCP_COMBINATIONS),
}


def mismatches(btf: Btf) -> list[str]:
    """Every difference between this module and the object's BTF, as sentences; [] if they agree."""
    found = []
    for name, dtype in STRUCTS.items():
        size, fields = btf.struct(name)
        found += _differences(f"struct {name}", _layout(dtype), {f.name: f for f in fields})
        if size != dtype.itemsize:
            found.append(f"struct {name}: {size} bytes in the object, {dtype.itemsize} here")
    for name, values in ENUMS.items():
        found += _differences(f"enum {name}", values, btf.enum(name))
    limits = btf.enum("limit")
    found += _differences("enum limit", LIMITS, {k: v for k, v in limits.items() if k in LIMITS})
    return found


def check(btf: Btf) -> None:
    """PktexpError, naming what differs, unless this module and the object's BTF agree."""
    if found := mismatches(btf):
        raise PktexpError(
            f"the BPF object does not fit this pktexp: {'; '.join(found)}",
            "object and package are built together: run 'make -C bpf', or install again",
        )


def _layout(dtype: np.dtype[Any]) -> dict[str, Field]:
    fields: Mapping[str, Any] = dtype.fields or {}
    return {name: Field(name, at[1], at[0].itemsize) for name, at in fields.items()}


def _differences(what: str, here: dict[str, Any], there: dict[str, Any]) -> list[str]:
    names = sorted(here.keys() | there.keys())
    pairs = [(name, here.get(name), there.get(name)) for name in names]
    return [
        f"{what}.{n}: {theirs} in the object, {ours} here"
        for n, ours, theirs in pairs
        if ours != theirs
    ]
