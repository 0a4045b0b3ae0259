"""The numpy types of records, and the labels of what they count."""

from __future__ import annotations

import numpy as np
import pytest

from pktexp.packet import labels, records
from pktexp.packet.enums import IpClass, LinkClass, PacketClass


def test_flow_key_is_the_beginning_of_a_flow_record() -> None:
    for name in records.FLOW_KEY.names or ():
        if name != "_rest":
            assert records.FLOW_KEY.fields[name][:2] == records.FLOW_RECORD.fields[name][:2]  # type: ignore[index]


def test_ring_record_takes_64_bytes() -> None:
    assert records.RING_RECORD.itemsize == 64  # a cache line, as every byte costs memory and time


def test_every_counter_has_its_own_label() -> None:
    assert sorted(labels.PACKET_CLASSES) == list(range(PacketClass.COUNT))
    assert len(set(labels.PACKET_CLASSES.values())) == PacketClass.COUNT


@pytest.mark.parametrize(
    ("packet_class", "mark", "shown"),
    [
        (PacketClass.IPV4 + IpClass.OTHER, 0, "0.0.0.0"),
        (PacketClass.IPV6 + IpClass.OTHER, 0, "::"),
        (PacketClass.IPV6 + IpClass.OTHER, 1, "::100:0:0:0"),
        (PacketClass.LINK + LinkClass.ARP, 0, "0.0.0.0"),
        (PacketClass.LINK + LinkClass.ARP, records.ARP_WITHOUT_ADDRESSES, ""),
        (PacketClass.LINK + LinkClass.OTHER, 0, ""),
    ],
)
def test_address_of_zeros_is_not_a_missing_one(packet_class: int, mark: int, shown: str) -> None:
    key = np.zeros((), records.FLOW_KEY)
    key["packet_class"] = packet_class
    key["saddr"].view(np.uint64)[1] = mark
    assert labels.endpoints(key)[0] == shown
