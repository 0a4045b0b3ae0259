"""Frames to start fuzzing from: those of the tests, and tests/corpus/frames.pcap.

The corpus holds one short frame for each way in which mutated frames were counted, as gathered by
`gather`; frames that once failed are added to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scapy.utils import RawPcapReader

from support.fuzzing.samples import Sample
from support.packets.captures import write_pcap
from support.packets.cases import all_cases
from support.packets.encapsulations import all_frames
from support.packets.tunnels import all_cases as tunnelled

CORPUS = Path(__file__).parents[2] / "corpus" / "frames.pcap"


def made() -> Iterator[bytes]:
    """Yield frames of every kind that pktexp knows, built by scapy."""
    yield from (case.frame for case in all_cases())
    yield from (case.frame for case in tunnelled())
    yield from (bytes(frame) for frame in all_frames())


def frames() -> list[bytes]:
    """Return the frames of the corpus."""
    with RawPcapReader(str(CORPUS)) as reader:
        return [frame for frame, _ in reader]


def write(path: Path, found: Iterable[bytes]) -> None:
    """Write frames as a capture of Ethernet, whatever their link layer is."""
    write_pcap(path, found)


def gather(samples: Iterable[Sample], longest: int) -> list[bytes]:
    """Return the shortest frame for each set of counters, of at most `longest` bytes."""
    shortest: dict[bytes, bytes] = {}
    for sample in samples:
        counters = sample.seen["counters"].copy()
        counters["classes"]["bytes"] = counters["sizes"] = 0
        alike = np.array(counters).tobytes()
        if len(sample.frame) <= min(longest, len(shortest.get(alike, bytes(longest)))):
            shortest[alike] = sample.frame
    return sorted(shortest.values())
