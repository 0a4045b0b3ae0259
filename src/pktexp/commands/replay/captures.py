"""Read packet captures, pcap and pcapng, plain or gzip'd, as a stream of packets."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path

from pcapng.exceptions import PcapngException

from pktexp.commands.replay import linktypes, pcap, pcapng
from pktexp.commands.replay.packets import Packet, Record
from pktexp.commands.replay.stream import Stream
from pktexp.errors import PktexpError

GZIP_MAGIC = b"\x1f\x8b"
# Errors of the readers on a malformed file.
MALFORMED = (PcapngException, EOFError, OSError, ValueError, struct.error, zlib.error)


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
            records = _records(file)
        except MALFORMED as error:
            message = f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
            raise PktexpError(message, "give a pcap or pcapng file; it may be gzip'd") from error
        yield _numbered(path, records)


def _records(file: BufferedReader | gzip.GzipFile) -> Iterator[Record]:
    magic, stream = file.peek(4)[:4], Stream(file)
    return pcapng.read(stream) if magic == pcapng.MAGIC else pcap.read(stream, magic)


def _numbered(path: Path, records: Iterator[Record]) -> Iterator[Packet]:
    number = 1
    try:
        for record in records:
            yield linktypes.packet(record)
            number += 1
    except MALFORMED as error:
        message = f"{path} is malformed at packet {number}: {error}"
        raise PktexpError(message, "the packets before it are counted") from error
