"""Reads packet captures, pcap and pcapng, plain or gzip'd, as a stream of packets; for replay.py.

pcapng is read by the library python-pcapng. pcap is two fixed headers (draft-ietf-opsawg-pcap) and
read here: libraries for it keep a packet's length on the wire to themselves, take a file that ends
too early for a whole one, or, as libpcap, refuse pcapng files with interfaces of several kinds.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket, ObsoletePacket, SimplePacket
from pcapng.exceptions import PcapngException

from pktexp.errors import PktexpError
from pktexp.packet.enums import LinkType

GZIP_MAGIC = b"\x1f\x8b"
PCAPNG_MAGIC = b"\n\r\r\n"
# Microseconds and nanoseconds; replaying needs no time.
PCAP_MAGICS = (0xA1B2C3D4, 0xA1B23C4D)
PCAP_ORDERS = {struct.pack(f"{o}I", magic): o for o in "<>" for magic in PCAP_MAGICS}
# https://www.tcpdump.org/linktypes.html; 12 and 14 are what some systems write for 101.
LINK_TYPES = {1: LinkType.ETHERNET, **dict.fromkeys((12, 14, 101, 228, 229), LinkType.IP)}
LONGEST_READ = 16 << 20  # bytes; what announces more is broken, and is not to take the memory
# What reading raises where a file isn't what it should be.
WRONG = (PcapngException, EOFError, OSError, ValueError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of `length` bytes on the wire, of which the capture kept `data`."""

    data: bytes
    length: int
    link_type: LinkType


class Stream:
    """A file to be read once from its beginning to its end."""

    def __init__(self, file: BufferedReader | gzip.GzipFile) -> None:
        self._file = file
        self._consumed = 0

    def tell(self) -> int:
        """Bytes read so far; of a pipe too."""
        return self._consumed

    def read(self, size: int) -> bytes:
        """At most `size` bytes, fewer only at the end; EOFError if no capture needs as many."""
        if size > LONGEST_READ:
            raise EOFError(f"{size} bytes are announced")
        data = self._file.read(size)
        self._consumed += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        """EOFError if there are fewer."""
        if len(data := self.read(size)) < size:
            raise EOFError(f"{size} bytes are announced, {len(data)} are there")
        return data


@contextmanager
def reading(path: Path) -> Iterator[Iterator[Packet]]:
    """The packets of a capture, in its order.

    PktexpError if it can't be read, here or, with the packet's number, while it is iterated.
    """
    with ExitStack() as stack:
        try:
            file: BufferedReader | gzip.GzipFile = stack.enter_context(path.open("rb"))
            if file.peek(2)[:2] == GZIP_MAGIC:
                file = stack.enter_context(gzip.GzipFile(fileobj=file))
            magic = file.peek(4)[:4]
            stream = Stream(file)
            packets = _pcapng(stream) if magic == PCAPNG_MAGIC else _pcap(stream, magic)
        except WRONG as error:
            message = f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
            raise PktexpError(message, "give a pcap or pcapng file; gzip'd is fine") from error
        yield _told_where(path, packets)


def _told_where(path: Path, packets: Iterator[Packet]) -> Iterator[Packet]:
    number = 1
    try:
        for packet in packets:
            yield packet
            number += 1
    except WRONG as error:
        message = f"{path} is broken at packet {number}: {error}"
        raise PktexpError(message, "what came before it is shown") from error


def _link_type(number: int) -> LinkType:
    if number not in LINK_TYPES:
        message = f"its link type, {number}, is neither Ethernet nor IP"
        raise PktexpError(message, "capture on one interface with Ethernet or IP, not on 'any'")
    return LINK_TYPES[number]


def _pcap(stream: Stream, magic: bytes) -> Iterator[Packet]:
    """Reads the file's header at once; its packets as they are asked for."""
    if magic not in PCAP_ORDERS:
        raise ValueError(f"no capture begins with '{magic.hex(' ')}'" if magic else "it is empty")
    order = PCAP_ORDERS[magic]
    *_, link_type = struct.unpack(f"{order}IHHiIII", stream.exactly(24))
    return _pcap_packets(stream, struct.Struct(f"{order}4I"), _link_type(link_type))


def _pcap_packets(stream: Stream, header: struct.Struct, link_type: LinkType) -> Iterator[Packet]:
    while head := stream.read(header.size):
        if len(head) < header.size:
            raise EOFError("the file ends inside its header")
        *_, captured, length = header.unpack(head)
        yield Packet(stream.exactly(captured), length, link_type)


def _pcapng(stream: Stream) -> Iterator[Packet]:
    """Each packet with the link type of its own interface."""
    end = 0
    for block in FileScanner(stream):
        if isinstance(block, EnhancedPacket | SimplePacket | ObsoletePacket):
            if (interface := block.section.interfaces.get(block.interface_id)) is None:
                raise ValueError(f"interface {block.interface_id} is not described")
            link_type = _link_type(interface.link_type)
            yield Packet(block.packet_data, block.packet_len, link_type)
        end = stream.tell()
    if stream.tell() != end:  # the library takes a block without a body for the end
        raise EOFError("the file ends inside a block")
