"""Class, flow and parse error of single frames, run through the XDP program."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import TCP

from pktexp.packet import labels
from pktexp.packet.enums import LinkType
from support.kernel.datapath import Bench
from support.packets.cases import ETHER, V4, Case, all_cases

XDP_PASS = 2
CASES = all_cases()


@pytest.fixture
def ethernet(bench: Callable[..., Bench]) -> Bench:
    return bench(LinkType.ETHERNET)


def test_every_case_passes_and_is_counted_in_its_class(ethernet: Bench) -> None:
    for case in CASES:
        ethernet.counters.restart(5)
        assert ethernet.datapath.test_run(case.frame) == XDP_PASS, case
        expected = {(case.protocol, case.ip_version): (1, len(case.frame))}
        assert ethernet.traffic() == expected, case
        assert ethernet.unparsed() == ({case.unparsed: 1} if case.unparsed else {}), case
        (event,) = ethernet.events()
        assert labels.endpoints(event) == case.sockets, case
        assert (event["packets"], event["bytes"]) == (1, len(case.frame)), case


def test_a_frame_cut_at_any_byte_passes_and_is_counted_once(ethernet: Bench) -> None:
    for case in CASES:
        whole = case.frame[:200]
        for length in range(14, len(whole)):
            ethernet.counters.restart(5)
            assert ethernet.datapath.test_run(whole[:length]) == XDP_PASS
            assert sum(packets for packets, _ in ethernet.traffic().values()) == 1
            assert sum(bytes_ for _, bytes_ in ethernet.traffic().values()) == length
            assert len(ethernet.events()) == 1


@pytest.mark.parametrize(
    ("length", "flags", "unparsed"), [(47, 0, {"truncated_transport": 1}), (48, 0x12, {})]
)
def test_a_tcp_header_cut_before_its_flags_gives_its_ports(
    ethernet: Bench, length: int, flags: int, unparsed: dict[str, int]
) -> None:
    frame = bytes(ETHER / V4 / TCP(sport=1234, dport=53, flags="SA"))
    ethernet.datapath.test_run(frame[:length])
    (event,) = ethernet.events()
    assert (event["ports"].tolist(), event["tcp_flags"]) == ([1234, 53], flags)
    assert ethernet.unparsed() == unparsed


def without_link_layer(case: Case) -> bool:
    return case.ip_version != "" and case.frame[12:14] in (b"\x08\x00", b"\x86\xdd")


def test_an_ip_interface_is_parsed_from_the_ip_header(
    bench: Callable[..., Bench],
) -> None:
    ip = bench(LinkType.IP)
    cases = [case for case in CASES if without_link_layer(case) and len(case.frame) >= 28]
    assert len(cases) > 60
    for case in cases:
        if case.name in ("ipv4 of version 6", "ipv6 of version 4"):
            continue  # without an ethertype only the version decides
        ip.counters.restart(5)
        assert ip.datapath.test_run(case.frame[14:]) == XDP_PASS, case
        assert ip.traffic() == {(case.protocol, case.ip_version): (1, len(case.frame) - 14)}, case
        (event,) = ip.events()
        assert labels.endpoints(event) == case.sockets, case


def test_an_opaque_interface_is_counted_without_parsing(
    bench: Callable[..., Bench],
) -> None:
    opaque = bench(LinkType.OPAQUE)
    opaque.datapath.test_run(CASES[0].frame)
    assert opaque.traffic() == {("other", ""): (1, len(CASES[0].frame))}
    assert opaque.unparsed() == {}


def test_other_bytes_on_an_ip_interface_are_unparsed(bench: Callable[..., Bench]) -> None:
    ip = bench(LinkType.IP)
    ip.datapath.test_run(b"\xf0" + bytes(40))
    assert ip.traffic() == {("other", ""): (1, 41)}
    assert ip.unparsed() == {"bad_header": 1}
