"""What packets are beside their protocol, every value of it, by each of the three programs."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from pktexp.bpf import libbpf
from pktexp.bpf.counters import InterfaceTable
from pktexp.bpf.datapath import PROGRAMS, Datapath
from pktexp.bpf.options import DatapathOptions
from pktexp.interfaces.leases import Lease
from pktexp.interfaces.totals import Snapshot
from pktexp.metrics.exposition import write
from pktexp.metrics.traffic import families
from pktexp.packet import labels
from pktexp.packet.enums import Direction, LinkType
from support.kernel.datapath import LOOPBACK, SLOT, Bench
from support.service.process import parse

FLAGS = "FSRPAUEC"  # scapy's letters, from the lowest bit on
NAMES = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = IP(src="192.0.2.1", dst="192.0.2.2")
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
# struct __sk_buff (include/uapi/linux/bpf.h, 6.1): offsets of two fields, and its size.
GSO_SEGS, GSO_SIZE, SK_BUFF = 164, 176, 192
ICMP_NAMES = {
    0: "echo_reply",
    3: "unreachable",
    4: "source_quench",
    5: "redirect",
    8: "echo_request",
    9: "router_advertisement",
    10: "router_solicitation",
    11: "time_exceeded",
    12: "parameter_problem",
    13: "timestamp_request",
    14: "timestamp_reply",
}
ICMPV6_NAMES = {
    1: "unreachable",
    2: "packet_too_big",
    3: "time_exceeded",
    4: "parameter_problem",
    128: "echo_request",
    129: "echo_reply",
    130: "listener_query",
    131: "listener_report",
    132: "listener_done",
    133: "router_solicitation",
    134: "router_advertisement",
    135: "neighbor_solicitation",
    136: "neighbor_advertisement",
    137: "redirect",
    143: "listener_report_v2",
}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Bench]:
    datapath = Datapath(libbpf.find(), DatapathOptions(events=False, slots=16))
    table = InterfaceTable(datapath.interfaces)
    assert table.set(LOOPBACK, SLOT, LinkType.ETHERNET)
    datapath.counters.require(SLOT)
    yield Bench(datapath, table, datapath.counters)
    datapath.close()


@pytest.fixture(autouse=True)
def from_zero(loaded: Bench) -> None:
    loaded.counters.restart(SLOT)


def found(loaded: Bench, name: str, label: str, **others: str) -> Counter[str]:
    """The page's samples of a family by one label, both directions together; 0 left out."""
    totals = loaded.counters.read(np.array([SLOT]))
    snapshot = Snapshot([Lease("lo", SLOT, SLOT)], totals, tuple(Direction), {})
    sums: Counter[str] = Counter()
    asked = [family for family in families(snapshot) if name.startswith(family.name)]
    for (sample, key), value in parse(write(asked, openmetrics=False)).items():
        values = dict(key)
        if sample == name and others.items() <= values.items():
            sums[values.get(label, "")] += int(value)
    return +sums


def run(loaded: Bench, program: str, packet: Packet, context: bytes = b"") -> None:
    loaded.datapath.test_run(bytes(packet), program=program, context=context)


def letters(bits: int) -> str:
    return "".join(letter for bit, letter in enumerate(FLAGS) if bits >> bit & 1)


@pytest.mark.parametrize("network", [V4, V6], ids=["ipv4", "ipv6"])
def test_tcp_packet_counts_for_each_flag_it_carries(
    loaded: Bench, program: str, network: Packet
) -> None:
    for bits in range(256):
        loaded.counters.restart(SLOT)
        run(loaded, program, ETHER / network / TCP(flags=letters(bits)))
        expected = {name: 1 for bit, name in enumerate(NAMES) if bits >> bit & 1}
        assert found(loaded, "pktexp_tcp_flags_total", "flag") == expected, letters(bits)


def test_every_type_of_icmp_has_its_name(loaded: Bench, program: str) -> None:
    for number in range(256):
        loaded.counters.restart(SLOT)
        run(loaded, program, ETHER / V4 / ICMP(type=number))
        run(loaded, program, ETHER / V6 / ICMP(type=number))  # a protocol of IPv4 in IPv6
        run(loaded, program, ETHER / V6.copy() / Raw(bytes([number, 0, 0, 0])))
        v6 = bytes(ETHER / IPv6(nh=58) / Raw(bytes([number, 0, 0, 0, 0, 0, 0, 0])))
        loaded.datapath.test_run(v6, program=program)
        name = "pktexp_icmp_packets_total"
        assert found(loaded, name, "type", protocol="icmp") == {ICMP_NAMES.get(number, "other"): 1}
        expected = {ICMPV6_NAMES.get(number, "other"): 1}
        assert found(loaded, name, "type", protocol="icmpv6") == expected, number


