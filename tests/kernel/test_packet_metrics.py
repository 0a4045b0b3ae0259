"""Flags, types, fragments, marks and casts of packets, as the page says them, by every program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import product

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from pktexp.interfaces import Snapshot
from pktexp.kernel.enums import Direction, LinkType, Tunnel
from pktexp.leases import Lease
from pktexp.packetmetrics import packet_families
from support.datapath import SLOT, Bench
from support.icmp import ICMP_NAMES, ICMPV6_NAMES
from support.packets import ETHER, V4, V6
from support.programs import DIRECTIONS, EGRESS, INGRESS, VERDICTS, large, look

Samples = dict[tuple[str, ...], int]
"""name, then the values of its labels -> packets"""

FLAGS = dict(zip("FSRPAUEC", ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"), strict=True))
MARKED = 3  # ECN (RFC 3168, 5)


@pytest.fixture
def plain(bench: Callable[..., Bench]) -> Bench:
    return bench()


def samples(bench: Bench) -> Samples:
    """Of every family of packetmetrics.py, in either direction."""
    counted = bench.counters.read(np.array([SLOT]))
    snapshot = Snapshot([Lease("lo", SLOT, SLOT)], counted, tuple(Direction), {})
    found = {}
    for family in packet_families(snapshot):
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("interface") == "lo"
            found[sample.name, *labels.values()] = int(sample.value)
    return found


def check(bench: Bench, packet: Packet | bytes, expected: Samples, context: bytes = b"") -> None:
    """By each program, in its direction; `context` is for socket buffers alone."""
    for program in VERDICTS:
        if context and program not in (INGRESS, EGRESS):
            continue
        look(bench, bytes(packet), program, context)
        direction = DIRECTIONS[program].name.lower()
        wanted = {(name, direction, *rest): n for (name, *rest), n in expected.items() if n}
        assert samples(bench) == wanted, (packet, program)


def tcp_flags(segments: Iterable[Packet]) -> Samples:
    """Packets by flag, as scapy reads them."""
    letters = Counter(letter for segment in segments for letter in str(segment[TCP].flags))
    return {("pktexp_tcp_flags_total", FLAGS[letter]): n for letter, n in letters.items()}


def test_every_combination_of_tcp_flags_counts_each_of_its_flags(plain: Bench) -> None:
    for network, bits in product((V4, V6), range(256)):
        packet = ETHER / network / TCP(flags=bits)
        check(plain, packet, tcp_flags([packet]))


def segmented(bits: int, segments: int) -> list[Packet]:
    """What tcp_gso_segment makes of it (net/ipv4/tcp_offload.c, 6.6)."""
    cut: list[Packet] = []
    for number in range(segments):
        flags = bits
        if number < segments - 1:
            flags &= ~0x09  # FIN and PSH stay with the last
        if number > 0:
            flags &= ~0x80  # CWR stays with the first
        cut.append(V4 / TCP(flags=flags))
    return cut


def test_flags_of_a_large_segment_count_as_those_of_the_packets_it_stands_for(
    plain: Bench,
) -> None:
    for segments, bits in product((1, 2, 3, 20), range(256)):
        packet = ETHER / V4 / TCP(flags=bits) / Raw(bytes(50 * segments))
        expected = tcp_flags(segmented(bits, segments))
        check(plain, packet, expected, large(segments, 50))


def test_marks_and_casts_of_a_large_segment_count_for_each_packet(plain: Bench) -> None:
    network = IP(src="192.0.2.1", dst="192.0.2.2", tos=MARKED)
    packet = Ether(dst="01:00:5e:00:00:01") / network / UDP(sport=1, dport=9) / Raw(bytes(1000))
    expected = {
        ("pktexp_ecn_marked_packets_total",): 10,
        ("pktexp_group_packets_total", "multicast"): 10,
    }
    check(plain, packet, expected, large(10, 100))
    seen = look(plain, bytes(packet), INGRESS, large(10, 100))
    assert seen.bytes == 10 * (14 + 20 + 8 + 100)


def test_every_type_of_icmp_counts_under_its_name_or_other(plain: Bench) -> None:
    name = "pktexp_icmp_packets_total"
    for number in range(256):
        rest = Raw(bytes([number]) + bytes(7))
        kind = ICMP_NAMES.get(number, "other")
        packet = ETHER / IP(src="192.0.2.1", dst="192.0.2.2", proto=1) / rest
        check(plain, packet, {(name, "icmp", kind): 1})
        kind = ICMPV6_NAMES.get(number, "other")
        packet = ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=58) / rest
        check(plain, packet, {(name, "icmpv6", kind): 1})


def test_the_other_versions_icmp_and_what_icmp_quotes_have_no_type(plain: Bench) -> None:
    rest = Raw(bytes(8))
    for packet in (
        ETHER / IP(src="192.0.2.1", dst="192.0.2.2", proto=58) / rest,
        ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=1) / rest,
    ):
        check(plain, packet, {})
    quoting = ETHER / V4 / ICMP(type=3) / V4 / TCP(flags="S")
    check(plain, quoting, {("pktexp_icmp_packets_total", "icmp", "unreachable"): 1})


def test_every_fragment_counts_and_nothing_else_does(plain: Bench) -> None:
    big = UDP(sport=1, dport=9) / Raw(bytes(2000))
    parts = [*fragment(V4 / big, 800), *fragment6(V6 / IPv6ExtHdrFragment() / big, 800)]
    assert len(parts) == 6
    edges: list[Packet] = [
        IP(src="192.0.2.1", dst="192.0.2.2", frag=1, proto=17) / Raw(bytes(20)),
        IP(src="192.0.2.1", dst="192.0.2.2", frag=0x1FFF, proto=17) / Raw(bytes(20)),
        IP(src="192.0.2.1", dst="192.0.2.2", frag=0x1000, proto=17) / Raw(bytes(20)),
        V6 / IPv6ExtHdrFragment(offset=1, nh=17) / Raw(bytes(20)),
        V6 / IPv6ExtHdrFragment(offset=0x1FFF, nh=17) / Raw(bytes(20)),
    ]
    for part in (*parts, *edges):
        check(plain, ETHER / part, {("pktexp_fragments_total",): 1})
    for whole in (
        V4 / big,
        IP(src="192.0.2.1", dst="192.0.2.2", flags="DF") / big,
        V6 / big,
        V6 / IPv6ExtHdrFragment() / big,  # atomic (RFC 6946)
        V6 / IPv6ExtHdrFragment(res1=255, res2=3) / big,
    ):
        check(plain, ETHER / whole, {})


def test_only_congestion_experienced_is_a_mark(plain: Bench) -> None:
    for field in range(256):
        marked: Samples = {("pktexp_ecn_marked_packets_total",): int(field & 3 == MARKED)}
        for network in (
            IP(src="192.0.2.1", dst="192.0.2.2", tos=field),
            IPv6(src="2001:db8::1", dst="2001:db8::2", tc=field, fl=0xFFFFF),
        ):
            check(plain, ETHER / network / UDP(sport=1, dport=9), marked)


@pytest.mark.parametrize("payload", [V4 / UDP(sport=1, dport=9), ARP(), Dot1Q(vlan=5) / V4])
def test_a_frame_to_many_counts_as_broadcast_or_multicast(plain: Bench, payload: Packet) -> None:
    for address, cast in (
        ("ff:ff:ff:ff:ff:ff", "broadcast"),
        ("01:00:5e:00:00:01", "multicast"),
        ("33:33:00:00:00:01", "multicast"),
        ("ff:ff:ff:ff:ff:fe", "multicast"),
        ("ff:ff:ff:ff:fe:ff", "multicast"),
        ("ff:fe:ff:ff:ff:ff", "multicast"),
        ("fe:ff:ff:ff:ff:ff", ""),
        ("00:00:00:00:00:00", ""),
        ("02:00:00:00:00:02", ""),
    ):
        count = int(bool(cast))
        check(plain, Ether(dst=address) / payload, {("pktexp_group_packets_total", cast): count})


def test_without_ethernet_no_packet_is_broadcast(bench: Callable[..., Bench]) -> None:
    packet = IP(src="192.0.2.1", dst="255.255.255.255") / UDP(sport=1, dport=9)
    check(bench(LinkType.IP), packet, {})


def test_what_is_inside_a_tunnel_is_not_counted_but_the_tunnel(
    bench: Callable[..., Bench],
) -> None:
    """Fragment, mark and flags are of the packet inside."""
    inside = IP(src="10.0.0.1", dst="10.0.0.2", tos=MARKED, flags="MF") / TCP(flags="S")
    packet = ETHER / IP(src="192.0.2.1", dst="192.0.2.2", tos=2) / inside
    check(bench(decap=tuple(Tunnel)), packet, {("pktexp_tunnelled_packets_total", "ipip"): 1})
