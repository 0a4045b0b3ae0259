"""Frames that fuzz.c kept with their counters, compared with the dissector."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pktexp.packet import labels
from pktexp.packet.enums import LinkType, Trait
from pktexp.packet.records import FLOW_RECORD, INTERFACE_COUNTERS, Records
from support.fuzzing import dissect
from support.fuzzing.dissect import Told

OUTCOMES = (
    *("run", "failed to run", "of a wrong verdict", "miscounted", "told apart by the hooks"),
    "not run by the kernel as a socket buffer",
)
"""enum wrong of testrun.h"""
# What XDP programs read of a frame in several buffers: a page without 256 bytes of headroom and 320
# of struct skb_shared_info (bpf_prog_test_run_xdp in net/bpf/test_run.c, 5.18).
BUFFER = mmap.PAGESIZE - 256 - 320
REFUSED = len(OUTCOMES) - 1
SAMPLE = np.dtype(
    [
        *(("length", "u4"), ("wrong", "u4"), ("segments", "u4"), ("segment_bytes", "u4")),
        *(("counters", INTERFACE_COUNTERS), ("flow", FLOW_RECORD)),
    ]
)


@dataclass(frozen=True)
class Sample:
    """One frame, and the counters and flow record that XDP made of it."""

    frame: bytes
    outcome: str
    seen: Any
    """a SAMPLE"""


def samples(content: bytes) -> Iterator[Sample]:
    """Parse the samples that fuzz.c wrote."""
    at = 0
    while at < len(content):
        seen = np.frombuffer(content, SAMPLE, 1, at)[0]
        start = at + SAMPLE.itemsize
        at = start + int(seen["length"])
        yield Sample(content[start:at], OUTCOMES[seen["wrong"]], seen)


def unlike(sample: Sample, link_type: LinkType, *, decap: bool) -> str:
    """Return the differences between the programs and the dissector; "" if there are none."""
    parse = dissect.ethernet if link_type is LinkType.ETHERNET else dissect.ip
    told, seen = _expected(parse(sample.frame[:BUFFER])), _seen(sample.seen, decap=decap)
    pairs = {key: (seen[key], told[key]) for key in seen if seen[key] != told[key]}
    return f"{sample.frame.hex()}: {pairs}" if pairs else ""


def _expected(told: Told) -> dict[str, Any]:
    return {**vars(told), "class": (told.protocol, told.version)}


def _seen(seen: Any, *, decap: bool) -> dict[str, Any]:
    counters: Records = seen["counters"]
    (packet_class,) = np.flatnonzero(counters["classes"]["packets"]).tolist()
    unparsed = [labels.UNPARSED[i] for i in np.flatnonzero(counters["unparsed"]).tolist()]
    types = [labels.ICMP_TYPES[i][1] for i in np.flatnonzero(counters["icmp_types"]).tolist()]
    found: dict[str, Any] = {
        "class": labels.PACKET_CLASSES[packet_class],
        "traits": {Trait(i).name.lower() for i in np.flatnonzero(counters["traits"]).tolist()},
        "icmp": types[0] if types else "",
    }
    if decap:  # the flow, and maybe the reason, are of what is inside
        return found
    source, dest = labels.addresses(seen["flow"])
    return found | {
        "unparsed": unparsed[0] if unparsed else "",
        "source": source,
        "dest": dest,
        "flags": int(seen["flow"]["tcp_flags"]),
        "ports": tuple(seen["flow"]["ports"].tolist()),
    }
