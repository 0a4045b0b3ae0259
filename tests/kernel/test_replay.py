"""Replays count every packet once, lose no event, and report packets that were left out."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from scapy.layers.inet import TCP

from pktexp.bpf import libbpf
from pktexp.commands.replay import linktypes
from pktexp.commands.replay.packets import Packet, Record
from pktexp.commands.replay.report import report
from pktexp.commands.replay.run import Replayer
from pktexp.errors import PktexpError
from pktexp.packet.enums import LinkType, SizeGroup
from pktexp.settings import FlowMode, Format
from support.packets.captures import WLAN, flows, traffic, write_pcap, write_pcapng
from support.packets.cases import ETHER, V4, V6, all_cases, expected_flows, expected_traffic
from support.patience import finished

CASES = [case for case in all_cases() if len(case.frame) >= 14]
FRAMES = [case.frame for case in CASES]
FLOOD = 400_000  # more flows than the cache and the ring can hold


@pytest.fixture(scope="module")
def replayers() -> Iterator[dict[FlowMode, Replayer]]:
    lib = libbpf.find()
    made = {mode: Replayer(lib, mode) for mode in FlowMode}
    yield made
    for replayer in made.values():
        replayer.close()


def packet(frame: bytes, length: int = 0) -> Packet:
    return Packet(frame, length or len(frame), LinkType.ETHERNET)


def replay(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pktexp", "replay", *map(str, arguments)]
    return finished(command, capture_output=True)


def test_every_case_is_counted_in_its_class(replayers: dict[FlowMode, Replayer]) -> None:
    for mode in (FlowMode.HOSTS, FlowMode.SOCKETS):
        replayed = replayers[mode].run("cases", map(packet, FRAMES))
        assert traffic(replayed) == expected_traffic(CASES)
        assert flows(replayed) == expected_flows(CASES, sockets=mode is FlowMode.SOCKETS)
        assert not replayed.left_out
        assert not replayed.error


def test_totals_are_the_same_without_flows(replayers: dict[FlowMode, Replayer]) -> None:
    replayed = replayers[FlowMode.OFF].run("cases", map(packet, FRAMES))
    assert traffic(replayed) == expected_traffic(CASES)
    assert len(replayed.told.keys) == 0


def test_second_capture_starts_from_zero(replayers: dict[FlowMode, Replayer]) -> None:
    replayer = replayers[FlowMode.HOSTS]
    replayer.run("first", map(packet, FRAMES))
    replayed = replayer.run("second", [packet(bytes(ETHER / V4))])
    assert traffic(replayed) == {("other", "4"): (1, 34)}
    assert flows(replayed) == {("other", "192.0.2.1", "192.0.2.2"): (1, 34)}


def test_each_packet_is_parsed_by_its_link_type(
    replayers: dict[FlowMode, Replayer],
) -> None:
    packets = [
        packet(bytes(ETHER / V4)),
        Packet(bytes(V6), 40, LinkType.IP),
        Packet(b"", 100, LinkType.OPAQUE),
        packet(bytes(ETHER / V6)),
    ]
    replayed = replayers[FlowMode.HOSTS].run("mixed", packets)
    assert replayed.snapshot().counters["unparsed"].sum() == 0
    assert {protocol[1]: sums for protocol, sums in traffic(replayed).items()} == {
        "": (1, 100),
        "4": (1, 34),
        "6": (2, 94),
    }


def test_flood_of_flows_loses_no_event(replayers: dict[FlowMode, Replayer]) -> None:
    frame = bytearray(bytes(ETHER / V4))
    seeded = random.Random(1)

    def flood() -> Iterator[Packet]:
        for source in seeded.sample(range(1 << 32), FLOOD):
            frame[26:30] = source.to_bytes(4)
            yield packet(bytes(frame))

    replayed = replayers[FlowMode.HOSTS].run("flood", flood())
    assert int(replayed.totals.counters["lost"]["packets"].sum()) == 0
    assert len(replayed.told.keys) == FLOOD
    assert replayed.told.packets.tolist() == [1] * FLOOD


def test_truncated_packets_count_their_bytes_on_the_wire(
    replayers: dict[FlowMode, Replayer],
) -> None:
    kept = [packet(case.frame[:160], len(case.frame)) for case in CASES]
    replayed = replayers[FlowMode.HOSTS].run("kept", kept)
    assert traffic(replayed) == expected_traffic(CASES)


def test_packets_cut_by_the_capture_show_no_half_addresses(
    replayers: dict[FlowMode, Replayer],
) -> None:
    whole = bytes(ETHER / V4)
    for kept in range(14, 34):
        replayed = replayers[FlowMode.HOSTS].run("cut", [packet(whole[:kept], 1000)])
        assert flows(replayed) == {("other", "", ""): (1, 1000)}
        assert traffic(replayed) == {("other", "4"): (1, 1000)}
        assert replayed.snapshot().counters["unparsed"].sum() == 1


@pytest.mark.parametrize("length", [75_000, 100_000, 200_000, 262_144, 262_145, (1 << 32) - 1])
def test_packet_of_any_length_is_counted_with_it(
    replayers: dict[FlowMode, Replayer], length: int
) -> None:
    kept = bytes(ETHER / V4 / TCP(sport=1234, dport=53)) + bytes(min(length, 300_000) - 54)
    replayed = replayers[FlowMode.SOCKETS].run("long", [packet(kept, length)] * 3)
    assert traffic(replayed) == {("tcp", "4"): (3, 3 * length)}
    assert flows(replayed) == {("tcp", "192.0.2.1:1234", "192.0.2.2:53"): (3, 3 * length)}
    sizes = replayed.snapshot().sizes[0, 0]
    assert sizes[SizeGroup.TCP].tolist() == [0] * 10 + [3]
    assert sizes.sum() == 3
    assert not replayed.left_out


@pytest.mark.parametrize("length", range(14))
def test_packet_too_short_for_a_header_is_counted(
    replayers: dict[FlowMode, Replayer], length: int
) -> None:
    whole = bytes(ETHER / V4)[:length]
    packets = [linktypes.packet(Record(whole, length, number)) for number in (1, 113, 276)]
    replayed = replayers[FlowMode.HOSTS].run("short", packets)
    assert traffic(replayed) == {("other", ""): (3, 3 * length)}
    assert flows(replayed) == {("other", "", ""): (3, 3 * length)}
    assert replayed.snapshot().counters["unparsed"][0, 0].tolist() == [0, 3, *[0] * 6]


def test_short_packet_of_ip_is_counted_as_ip(replayers: dict[FlowMode, Replayer]) -> None:
    records = [Record(b"\x45" + bytes(5), 6, 101), Record(b"\x60" + bytes(5), 6, 101)]
    replayed = replayers[FlowMode.HOSTS].run("short", map(linktypes.packet, records))
    assert traffic(replayed) == {("other", "4"): (1, 6), ("other", "6"): (1, 6)}
    assert flows(replayed) == {("other", "", ""): (2, 12)}


def test_packets_left_out_are_counted_by_reason(replayers: dict[FlowMode, Replayer]) -> None:
    numbers = (105, 1, 192, 105, 147)
    records = [Record(bytes(ETHER / V4), 34, number) for number in numbers]
    replayed = replayers[FlowMode.HOSTS].run("foreign", map(linktypes.packet, records))
    assert traffic(replayed) == {("other", "4"): (1, 34)}
    assert replayed.left_out == {
        "link type LINKTYPE_IEEE802_11 (105) is not supported": 2,
        "link type LINKTYPE_PPI (192) is not supported": 1,
        "link type 147 is not supported": 1,
    }


def test_packets_before_an_error_are_counted(replayers: dict[FlowMode, Replayer]) -> None:
    broken = PktexpError("it broke", "mend it")

    def packets() -> Iterator[Packet]:
        yield packet(bytes(ETHER / V4))
        raise broken

    replayed = replayers[FlowMode.HOSTS].run("broken", packets())
    assert replayed.error is broken
    assert traffic(replayed) == {("other", "4"): (1, 34)}


def test_largest_flows_and_others_sum_to_the_totals(
    replayers: dict[FlowMode, Replayer],
) -> None:
    replayed = replayers[FlowMode.SOCKETS].run("cases", map(packet, FRAMES))
    whole = json.loads(report(replayed, Format.JSON, 100_000))
    part = json.loads(report(replayed, Format.JSON, 3))
    weights = sorted((flow["bytes"] for flow in whole["flows"]), reverse=True)
    assert [flow["bytes"] for flow in part["flows"]] == weights[:3]
    assert part["other"]["bytes"] == sum(weights[3:])
    for unit in ("packets", "bytes"):
        page = _sums(report(replayed, Format.PROMETHEUS, 3), f"pktexp_flow_{unit}_total")
        assert page["other"] == part["other"][unit]
        assert sum(page.values()) == whole[unit] == sum(flow[unit] for flow in whole["flows"])


def _sums(page: str, name: str) -> dict[str, int]:
    families = text_string_to_metric_families(page)
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {
        " ".join({s.labels["source"], s.labels["dest"], s.labels["protocol"]}): int(s.value)
        for s in samples
    }


def test_interface_has_the_name_of_the_file(tmp_path: Path) -> None:
    done = replay(write_pcap(tmp_path / "cases.pcap.gz", FRAMES, gz=True))
    assert (done.returncode, done.stderr) == (0, "")
    names = {
        sample.labels["interface"]
        for family in text_string_to_metric_families(done.stdout)
        for sample in family.samples
    }
    assert names == {"cases"}


def test_table_has_aligned_columns(tmp_path: Path) -> None:
    frames = [bytes(ETHER / V4) + bytes(1466)] * 2000 + [bytes(ETHER / V6)]
    done = replay("--format", "table", write_pcap(tmp_path / "two.pcap", frames))
    assert done.stdout.splitlines() == [
        "protocol  source       dest         packets   bytes",
        "other     192.0.2.1    192.0.2.2      2,000  3.0 MB",
        "other     2001:db8::1  2001:db8::2        1    54 B",
        "other                                     0     0 B",
        "total                                 2,001  3.0 MB",
    ]


def test_malformed_file_is_shown_up_to_the_error(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "broken.pcap", [bytes(ETHER / V4)] * 3)
    path.write_bytes(path.read_bytes()[:-1])
    done = replay("--format", "json", path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["packets"] == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"pktexp: error: {path} is malformed at packet 3: ")


def test_files_of_other_formats_are_one_line_of_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.touch()
    for path in (tmp_path / "missing.pcap", empty):
        done = replay(path)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("pktexp: error: ")


def test_packets_left_out_are_a_warning(tmp_path: Path) -> None:
    frames = [(1, bytes(ETHER / V4)), (WLAN, b"junk" * 5), (1, bytes(ETHER / V6))]
    done = replay("--format", "json", write_pcapng(tmp_path / "foreign.pcapng", frames))
    assert done.returncode == 0
    assert json.loads(done.stdout)["packets"] == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("1 packets left out: link type LINKTYPE_IEEE802_11 (105) is not supported")