def test_first_and_later_fragments_are_counted(loaded: Bench, program: str) -> None:
    rest = Raw(bytes(64))
    whole = [
        V4 / rest,
        IP(flags="DF") / rest,
        V6 / rest,
        V6 / IPv6ExtHdrFragment(m=0, offset=0) / rest,  # atomic (RFC 6946)
    ]
    fragments = [
        IP(flags="MF") / rest,
        IP(frag=1) / rest,
        IP(frag=0x1FFF, flags="MF+DF") / rest,
        V6 / IPv6ExtHdrFragment(m=1, offset=0) / rest,
        V6 / IPv6ExtHdrFragment(m=0, offset=1) / rest,
        V6 / IPv6ExtHdrFragment(m=1, offset=0x1FFF) / rest,
    ]
    for packet in whole:
        run(loaded, program, ETHER / packet)
    assert found(loaded, "pktexp_fragments_total", "") == {}
    for number, packet in enumerate(fragments, 1):
        run(loaded, program, ETHER / packet)
        assert found(loaded, "pktexp_fragments_total", "") == {"": number}, packet


def test_only_congestion_experienced_counts_as_marked(loaded: Bench, program: str) -> None:
    for field in range(256):
        loaded.counters.restart(SLOT)
        run(loaded, program, ETHER / IP(tos=field) / TCP())
        run(loaded, program, ETHER / IPv6(tc=field, fl=0xFFFFF) / TCP())
        marked = {"": 2} if field & 3 == 3 else {}
        assert found(loaded, "pktexp_ecn_marked_packets_total", "") == marked, field


@pytest.mark.parametrize(
    ("address", "cast"),
    [
        ("ff:ff:ff:ff:ff:ff", {"broadcast": 1}),
        ("01:00:5e:00:00:01", {"multicast": 1}),
        ("33:33:00:00:00:01", {"multicast": 1}),
        ("ff:ff:ff:ff:ff:fe", {"multicast": 1}),
        ("ff:ff:ff:ff:00:ff", {"multicast": 1}),
        ("02:00:00:00:00:02", {}),
        ("fe:ff:ff:ff:ff:ff", {}),
    ],
)
def test_mac_address_decides_between_broadcast_and_multicast(
    loaded: Bench, program: str, address: str, cast: dict[str, int]
) -> None:
    run(loaded, program, Ether(dst=address) / V4)
    assert found(loaded, "pktexp_group_packets_total", "cast") == cast


def large(segments: int, size: int) -> bytes:
    """A socket buffer that stands for many packets, of so many bytes of payload."""
    context = bytearray(SK_BUFF)
    struct.pack_into("=I", context, GSO_SEGS, segments)
    struct.pack_into("=I", context, GSO_SIZE, size)
    return bytes(context)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("program", PROGRAMS[1:])
def test_large_segment_has_cwr_on_its_first_and_fin_on_its_last_packet(
    loaded: Bench, program: str, told: bool
) -> None:
    payload, size = 3400, 1000
    packet = ETHER / V4 / TCP(flags="FPAC") / Raw(bytes(payload))
    run(loaded, program, packet, large(4 if told else 0, size))
    flags = found(loaded, "pktexp_tcp_flags_total", "flag")
    assert flags == {"ack": 4, "cwr": 1, "fin": 1, "psh": 1}
    headers = len(packet) - payload
    assert found(loaded, "pktexp_packets_total", "protocol") == {"tcp": 4}
    assert found(loaded, "pktexp_bytes_total", "protocol") == {"tcp": payload + 4 * headers}
    sizes = found(loaded, "pktexp_packet_size_bytes_bucket", "le")
    assert (sizes["512.0"], sizes["1024.0"], sizes["1518.0"]) == (1, 1, 4)


@pytest.mark.parametrize("program", PROGRAMS[1:])
@pytest.mark.parametrize("segments", [0, 1, 3])
@pytest.mark.parametrize("size", [1, 1000, 0xFFFF])
def test_impossible_segment_headers_count_one_packet_each(
    loaded: Bench, program: str, segments: int, size: int
) -> None:
    longer = bytearray(bytes(ETHER / V4 / TCP() / Raw(bytes(20))))
    longer[46] = 0xF0  # a TCP header of 60 bytes, where 40 are left
    empty = bytes(ETHER / V4 / TCP())
    for frame in (bytes(longer), empty, bytes(ETHER / V4), bytes(ETHER)):
        loaded.counters.restart(SLOT)
        verdict = loaded.datapath.test_run(frame, program=program, context=large(segments, size))
        assert verdict == -1
        packets = sum(found(loaded, "pktexp_packets_total", "protocol").values())
        bytes_ = sum(found(loaded, "pktexp_bytes_total", "protocol").values())
        assert 1 <= packets <= (segments or len(frame)), frame
        assert len(frame) <= bytes_ <= packets * len(frame)


def test_all_names_of_icmp_types_are_tested() -> None:
    named = {(p, n) for p, n in labels.ICMP_TYPES.values() if n not in ("other", "none")}
    expected = {("icmp", n) for n in ICMP_NAMES.values()}
    assert named == expected | {("icmpv6", n) for n in ICMPV6_NAMES.values()}
