"""Runs the three programs over one frame by BPF_PROG_TEST_RUN, and reads their counters."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from pktexp.packet import labels
from pktexp.packet.enums import Direction
from pktexp.packet.records import Records
from support.kernel.datapath import SLOT, Bench

XDP_PASS, NEXT = 2, -1
XDP, INGRESS, EGRESS = "count_xdp", "count_ingress", "count_egress"
VERDICTS = {XDP: XDP_PASS, INGRESS: NEXT, EGRESS: NEXT}
DIRECTIONS = {
    XDP: Direction.INGRESS,
    INGRESS: Direction.INGRESS,
    EGRESS: Direction.EGRESS,
}
ETHERNET = 14
WITH_IP = {b"\x08\x00": ETHERNET + 20, b"\x86\xdd": ETHERNET + 40}
SK_BUFF_BYTES = 192  # struct __sk_buff (include/uapi/linux/bpf.h, 5.18)
GSO_SEGS, GSO_SIZE = 164, 176


@dataclass(frozen=True)
class Seen:
    """The verdict of a program for a frame, and what it counted."""

    packets: int
    bytes: int
    protocols: tuple[tuple[str, str], ...]
    """(protocol, IP version)"""
    unparsed: dict[str, int]
    tunnels: dict[str, int]
    flows: list[tuple[str, str, str, int, int]]
    """protocol, source, dest, packets, bytes"""


def look(bench: Bench, frame: bytes, program: str, context: bytes = b"") -> Seen:
    """Clear the counters, run a program that has no flow cache, and read them."""
    bench.counters.restart(SLOT)
    direction = DIRECTIONS[program]
    assert bench.datapath.test_run(frame, program=program, context=context) == VERDICTS[program]
    traffic = bench.traffic(direction)
    events = bench.events()
    assert all(event["direction"] == direction for event in events)
    return Seen(
        sum(packets for packets, _ in traffic.values()),
        sum(bytes_ for _, bytes_ in traffic.values()),
        tuple(traffic),
        bench.unparsed(direction),
        tunnels(bench.totals(direction)),
        [flow(event) for event in events],
    )


def shortest(program: str, frame: bytes) -> int:
    """Return the bytes that a test run needs; for socket buffers Linux 6.18 reads the IP header."""
    return ETHERNET if program == XDP else WITH_IP.get(frame[12:14], ETHERNET)


def tunnels(totals: Records) -> dict[str, int]:
    """Return packets by kind of tunnel."""
    counts = totals[0]["tunnels"]
    return {labels.TUNNELS[t]: int(counts[t]) for t in labels.TUNNELS if counts[t]}


def flow(record: np.void) -> tuple[str, str, str, int, int]:
    """Return labels and sums of a flow; assert that nothing else distinguishes its key."""
    protocol, _ = labels.PACKET_CLASSES[int(record["packet_class"])]
    used = len(labels.addresses(record)[0])
    mark = protocol == "arp" and not used
    assert record["saddr"][used:].tolist() == [int(mark and at == 8) for at in range(used, 16)]
    assert not record["daddr"][used:].any()
    return protocol, *labels.endpoints(record), int(record["packets"]), int(record["bytes"])


def large(segments: int, size: int) -> bytes:
    """Return the context of a socket buffer that stands for so many packets of so much payload."""
    context = bytearray(SK_BUFF_BYTES)
    struct.pack_into("=I", context, GSO_SEGS, segments)
    struct.pack_into("=I", context, GSO_SIZE, size)
    return bytes(context)
