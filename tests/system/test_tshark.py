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

from pktexp.bpf import libbpf
from pktexp.commands.replay.captures import reading
from pktexp.commands.replay.packets import Packet
from pktexp.commands.replay.run import Replayer
from pktexp.errors import PktexpError
from pktexp.packet.enums import Tunnel
from pktexp.settings import FlowMode
from support.packets import tshark
from support.packets.captures import (
    IPV4,
    IPV6,
    RAW,
    Sums,
    flows,
    tcp_flags,
    traffic,
    traits,
    tunnels,
    write_pcap,
    write_records,
)
from support.packets.cases import all_cases
from support.packets.differences import EXCEPTIONS
from support.packets.encapsulations import V4, V6, all_frames, over_ip
from support.packets.icmp import ICMP_NAMES, ICMPV6_NAMES
from support.packets.linktypes import BUILDERS, PPPOE, cooked, cooked2
from support.packets.tshark import Dissected
from support.packets.tunnels import all_cases as tunnelled

BESIDE = Path(__file__).parents[3] / "shared" / "captures"
CAPTURES = Path(os.environ.get("PKTEXP_CAPTURES", BESIDE))
FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")  # from the lowest bit on

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


@dataclass
class Replayers:
    """One that tells flows by their outermost addresses, and one that looks into every tunnel."""

    outside: Replayer
    inside: Replayer

    def run(self, packets: Sequence[Packet]) -> Outcome:
        outer = self.outside.run("capture", packets)
        inner = self.inside.run("capture", packets)
        assert traffic(inner) == traffic(outer)
        return {
            "traffic": traffic(outer),
            "flows": flows(outer),
            "TCP flags": tcp_flags(outer),
            "traits": traits(outer),
            "tunnels": tunnels(inner),
            "flows inside": flows(inner),
            "left out": outer.left_out,
        }


def theirs(packets: Sequence[Dissected]) -> Outcome:
    """The aspects of Replayers.run."""
    return {
        "traffic": tallies((p.bytes, (p.protocol, p.ip_version)) for p in packets),
        "flows": tallies((p.bytes, (p.protocol, p.source, p.dest)) for p in packets),
        "TCP flags": Counter(
            flag for p in packets for bit, flag in enumerate(FLAGS) if p.flags >> bit & 1
        ),
        "traits": Counter(trait(name) for p in packets for name in p.traits),
        "tunnels": Counter(kind for p in packets for kind in set(p.tunnels)),
        "flows inside": tallies(
            (p.bytes, (p.inside.protocol, p.inside.source, p.inside.dest))
            for p in packets
            if p.inside
        ),
        "left out": {},
    }


def trait(name: str) -> str:
    """As our label says it."""
    protocol, _, number = name.partition(" ")
    if not number:
        return name
    names = ICMP_NAMES if protocol == "icmp" else ICMPV6_NAMES
    return f"{protocol} {names.get(int(number), 'other')}"


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


def differences(replayers: Replayers, capture: Capture, said: Sequence[Dissected]) -> Iterator[str]:
    """All aspects of a capture that differ, and exceptions that are none."""
    both = enumerate(zip(capture.packets, said, strict=True), 1)
    pairs = {number: pair for number, pair in both if not pair[0].left_out}
    for number, why in EXCEPTIONS.get(capture.path.name, {}).items():
        packet, dissected = pairs.pop(number)
        if not any(unlike(replayers.run([packet]), theirs([dissected]))):
            yield f"{capture.path}: packet {number} is no exception: {why}"
    found = replayers.run([packet for packet, _ in pairs.values()])
    expected = theirs([dissected for _, dissected in pairs.values()])
    yield from (f"{capture.path}: {line}" for line in unlike(found, expected))


def compare(replayers: Replayers, captures: Sequence[Capture], merged: Path) -> list[str]:
    """All that differs; none of the captures is broken."""
    said = tshark.dissect([capture.path for capture in captures], merged)
    pairs = zip(captures, said, strict=True)
    return [line for pair in pairs for line in differences(replayers, *pair)]


