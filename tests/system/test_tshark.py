"""Every capture there is, replayed and dissected by tshark: both must say the same, exactly.

Public captures are taken from the folder that PKTEXP_CAPTURES names, else from `shared/captures`
beside the project, where there is one; captures of our own are always there.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import pytest

from pktexp.captures import Packet, reading
from pktexp.errors import PktexpError
from pktexp.kernel import libbpf
from pktexp.replay import Replayed, Replayer
from pktexp.settings import FlowMode
from support import tshark
from support.encapsulations import all_frames, ip_packets
from support.packets import all_cases
from support.replaying import flags, flows, traffic, write_pcap
from support.tshark import Dissected

ROOT = Path(__file__).parents[2]
CAPTURES = Path(os.environ.get("PKTEXP_CAPTURES", ROOT.parent / "shared" / "captures"))
RAW, IPV4, IPV6 = 101, 228, 229

NOT_KEPT = "the capture kept less than the headers; replay fills up with zeros, tshark doesn't"
CUT_OPTIONS = "tshark shows no address of an IPv4 header whose options are cut; they are there"
CUT_EXTENSION = "pktexp believes an extension header that is whole, tshark one that is cut"
# Which packets of which captures the two may see differently.
EXCEPTIONS: dict[str, dict[int, str]] = {
    "ip6-trunc.pcap": {1: NOT_KEPT},
    "trunc-hdr.pcap": {1: NOT_KEPT},
    "ipv4-internally-truncated-header.pcap": {1: NOT_KEPT},
    "ipv4-truncated-broken-header.pcap": {1: CUT_OPTIONS},
}

Sums = dict[tuple[str, ...], tuple[int, int]]
"""labels -> packets, bytes"""


@dataclass
class Capture:
    """What could be read of a file, and why not all of it."""

    path: Path
    packets: list[Packet]
    error: PktexpError | None = None


@pytest.fixture(scope="module")
def replayer() -> Iterator[Replayer]:
    replayer = Replayer(libbpf.find(), FlowMode.HOSTS)
    yield replayer
    replayer.close()


def load(path: Path) -> Capture:
    capture = Capture(path, [])
    try:
        with reading(path) as packets:
            capture.packets.extend(packets)
    except PktexpError as error:
        capture.error = error
    return capture
