"""Large segments with the jumbo payload option (RFC 2675), as BIG TCP sends them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet6 import IPv6ExtHdrHopByHop

from support.kernel.datapath import Bench
from support.kernel.programs import EGRESS, INGRESS, large, look
from support.packets.encapsulations import ETHER, V6


@pytest.mark.parametrize("program", [INGRESS, EGRESS])
def test_a_jumbogram_without_transport_header_keeps_its_bytes(
    bench: Callable[..., Bench], program: str
) -> None:
    packet = ETHER / V6 / IPv6ExtHdrHopByHop(nh=99) / (b"x" * 200)
    frame = bytearray(bytes(packet))
    frame[18:20] = bytes(2)  # a payload length of 0, as in BIG TCP
    seen = look(bench(), bytes(frame), program, large(50, 1400))
    assert (seen.packets, seen.bytes) == (50, len(frame))
