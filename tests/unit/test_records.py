"""The numpy types of records, and the labels of what they count."""

from __future__ import annotations

from pktexp.packet import labels, records
from pktexp.packet.enums import PacketClass


def test_flow_key_is_the_beginning_of_a_flow_record() -> None:
    for name in records.FLOW_KEY.names or ():
        if name != "_rest":
            assert records.FLOW_KEY.fields[name][:2] == records.FLOW_RECORD.fields[name][:2]  # type: ignore[index]


def test_ring_record_takes_64_bytes() -> None:
    assert records.RING_RECORD.itemsize == 64  # a cache line, as every byte costs memory and time


def test_every_counter_has_its_own_label() -> None:
    assert sorted(labels.PACKET_CLASSES) == list(range(PacketClass.COUNT))
    assert len(set(labels.PACKET_CLASSES.values())) == PacketClass.COUNT