@pytest.fixture(scope="module")
def replayers() -> Iterator[Replayers]:
    lib = libbpf.find()
    made = [Replayer(lib, FlowMode.HOSTS), Replayer(lib, FlowMode.HOSTS, tuple(Tunnel))]
    yield Replayers(*made)
    for replayer in made:
        replayer.close()


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="no captures there: name some, PKTEXP_CAPTURES=")
def test_replay_of_public_captures_agrees_with_tshark(
    replayers: Replayers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted(p for p in CAPTURES.rglob("*") if p.suffix in (".cap", ".pcap", ".pcapng"))
    captures = [load(path) for path in paths]
    whole = [capture for capture in captures if not capture.error]
    broken = [capture for capture in captures if capture.error and capture.packets]
    different = compare(replayers, whole, tmp_path / "merged.pcapng")
    for capture in broken:
        said = list(tshark.read(capture.path))[: len(capture.packets)]
        different += differences(replayers, capture, said)
    packets = sum(len(capture.packets) for capture in captures)
    with capsys.disabled():
        counts = f"{len(whole) + len(broken)} of {len(captures)} captures, {packets} packets"
        sys.stdout.write(f"\ncompared with tshark: {counts}\n")
    assert not different, "\n".join(different)
    known = [c for c in captures if not all(packet.left_out for packet in c.packets)]
    assert len(known) > 0.98 * len(captures), "few have a known link type"
    assert packets > len(captures) > 0


def test_replay_of_every_case_and_wrapping_agrees_with_tshark(
    replayers: Replayers, tmp_path: Path
) -> None:
    frames = [bytes(frame) for frame in all_frames()]
    paths = [write_pcap(tmp_path / "frames.pcap", frames)]
    paths.append(write_pcap(tmp_path / "headers.pcap", frames, keep=164))
    for number, version in ((IPV4, V4), (IPV6, V6)):
        packets = [bytes(packet) for packet in over_ip(version)]
        paths.append(write_pcap(tmp_path / f"{number}.pcap", packets, number))
        paths.append(write_pcap(tmp_path / f"{RAW} {number}.pcap", packets, RAW))
    paths.append(write_pcap(tmp_path / "tunnels.pcap", [case.frame for case in tunnelled()]))
    for case in all_cases():
        name = f"{case.name.replace('/', ' ')}.pcap"
        paths.append(write_pcap(tmp_path / name, [case.frame]))
    captures = [load(path) for path in paths]
    assert not [capture.error for capture in captures if capture.error]
    assert len(frames) > 400
    different = compare(replayers, captures, tmp_path / "merged.pcapng")
    assert not different, "\n".join(different)


def test_replay_of_every_link_type_agrees_with_tshark(replayers: Replayers, tmp_path: Path) -> None:
    frames = [bytes(frame) for frame in all_frames()]
    payloads = [(int.from_bytes(frame[12:14]), frame[14:]) for frame in frames]
    paths = []
    for number, builders in BUILDERS.items():
        records = (b(*payload) for payload in payloads for b in builders)
        whole = [record for record in records if record is not None]
        assert len(whole) > 100, number
        paths.append(write_records(tmp_path / f"{number}.pcap", number, whole))
    sessions = [payload for kind, payload in payloads if kind == PPPOE]
    paths.append(write_records(tmp_path / "51.pcap", 51, sessions))
    for number, build in ((113, cooked), (276, cooked2)):
        casts = [build(*payloads[0], kind) for kind in range(5)]
        paths.append(write_records(tmp_path / f"{number} casts.pcap", number, casts))
    captures = [load(path) for path in paths]
    assert all(capture.packets and not capture.error for capture in captures)
    assert not any(packet.left_out for capture in captures for packet in capture.packets)
    different = compare(replayers, captures, tmp_path / "merged.pcapng")
    assert not different, "\n".join(different)


def test_truncated_capture_is_read_up_to_its_break(replayers: Replayers, tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "broken.pcap", [bytes(frame) for frame in over_ip(V4)])
    path.write_bytes(path.read_bytes()[:-10])
    capture = load(path)
    assert capture.error
    said = list(tshark.read(path))
    assert not list(differences(replayers, capture, said))
