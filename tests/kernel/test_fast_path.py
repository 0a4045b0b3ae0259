"""Frames whose length the IP header tells wrongly, padded frames, and frames in several buffers.

The fast path takes a frame's length from its first buffer where the IP header says that nothing
follows it. Sizes are compared with the bytes that were given to the kernel.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable

import pytest
from scapy.layers.inet import TCP, UDP

from support.fuzzing.samples import BUFFER
from support.kernel.datapath import Bench
from support.kernel.features import needs_multi_buffer_xdp
from support.kernel.programs import EGRESS, INGRESS, XDP, look
from support.packets.cases import ETHER, V4, V6

PROGRAMS = (XDP, INGRESS, EGRESS)
ETHERNET, SHORTEST = 14, 60
LENGTH_AT = {"4": ETHERNET + 2, "6": ETHERNET + 4}
HEADER = {"4": 0, "6": 40}
"""bytes of the IP header that its length field leaves out"""
NETWORKS = {"4": V4, "6": V6}
TRANSPORTS = {"tcp": TCP(sport=1, dport=2), "udp": UDP(sport=1, dport=2)}


def frame_of(version: str, protocol: str, size: int, told: int) -> bytes:
    """Return a frame of `size` bytes whose IP header tells of a frame of `told` bytes."""
    frame = bytearray(bytes(ETHER / NETWORKS[version] / TRANSPORTS[protocol]))
    length = told - ETHERNET - HEADER[version]
    struct.pack_into("!H", frame, LENGTH_AT[version], max(length, 0) & 0xFFFF)
    return bytes(frame) + bytes(size - len(frame))


def counted(b: Bench, frame: bytes, program: str) -> tuple[int, tuple[tuple[str, str], ...]]:
    seen = look(b, frame, program)
    assert [flow[3:] for flow in seen.flows] == [(1, seen.bytes)]
    return seen.bytes, seen.protocols


@pytest.mark.parametrize("wrong_by", [-1000, -1, 0, 1, 1000])
def test_bytes_are_the_frames_when_the_ip_header_tells_another_length(
    bench: Callable[..., Bench], wrong_by: int
) -> None:
    b = bench()
    for version, protocol, program in itertools.product(NETWORKS, TRANSPORTS, PROGRAMS):
        for size in (80, 1514):
            frame = frame_of(version, protocol, size, size + wrong_by)
            assert counted(b, frame, program) == (size, ((protocol, version),))


def test_padding_of_a_short_frame_is_included_in_its_bytes(bench: Callable[..., Bench]) -> None:
    b = bench()
    for program, told in itertools.product(PROGRAMS, (42, 43, 59, 60, 61)):
        frame = frame_of("4", "udp", SHORTEST, told)
        assert counted(b, frame, program) == (SHORTEST, (("udp", "4"),))


@needs_multi_buffer_xdp
def test_a_frame_of_several_buffers_counts_whole_whatever_its_header_tells(
    bench: Callable[..., Bench],
) -> None:
    b = bench()
    lengths = (60, 1514, BUFFER - 1, BUFFER + 1, 8999, 9000, 9001)
    for version, told in itertools.product(NETWORKS, lengths):
        frame = frame_of(version, "tcp", 9000, told)
        assert counted(b, frame, XDP) == (9000, (("tcp", version),))


def test_the_shortest_frames_with_ports_or_flags_are_plain(bench: Callable[..., Bench]) -> None:
    b = bench()
    for protocol, cut in (("udp", 38), ("tcp", 48)):
        frame = frame_of("4", protocol, 80, 80)[:cut]
        seen = look(b, frame, XDP)
        assert (seen.protocols, seen.unparsed) == (((protocol, "4"),), {})
    short = look(b, frame_of("4", "tcp", 80, 80)[:47], XDP)
    assert short.unparsed == {"truncated_transport": 1}
