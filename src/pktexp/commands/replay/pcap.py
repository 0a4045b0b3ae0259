"""Read the records of a pcap file (draft-ietf-opsawg-pcap).

Its headers are read here, as libraries for it hide a packet's length on the wire, accept a
truncated file as complete, or, like libpcap, refuse files that they do not know whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pktexp.commands.replay.packets import Record
from pktexp.commands.replay.stream import Stream

# Layout of a packet's header by the file's magic number: with timestamps in microseconds, in
# nanoseconds, and the modified format (libpcap's KUZNETZOV_TCPDUMP_MAGIC), whose headers end with
# an ifindex, a protocol and a kind of packet. A replay ignores all of these.
HEADERS = {0xA1B2C3D4: "4I", 0xA1B23C4D: "4I", 0xA1B2CD34: "4I8x"}
FORMATS = {
    struct.pack(f"{order}I", magic): (order, header)
    for order in "<>"
    for magic, header in HEADERS.items()
}
# Parts of the field for the link type: the type, whether the length of the FCS is known, and this
# length in words of 16 bits.
TYPE_MASK, FCS_PRESENT, FCS_SHIFT, FCS_WORD = 0xFFFF, 1 << 26, 28, 2


def read(stream: Stream, magic: bytes) -> Iterator[Record]:
    """Read the file header now, and each record when it is requested.

    `magic`: the first four bytes. Raises ValueError if they are not those of a pcap file.
    """
    if magic not in FORMATS:
        raise ValueError(f"unknown format '{magic.hex(' ')}'" if magic else "the file is empty")
    order, header = FORMATS[magic]
    *_, link = struct.unpack(f"{order}IHHiIII", stream.exactly(24))
    fcs = (link >> FCS_SHIFT) * FCS_WORD if link & FCS_PRESENT else 0
    return _records(stream, struct.Struct(order + header), link & TYPE_MASK, fcs)


def _records(stream: Stream, header: struct.Struct, link_type: int, fcs: int) -> Iterator[Record]:
    while head := stream.read(header.size):
        if len(head) < header.size:
            raise EOFError("the file ends inside a packet header")
        *_, captured, length = header.unpack(head)
        yield Record(stream.exactly(captured), length, link_type, fcs)
