"""Compare the Python mirrors of shared structs and enums with the BTF of a BPF object.

The programs and Python read the same memory, so a field that one side has and the other lacks
would be read as another. The check runs before an object is loaded and names each difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np

from pktexp.bpf.btf import Btf, Field
from pktexp.bpf.object import REBUILD
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
from pktexp.packet.records import (
    ARP_WITHOUT_ADDRESSES,
    CACHE_MISSES,
    CHUNK_SLOTS,
    CONFIG,
    FLOW_RECORD,
    FLOW_SET,
    FLOW_SLOT,
    FLOW_WAYS,
    HASH_SEEDS,
    INTERFACE_BUCKET,
    INTERFACE_COUNTERS,
    INTERFACE_ENTRY,
    INTERFACE_WAYS,
    LEASE,
    RING_WAKEUP,
    SIZE_BOUNDS,
    SIZE_BUCKETS,
    TALLY,
    TCP_COMBINATIONS,
    TCP_FLAGS,
)

STRUCTS = {
    "config": CONFIG,
    "interface_entry": INTERFACE_ENTRY,
    "interface_bucket": INTERFACE_BUCKET,
    "lease": LEASE,
    "tally": TALLY,
    "interface_counters": INTERFACE_COUNTERS,
    "flow_record": FLOW_RECORD,
    "flow_slot": FLOW_SLOT,
    "flow_set": FLOW_SET,
    "cache_misses": CACHE_MISSES,
    "ring_wakeup": RING_WAKEUP,
}


def _enumerators(prefix: str, members: type[IntEnum]) -> dict[str, int]:
    return {f"{prefix}_{m.name}": m.value for m in members}


def _icmp_types() -> dict[str, int]:
    """Return the enumerators of enum icmp_type; those of ICMPv6 have a prefix of their own in C."""
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
    "ARP_WITHOUT_ADDRESSES": ARP_WITHOUT_ADDRESSES,
    "SIZE_BUCKETS": SIZE_BUCKETS,
    "INTERFACE_WAYS": INTERFACE_WAYS,
    "INTERFACE_NAME": LEASE["name"].itemsize,
    "CHUNK_SLOTS": CHUNK_SLOTS,
    "FLOW_WAYS": FLOW_WAYS,
    "HASH_SEEDS": HASH_SEEDS,
    "TCP_FLAGS": len(TCP_FLAGS),
    "TCP_COMBINATIONS": len(TCP_COMBINATIONS),
}


def check(btf: Btf) -> None:
    """Raise PktexpError, naming each difference, unless packet/ and the object's BTF agree."""
    _refuse(mismatches(btf))


def check_structs(btf: Btf, structs: Mapping[str, np.dtype[Any]]) -> None:
    """Raise PktexpError, naming each difference, unless these structs and the BTF agree."""
    _refuse(struct_mismatches(btf, structs))


def mismatches(btf: Btf) -> list[str]:
    """Return every difference between packet/ and the object's BTF, a sentence each."""
    found = struct_mismatches(btf, STRUCTS)
    for name, values in ENUMS.items():
        found += _differences(f"enum {name}", values, btf.enum(name))
    limits = btf.enum("limit")
    shared = {name: value for name, value in limits.items() if name in LIMITS}
    return found + _differences("enum limit", LIMITS, shared)


def struct_mismatches(btf: Btf, structs: Mapping[str, np.dtype[Any]]) -> list[str]:
    """Return every difference between these types, by the structs' names, and the object's BTF."""
    found = []
    for name, dtype in structs.items():
        size, fields = btf.struct(name)
        found += _differences(f"struct {name}", _fields(dtype), {f.name: f for f in fields})
        if size != dtype.itemsize:
            found.append(f"struct {name}: {size} bytes in the object, {dtype.itemsize} here")
    return found


def _refuse(found: list[str]) -> None:
    if found:
        raise PktexpError(f"the BPF object does not fit this pktexp: {'; '.join(found)}", REBUILD)


def _fields(dtype: np.dtype[Any]) -> dict[str, Field]:
    fields: Mapping[str, Any] = dtype.fields or {}
    return {name: Field(name, at[1], at[0].itemsize) for name, at in fields.items()}


def _differences(compared: str, here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    names = sorted(here.keys() | there.keys())
    pairs = [(name, here.get(name), there.get(name)) for name in names]
    return [
        f"{compared}.{name}: {theirs} in the object, {ours} here"
        for name, ours, theirs in pairs
        if ours != theirs
    ]
