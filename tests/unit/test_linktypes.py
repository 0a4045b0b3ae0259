"""Link types: every header that leads to Ethernet or IP becomes the same Ethernet frame."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import ARP, Dot1Q
from scapy.packet import Packet as Layers

from pktexp.commands.replay import linktypes
from pktexp.commands.replay.linknames import NAMES
from pktexp.commands.replay.linktypes import LINK_TYPES
from pktexp.commands.replay.packets import Packet, Record
from pktexp.packet.enums import LinkType
from support.packets.encapsulations import ETHER, V4, V6
from support.packets.linktypes import (
    BROADCAST,
    BUILDERS,
    HOST,
    MULTICAST,
    OUTGOING,
    UNKNOWN_TO_TSHARK,
    Builder,
    cooked,
    cooked2,
)

PAYLOADS = [(0x0800, bytes(V4 / TCP())), (0x86DD, bytes(V6 / TCP())), (0x0806, bytes(ARP()))]
ALL = [
    (number, builder)
    for number, builders in itertools.chain(BUILDERS.items(), UNKNOWN_TO_TSHARK.items())
    for builder in builders
]
CUT = b"\x81\x00"  # a type of a VLAN tag, without the tag


def read(number: int, data: bytes, length: int = 0) -> Packet:
    return linktypes.packet(Record(data, length or len(data), number))


@pytest.mark.parametrize(("number", "builder"), ALL, ids=[str(number) for number, _ in ALL])
def test_record_becomes_an_ethernet_frame_of_its_length(number: int, builder: Builder) -> None:
    records = [(kind, payload, builder(kind, payload)) for kind, payload in PAYLOADS]
    found = [each for each in records if each[2] is not None]
    assert found
    for ethertype, payload, record in found:
        assert record is not None
        frame = bytes(12) + ethertype.to_bytes(2) + payload
        assert read(number, record).data[: len(frame)] == frame
        direction = number in (204, 205)
        assert read(number, record).length == len(record) - direction
        assert read(number, record, 9999).length == 9999 - direction


@pytest.mark.parametrize(("number", "builder"), ALL, ids=[str(number) for number, _ in ALL])
def test_record_cut_at_any_byte_is_read(number: int, builder: Builder) -> None:
    for ethertype, payload in PAYLOADS:
        whole = builder(ethertype, payload) or b""
        for size in range(len(whole)):
            packet = read(number, whole[:size], len(whole))
            assert packet.length == len(whole) - (number in (204, 205))
            assert not packet.left_out
            kept = packet.data[14:]
            assert payload.startswith(kept) or packet.link_type is LinkType.IP


def test_every_link_type_that_is_read_is_tested() -> None:
    assert LINK_TYPES.keys() == {1, 51} | BUILDERS.keys() | UNKNOWN_TO_TSHARK.keys()
    assert not LINK_TYPES.keys() & NAMES.keys()


def test_ethernet_frame_cut_in_its_header_is_cut() -> None:
    whole = bytes(ETHER / V4)
    assert read(1, whole).data == whole
    assert [read(1, whole[:size], 60).data[12:] for size in range(14)] == [CUT] * 14


def test_pppoe_session_is_an_ethernet_frame() -> None:
    session = b"\x11\0\0\1\0\x16\0\x21" + bytes(V4)
    assert read(51, session).data[12:] == b"\x88\x64" + session


@pytest.mark.parametrize("build", [cooked, cooked2])
@pytest.mark.parametrize(
    ("kind", "dest"),
    [
        (HOST, bytes(6)),
        (OUTGOING, bytes(6)),
        (BROADCAST, b"\xff" * 6),
        (MULTICAST, b"\1" + bytes(5)),
    ],
)
def test_cooked_packet_keeps_its_cast(build: Callable[..., bytes], kind: int, dest: bytes) -> None:
    number = 113 if build is cooked else 276
    assert read(number, build(0x0800, bytes(V4), kind)).data[:6] == dest


@pytest.mark.parametrize(("build", "number"), [(cooked, 113), (cooked2, 276)])
@pytest.mark.parametrize(("protocol", "device"), [(0, 824), (0x0800, 803), (0x000C, 280)])
def test_cooked_packet_without_ethertype_is_opaque(
    build: Callable[..., bytes], number: int, protocol: int, device: int
) -> None:
    record = build(protocol, bytes(V4), HOST, device)
    assert read(number, record).link_type is LinkType.OPAQUE


@pytest.mark.parametrize(("build", "number"), [(cooked, 113), (cooked2, 276)])
@pytest.mark.parametrize(
    ("ethertype", "inside"), [(0x8100, Dot1Q(vlan=7, type=0x0800) / V4), (4, V4)]
)
def test_cooked_packet_has_tags_and_llc(
    build: Callable[..., bytes], number: int, ethertype: int, inside: Layers
) -> None:
    record = build(ethertype, bytes(inside))
    assert read(number, record).data[12:] == ethertype.to_bytes(2) + bytes(inside)


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (0, b"\7\0\0\0" + bytes(20)),
        (9, b"\xff\x03\xc0\x21\1\1\0\4"),
        (50, b"\xc0\x21\1\1\0\4"),
        (239, b"\7\0\0\0" + b"\x18\0\x09\0" + bytes(20)),
    ],
    ids=["family", "lcp", "lcp without framing", "bridge"],
)
def test_other_protocols_are_opaque(number: int, data: bytes) -> None:
    assert read(number, data) == Packet(b"", len(data), LinkType.OPAQUE)


def test_raw_packet_of_no_version_is_not_ip() -> None:
    assert read(101, b"\xf0" + bytes(20)).link_type is LinkType.IP


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (105, "LINKTYPE_IEEE802_11 (105)"),
        (127, "LINKTYPE_IEEE802_11_RADIOTAP (127)"),
        (192, "LINKTYPE_PPI (192)"),
        (147, "147"),
        (65535, "65535"),
    ],
)
def test_other_link_types_are_left_out_by_name(number: int, name: str) -> None:
    packet = read(number, bytes(V4), 100)
    assert packet.left_out == f"link type {name} is not supported"
