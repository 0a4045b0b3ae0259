"""Read packet captures, pcap and pcapng, plain or gzip'd, as a stream of packets.

The library python-pcapng reads pcapng. pcap has two fixed headers (draft-ietf-opsawg-pcap) and is
read here: libraries for it hide a packet's length on the wire, accept a truncated file as complete,
or, like libpcap, refuse pcapng files with interfaces of several link types.
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
# For timestamps in microseconds and in nanoseconds; a replay ignores them.
PCAP_MAGICS = (0xA1B2C3D4, 0xA1B23C4D)
PCAP_ORDERS = {struct.pack(f"{o}I", magic): o for o in "<>" for magic in PCAP_MAGICS}
# https://www.tcpdump.org/linktypes.html; some systems write 12 or 14 for 101.
LINK_TYPES = {1: LinkType.ETHERNET, **dict.fromkeys((12, 14, 101, 228, 229), LinkType.IP)}
LONGEST_READ = 16 << 20  # bytes; a larger length is an error and must not allocate memory
# Errors of the readers on a malformed file.
MALFORMED = (PcapngException, EOFError, OSError, ValueError, struct.error, zlib.error)


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of `length` bytes on the wire; the capture kept `data` of it."""

    data: bytes
    length: int
    link_type: LinkType


class Stream:
    """A file that is read once from start to end."""

    def __init__(self, file: BufferedReader | gzip.GzipFile) -> None:
        self._file = file
        self._consumed = 0

    def tell(self) -> int:
        """Return the number of bytes read so far; works on a pipe too."""
        return self._consumed

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end. Raises EOFError if `size` is implausible."""
        if size > LONGEST_READ:
            raise EOFError(f"a block claims {size} bytes")
        data = self._file.read(size)
        self._consumed += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes. Raises EOFError if fewer are left."""
        if len(data := self.read(size)) < size:
            raise EOFError(f"{size} bytes expected, {len(data)} left")
        return data


@contextmanager
def reading(path: Path) -> Iterator[Iterator[Packet]]:
    """Open a capture and yield its packets in order.

    Raises PktexpError if the file cannot be read; while iterating, with the packet's number.
    """
    with ExitStack() as stack:
        try:
            file: BufferedReader | gzip.GzipFile = stack.enter_context(path.open("rb"))
            if file.peek(2)[:2] == GZIP_MAGIC:
                file = stack.enter_context(gzip.GzipFile(fileobj=file))
            magic = file.peek(4)[:4]
            stream = Stream(file)
            packets = _pcapng(stream) if magic == PCAPNG_MAGIC else _pcap(stream, magic)
        except MALFORMED as error:
            message = f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
            raise PktexpError(message, "give a pcap or pcapng file; it may be gzip'd") from error
        yield _numbered(path, packets)


def _numbered(path: Path, packets: Iterator[Packet]) -> Iterator[Packet]:
    number = 1
    try:
        for packet in packets:
            yield packet
            number += 1
    except MALFORMED as error:
        message = f"{path} is malformed at packet {number}: {error}"
        raise PktexpError(message, "the packets before it are counted") from error


def _link_type(number: int) -> LinkType:
    if number not in LINK_TYPES:
        message = f"link type {number} is neither Ethernet nor IP"
        raise PktexpError(message, "capture on one Ethernet or IP interface, not on 'any'")
    return LINK_TYPES[number]


def _pcap(stream: Stream, magic: bytes) -> Iterator[Packet]:
    """Read the file header now, and each packet when it is requested."""
    if magic not in PCAP_ORDERS:
        raise ValueError(f"unknown format '{magic.hex(' ')}'" if magic else "the file is empty")
    order = PCAP_ORDERS[magic]
    *_, link_type = struct.unpack(f"{order}IHHiIII", stream.exactly(24))
    return _pcap_packets(stream, struct.Struct(f"{order}4I"), _link_type(link_type))


def _pcap_packets(stream: Stream, header: struct.Struct, link_type: LinkType) -> Iterator[Packet]:
    while head := stream.read(header.size):
        if len(head) < header.size:
            raise EOFError("the file ends inside a packet header")
        *_, captured, length = header.unpack(head)
        yield Packet(stream.exactly(captured), length, link_type)


def _pcapng(stream: Stream) -> Iterator[Packet]:
    """Yield each packet with the link type of its interface."""
    end = 0
    for block in FileScanner(stream):
        if isinstance(block, EnhancedPacket | SimplePacket | ObsoletePacket):
            if (interface := block.section.interfaces.get(block.interface_id)) is None:
                raise ValueError(f"interface {block.interface_id} has no description")
            link_type = _link_type(interface.link_type)
            yield Packet(block.packet_data, block.packet_len, link_type)
        end = stream.tell()
    if stream.tell() != end:  # the library treats a block without a body as the end
        raise EOFError("the file ends inside a block")
