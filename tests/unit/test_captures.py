"""Reading captures: every form of them, and every way in which a file can be none."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from pktexp.commands.replay.captures import Packet, reading
from pktexp.errors import PktexpError
from pktexp.packet.enums import LinkType
from support.packets.captures import ETHERNET, IPV4, IPV6, RAW, WLAN, write_pcap, write_pcapng
from support.packets.encapsulations import ETHER, V4, V6, over_ip

FRAMES = [bytes(ETHER / packet) for packet in over_ip(V4)]
WHOLE = [Packet(frame, len(frame), LinkType.ETHERNET) for frame in FRAMES]


def read(path: Path) -> list[Packet]:
    with reading(path) as packets:
        return list(packets)


def read_until_it_breaks(path: Path) -> tuple[int, str]:
    """Packets read, and what is said then."""
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
def test_pcap_is_read_in_either_byte_order_and_resolution_and_compressed(
    tmp_path: Path, endianness: str, nano: bool, gz: bool
) -> None:
    path = tmp_path / "capture"
    write_pcap(path, FRAMES, endianness=endianness, nano=nano, gz=gz)
    assert read(path) == WHOLE


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_pcapng_is_read_also_compressed(tmp_path: Path, compress: type[bytes]) -> None:
    path = write_pcapng(tmp_path / "capture", [(ETHERNET, frame) for frame in FRAMES])
    path.write_bytes(compress(path.read_bytes()))
    assert read(path) == WHOLE


def test_a_pcapngs_packets_have_the_link_types_of_their_interfaces(tmp_path: Path) -> None:
    frames = [(ETHERNET, bytes(ETHER / V4)), (RAW, bytes(V6)), (ETHERNET, bytes(ETHER / V6))]
    found = read(write_pcapng(tmp_path / "capture", frames))
    assert [(packet.link_type, packet.data) for packet in found] == [
        (LinkType.ETHERNET, bytes(ETHER / V4)),
        (LinkType.IP, bytes(V6)),
        (LinkType.ETHERNET, bytes(ETHER / V6)),
    ]


def test_sections_of_a_pcapng_have_interfaces_of_their_own(tmp_path: Path) -> None:
    parts = [
        write_pcapng(tmp_path / "first", [(ETHERNET, FRAMES[0])]),
        write_pcapng(tmp_path / "second", [(RAW, bytes(V6))]),
    ]
    both = tmp_path / "both"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert [packet.link_type for packet in read(both)] == [LinkType.ETHERNET, LinkType.IP]


@pytest.mark.parametrize("number", [12, 14, RAW, IPV4, IPV6])
def test_captures_without_a_link_layer_are_ip(tmp_path: Path, number: int) -> None:
    path = write_pcap(tmp_path / "capture", [bytes(V4)], number)
    assert read(path) == [Packet(bytes(V4), len(bytes(V4)), LinkType.IP)]


def test_a_packet_that_was_not_kept_whole_has_its_length_on_the_wire(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "capture", FRAMES, keep=60)
    found = read(path)
    assert [packet.data for packet in found] == [frame[:60] for frame in FRAMES]
    assert [packet.length for packet in found] == [len(frame) for frame in FRAMES]


def test_a_capture_without_packets_has_none(tmp_path: Path) -> None:
    assert read(write_pcap(tmp_path / "capture", [])) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"hello, world", "no capture begins with '68 65 6c 6c'"),
        (struct.pack("<I", 0xA1B2C3D4), "24 bytes are announced, 4 are there"),
        (b"\x1f\x8b\x08 and nothing else", "cannot read"),
    ],
)
def test_what_is_no_capture_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "capture"
    path.write_bytes(content)
    assert said in refusal(path)


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "none") == f"cannot read {tmp_path / 'none'}: No such file or directory"
    )
    assert refusal(tmp_path) == f"cannot read {tmp_path}: Is a directory"


def test_another_link_type_is_refused(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "capture", FRAMES, WLAN)
    assert "its link type, 105, is neither Ethernet nor IP" in refusal(path)


def test_another_link_type_in_a_pcapng_ends_it_there(tmp_path: Path) -> None:
    frames = [(ETHERNET, FRAMES[0]), (ETHERNET, FRAMES[1]), (WLAN, FRAMES[2])]
    count, said = read_until_it_breaks(write_pcapng(tmp_path / "capture", frames))
    assert count == 2
    assert "link type, 105" in said


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_a_file_cut_anywhere_gives_what_is_whole_and_tells_the_number_of_the_next(
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
        count, said = read_until_it_breaks(path)
        assert count == 3
        assert f"{path} is broken at packet 4: " in said


def test_a_compressed_file_that_is_cut_is_broken(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "capture", FRAMES, gz=True)
    path.write_bytes(path.read_bytes()[:-100])
    count, said = read_until_it_breaks(path)
    assert count < len(FRAMES)
    assert f"is broken at packet {count + 1}: " in said


def test_a_length_out_of_all_bounds_takes_no_memory(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "capture", FRAMES[:1])
    with path.open("ab") as file:
        file.write(struct.pack("<4I", 1, 1, 0xFFFFFFFF, 0xFFFFFFFF))
    count, said = read_until_it_breaks(path)
    assert count == 1
    assert "4294967295 bytes are announced" in said


def test_an_interface_that_is_not_described_breaks_a_pcapng(tmp_path: Path) -> None:
    path = write_pcapng(tmp_path / "capture", [(ETHERNET, b"x" * 20)])
    content = path.read_bytes()
    head, body = content.split(struct.pack("<II", 6, 52), 1)
    path.write_bytes(head + struct.pack("<III", 6, 52, 7) + body[4:])
    assert read_until_it_breaks(path) == (
        0,
        f"{path} is broken at packet 1: interface 7 is not described",
    )
