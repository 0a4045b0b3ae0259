"""Read the records of a pcapng file (draft-ietf-opsawg-pcapng) by the library python-pcapng."""

from __future__ import annotations

from collections.abc import Iterator

from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket, InterfaceDescription, ObsoletePacket, SimplePacket

from pktexp.commands.replay.packets import Record
from pktexp.commands.replay.stream import Stream

MAGIC = b"\n\r\r\n"
LONGEST_FCS = 8  # bytes; an option if_fcslen with more has it in bits

BLOCKS = (EnhancedPacket, SimplePacket, ObsoletePacket)


def read(stream: Stream) -> Iterator[Record]:
    """Yield each record with the link type of its interface."""
    end = 0
    for block in FileScanner(stream):
        if isinstance(block, BLOCKS):
            if (interface := block.section.interfaces.get(block.interface_id)) is None:
                raise ValueError(f"interface {block.interface_id} has no description")
            fcs = _fcs(block, interface)
            yield Record(block.packet_data, block.packet_len, interface.link_type, fcs)
        end = stream.tell()
    if stream.tell() != end:  # the library treats a block without a body as the end
        raise EOFError("the file ends inside a block")


def _fcs(
    block: EnhancedPacket | SimplePacket | ObsoletePacket, interface: InterfaceDescription
) -> int:
    """Return the bytes of FCS that a packet ends with, by its own option or its interface's.

    Writers disagree whether the interface's option is in bits or in bytes (pcapng issue 60).
    """
    options = {} if isinstance(block, SimplePacket) else block.options
    flags = options.get("epb_flags") or options.get("pack_flags")
    if flags and flags.fcslen:
        return int(flags.fcslen)
    length = int(interface.options.get("if_fcslen") or 0)
    return length if length <= LONGEST_FCS else length // 8
