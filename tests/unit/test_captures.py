"""Reading captures: every supported format, and malformed files of every kind."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
from pcapng import FileWriter
from pcapng.blocks import EnhancedPacket, InterfaceDescription, SectionHeader

from pktexp.commands.replay.captures import reading
from pktexp.commands.replay.packets import Packet
from pktexp.errors import PktexpError
from pktexp.packet.enums import LinkType
from support.packets.captures import (
    ETHERNET,
    RAW,
    WLAN,
    write_pcap,
    write_pcapng,
    write_records,
)
from support.packets.encapsulations import ETHER, V4, V6, over_ip

FRAMES = [bytes(ETHER / packet) for packet in over_ip(V4)]
WHOLE = [Packet(frame, len(frame), LinkType.ETHERNET) for frame in FRAMES]


def read(path: Path) -> list[Packet]:
    with reading(path) as packets:
        return list(packets)


def read_until_error(path: Path) -> tuple[int, str]:
    """Return the number of packets read, and the error after them."""
    found: list[Packet] = []
    with reading(path) as packets, pytest.raises(PktexpError) as raised:
        found.extend(packets)
    return len(found), str(raised.value)


def refusal(path: Path) -> str:
    with pytest.raises(PktexpError) as raised, reading(path):
        pass
    assert raised.value.hint
    return str(raised.value)


@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
@pytest.mark.parametrize("gz", [False, True])
def test_pcap_is_read_in_every_variant(
    tmp_path: Path, endianness: str, nano: bool, gz: bool
) -> None:
    path = tmp_path / "capture"
    write_pcap(path, FRAMES, endianness=endianness, nano=nano, gz=gz)
    assert read(path) == WHOLE


@pytest.mark.parametrize("order", ["<", ">"])
def test_modified_pcap_is_read(tmp_path: Path, order: str) -> None:
    path = write_records(tmp_path / "capture", ETHERNET, FRAMES, 0xA1B2CD34, order)
    assert read(path) == WHOLE


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("bits", "fcs"),
    [(0x2400_0000, 4), (0x1400_0000, 2), (0x0400_0000, 0), (0x2000_0000, 0), (0x0BFF_0000, 0)],
)
def test_pcap_frames_end_before_their_fcs(tmp_path: Path, order: str, bits: int, fcs: int) -> None:
    frames = [frame + b"\xfc" * fcs for frame in FRAMES]
    path = write_records(tmp_path / "capture", bits | ETHERNET, frames, order=order)
    assert read(path) == WHOLE


def test_truncated_frame_is_shorter_on_the_wire_by_its_fcs(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "capture", [FRAMES[0] + b"\xfc" * 4], keep=40)
    content = bytearray(path.read_bytes())
    content[20:24] = struct.pack("<I", 0x2400_0000 | ETHERNET)
    path.write_bytes(content)
    assert read(path) == [Packet(FRAMES[0][:40], len(FRAMES[0]), LinkType.ETHERNET)]


@pytest.mark.parametrize(
    ("interface", "packet"),
    [
        ({"if_fcslen": 4}, {}),
        ({"if_fcslen": 32}, {}),
        ({}, {"epb_flags": 4 << 5}),
        ({"if_fcslen": 2}, {"epb_flags": 4 << 5}),
    ],
    ids=["bytes", "bits", "packet", "both"],
)
def test_pcapng_frames_end_before_their_fcs(
    tmp_path: Path, interface: dict[str, int], packet: dict[str, int]
) -> None:
    section = SectionHeader(endianness="<")
    options = {"link_type": ETHERNET, "options": interface}
    section.new_member(InterfaceDescription, **options)
    path = tmp_path / "capture"
    with path.open("wb") as file:
        writer = FileWriter(file, section)
        for frame in FRAMES:
            block = section.new_member(EnhancedPacket, options=packet)
            block.packet_data = frame + b"\xfc" * 4
            writer.write_block(block)
    assert read(path) == WHOLE


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_pcapng_is_read_plain_and_compressed(tmp_path: Path, compress: type[bytes]) -> None:
    path = write_pcapng(tmp_path / "capture", [(ETHERNET, frame) for frame in FRAMES])
    path.write_bytes(compress(path.read_bytes()))
    assert read(path) == WHOLE


def test_pcapng_packets_have_their_interfaces_link_type(tmp_path: Path) -> None:
    frames = [(ETHERNET, bytes(ETHER / V4)), (RAW, bytes(V6)), (ETHERNET, bytes(ETHER / V6))]
    found = read(write_pcapng(tmp_path / "capture", frames))
    assert [(packet.link_type, packet.data) for packet in found] == [
        (LinkType.ETHERNET, bytes(ETHER / V4)),
        (LinkType.ETHERNET, bytes(12) + b"\x86\xdd" + bytes(V6)),
        (LinkType.ETHERNET, bytes(ETHER / V6)),
    ]


def test_each_pcapng_section_has_its_own_interfaces(tmp_path: Path) -> None:
    parts = [
        write_pcapng(tmp_path / "first", [(ETHERNET, FRAMES[0])]),
        write_pcapng(tmp_path / "second", [(RAW, bytes(V6))]),
    ]
    both = tmp_path / "both"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert [packet.data[-40:] for packet in read(both)] == [FRAMES[0][-40:], bytes(V6)]


def test_truncated_packet_keeps_its_length_on_the_wire(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "capture", FRAMES, keep=60)
    found = read(path)
    assert [packet.data for packet in found] == [frame[:60] for frame in FRAMES]
    assert [packet.length for packet in found] == [len(frame) for frame in FRAMES]


def test_empty_capture_has_no_packets(tmp_path: Path) -> None:
    assert read(write_pcap(tmp_path / "capture", [])) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"hello, world", "unknown format '68 65 6c 6c'"),
        (struct.pack("<I", 0xA1B2C3D4), "24 bytes expected, 4 left"),
        (b"\x1f\x8b\x08 and nothing else", "cannot read"),
    ],
)
def test_files_of_other_formats_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "capture"
    path.write_bytes(content)
    assert said in refusal(path)


def test_unreadable_path_is_reported_with_the_reason(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "none") == f"cannot read {tmp_path / 'none'}: No such file or directory"
    )
    assert refusal(tmp_path) == f"cannot read {tmp_path}: Is a directory"


def test_pcapng_packets_of_unsupported_link_types_are_left_out(tmp_path: Path) -> None:
    frames = [(ETHERNET, FRAMES[0]), (WLAN, FRAMES[1]), (ETHERNET, FRAMES[2])]
    first, foreign, last = read(write_pcapng(tmp_path / "capture", frames))
    assert [first, last] == [WHOLE[0], WHOLE[2]]
    assert foreign.left_out == "link type LINKTYPE_IEEE802_11 (105) is not supported"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_truncated_file_yields_whole_packets_and_reports_the_next(
    tmp_path: Path, form: str, compress: type[bytes]
) -> None:
    path, frames = tmp_path / "capture", FRAMES[:4]
    if form == "pcap":
        write_pcap(path, frames)
    else:
        write_pcapng(path, [(ETHERNET, frame) for frame in frames])
    whole = path.read_bytes()
    behind = 0 if form == "pcap" else -len(frames[2]) % 4 + 4  # padding, and the block's length
    start = whole.index(frames[2]) + len(frames[2]) + behind
    for cut in range(start + 1, whole.index(frames[3]) + len(frames[3])):
        path.write_bytes(compress(whole[:cut]))
        count, said = read_until_error(path)
        assert count == 3
        assert f"{path} is malformed at packet 4: " in said


def test_truncated_gzip_is_malformed(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "capture", FRAMES, gz=True)
    path.write_bytes(path.read_bytes()[:-100])
    count, said = read_until_error(path)
    assert count < len(FRAMES)
    assert f"is malformed at packet {count + 1}: " in said


def test_implausible_length_allocates_no_memory(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "capture", FRAMES[:1])
    with path.open("ab") as file:
        file.write(struct.pack("<4I", 1, 1, 0xFFFFFFFF, 0xFFFFFFFF))
    count, said = read_until_error(path)
    assert count == 1
    assert "a block claims 4294967295 bytes" in said


def test_packet_of_an_undescribed_interface_ends_a_pcapng(tmp_path: Path) -> None:
    path = write_pcapng(tmp_path / "capture", [(ETHERNET, b"x" * 20)])
    content = path.read_bytes()
    head, body = content.split(struct.pack("<II", 6, 52), 1)
    path.write_bytes(head + struct.pack("<III", 6, 52, 7) + body[4:])
    assert read_until_error(path) == (
        0,
        f"{path} is malformed at packet 1: interface 7 has no description",
    )
