"""Every capture there is, replayed and dissected by tshark: both must say the same, exactly.

Public captures are taken from the folder that PKTEXP_CAPTURES names, else from `shared/captures`
beside the project, where there is one; captures of our own are always there.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pktexp.captures import Packet, reading
from pktexp.errors import PktexpError
from pktexp.kernel import libbpf
from pktexp.replay import Replayed, Replayer
from pktexp.settings import FlowMode
from support import tshark
from support.encapsulations import V4, V6, all_frames, over_ip
from support.packets import all_cases
from support.replaying import IPV4, IPV6, RAW, Sums, flows, tcp_flags, traffic, write_pcap
from support.tshark import Dissected

BESIDE = Path(__file__).parents[3] / "shared" / "captures"
CAPTURES = Path(os.environ.get("PKTEXP_CAPTURES", BESIDE))
FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")  # from the lowest bit on

NOT_KEPT = "the capture kept less than the headers: replay fills up with zeros, tshark does not"
CUT_OPTIONS = "an IPv4 header cut in its options: its addresses are there, but tshark shows none"
CUT_EXTENSION = "an extension header that is cut: tshark takes its word for what follows"
EXCEPTIONS = {
    "ip6-trunc.pcap": {1: NOT_KEPT},
    "trunc-hdr.pcap": {1: NOT_KEPT},
    "ipv4-internally-truncated-header.pcap": {1: NOT_KEPT},
    "ipv4-truncated-broken-header.pcap": {1: CUT_OPTIONS},
    "cut in options.pcap": {1: CUT_OPTIONS},
    "cut in an extension.pcap": {1: CUT_EXTENSION},
}
"""capture -> number of a packet that the two see differently -> why"""

Outcome = dict[str, dict[Any, Any]]
"""aspect -> what is said of it"""


@dataclass
class Capture:
    """What can be read of a file."""

    path: Path
    packets: list[Packet] = field(default_factory=list)
    error: PktexpError | None = None


def load(path: Path) -> Capture:
    capture = Capture(path)
    try:
        with reading(path) as packets:
            capture.packets.extend(packets)
    except PktexpError as error:
        capture.error = error
    return capture


def ours(replayed: Replayed) -> Outcome:
    return {
        "traffic": traffic(replayed),
        "flows": flows(replayed),
        "TCP flags": tcp_flags(replayed),
        "left out": replayed.left_out,
    }


def theirs(packets: Sequence[Dissected]) -> Outcome:
    """Of these aspects, those that `ours` has are compared."""
    return {
        "traffic": tallies((p.bytes, (p.protocol, p.ip_version)) for p in packets),
        "flows": tallies((p.bytes, (p.protocol, p.source, p.dest)) for p in packets),
        "TCP flags": Counter(
            flag for p in packets for bit, flag in enumerate(FLAGS) if p.flags >> bit & 1
        ),
        "left out": {},
    }


def tallies(packets: Iterable[tuple[int, tuple[str, ...]]]) -> Sums:
    sums: Sums = {}
    for size, key in packets:
        count, total = sums.get(key, (0, 0))
        sums[key] = count + 1, total + size
    return sums


def unlike(found: Outcome, expected: Outcome) -> Iterator[str]:
    for aspect in found:
        if found[aspect] != expected[aspect]:
            both = found[aspect].items() & expected[aspect].items()
            here, there = (dict(o[aspect].items() - both) for o in (found, expected))
            yield f"{aspect}: {here} here, tshark: {there}"


def differences(replayer: Replayer, capture: Capture, said: Sequence[Dissected]) -> Iterator[str]:
    """All aspects of a capture that differ, and exceptions that are none."""
    pairs = dict(enumerate(zip(capture.packets, said, strict=True), 1))
    for number, why in EXCEPTIONS.get(capture.path.name, {}).items():
        packet, dissected = pairs.pop(number)
        if not any(unlike(ours(replayer.run("one", [packet])), theirs([dissected]))):
            yield f"{capture.path}: packet {number} is no exception: {why}"
    replayed = replayer.run("all", [packet for packet, _ in pairs.values()])
    expected = theirs([dissected for _, dissected in pairs.values()])
    yield from (f"{capture.path}: {line}" for line in unlike(ours(replayed), expected))


def compare(replayer: Replayer, captures: Sequence[Capture], merged: Path) -> list[str]:
    """All that differs; none of the captures is broken."""
    said = tshark.dissect([capture.path for capture in captures], merged)
    pairs = zip(captures, said, strict=True)
    return [line for pair in pairs for line in differences(replayer, *pair)]


@pytest.fixture(scope="module")
def replayer() -> Iterator[Replayer]:
    replayer = Replayer(libbpf.find(), FlowMode.HOSTS)
    yield replayer
    replayer.close()


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no captures there: name some, PKTEXP_CAPTURES=")
def test_replaying_public_captures_says_what_tshark_says(
    replayer: Replayer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted(p for p in CAPTURES.rglob("*") if p.suffix in (".cap", ".pcap", ".pcapng"))
    captures = [load(path) for path in paths]
    whole = [capture for capture in captures if not capture.error]
    broken = [capture for capture in captures if capture.error and capture.packets]
    different = compare(replayer, whole, tmp_path / "merged.pcapng")
    for capture in broken:
        said = list(tshark.read(capture.path))[: len(capture.packets)]
        different += differences(replayer, capture, said)
    packets = sum(len(capture.packets) for capture in captures)
    with capsys.disabled():
        counts = f"{len(whole) + len(broken)} of {len(captures)} captures, {packets} packets"
        sys.stdout.write(f"\ncompared with tshark: {counts}\n")
    assert not different, "\n".join(different)
    assert len(whole) + len(broken) > 0.9 * len(captures), "few are Ethernet or IP"
    assert packets > len(captures) > 0


def test_replaying_every_case_and_every_wrapping_says_what_tshark_says(
    replayer: Replayer, tmp_path: Path
) -> None:
    frames = [bytes(frame) for frame in all_frames()]
    paths = [write_pcap(tmp_path / "frames.pcap", frames)]
    paths.append(write_pcap(tmp_path / "headers.pcap", frames, keep=160))
    for number, version in ((IPV4, V4), (IPV6, V6)):
        packets = [bytes(packet) for packet in over_ip(version)]
        paths.append(write_pcap(tmp_path / f"{number}.pcap", packets, number))
        paths.append(write_pcap(tmp_path / f"{RAW} {number}.pcap", packets, RAW))
    for case in all_cases():
        name = f"{case.name.replace('/', ' ')}.pcap"
        paths.append(write_pcap(tmp_path / name, [case.frame]))
    captures = [load(path) for path in paths]
    assert not [capture.error for capture in captures if capture.error]
    assert len(frames) > 400
    different = compare(replayer, captures, tmp_path / "merged.pcapng")
    assert not different, "\n".join(different)


def test_a_capture_that_breaks_off_is_told_up_to_there(replayer: Replayer, tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "broken.pcap", [bytes(frame) for frame in over_ip(V4)])
    path.write_bytes(path.read_bytes()[:-10])
    capture = load(path)
    assert capture.error
    said = list(tshark.read(path))
    assert not list(differences(replayer, capture, said))
