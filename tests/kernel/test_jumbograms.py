"""Large segments with the option for jumbograms (RFC 2675), of which BIG TCP makes use."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet6 import IPv6ExtHdrHopByHop

from support.kernel.datapath import Bench
from support.kernel.programs import EGRESS, INGRESS, large, look
from support.packets.encapsulations import ETHER, V6


@pytest.mark.parametrize("program", [INGRESS, EGRESS])
def test_one_without_a_transport_header_has_no_fewer_bytes_than_its_buffer(
    bench: Callable[..., Bench], program: str
) -> None:
    packet = ETHER / V6 / IPv6ExtHdrHopByHop(nh=99) / (b"x" * 200)
    frame = bytearray(bytes(packet))
    frame[18:20] = bytes(2)  # of no length, as BIG TCP has it
    seen = look(bench(), bytes(frame), program, large(50, 1400))
    assert (seen.packets, seen.bytes) == (50, len(frame))
