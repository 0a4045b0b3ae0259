"""Named networks: the file, the search, and the sums."""

from __future__ import annotations

import threading
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktexp.errors import PktexpError
from pktexp.flows.networks import NamedNetworks, Network, Networks, read
from pktexp.flows.networksums import INTERFACE_CLASSES, NetworkSums
from pktexp.packet.enums import IpClass, LinkClass, PacketClass
from pktexp.packet.records import RING_RECORD, Records
from support.patience import joined

# Few bits, so that networks contain one another and hold addresses.
LENGTHS = {
    4: st.sampled_from([0, 1, 8, 9, 15, 16, 31, 32]),
    6: st.sampled_from([0, 3, 64, 65, 128]),
}
BITS = {4: 32, 6: 128}


@st.composite
def addresses(draw: st.DrawFn) -> IPv4Address | IPv6Address:
    version = draw(st.sampled_from([4, 6]))
    high, low = draw(st.integers(0, 255)), draw(st.integers(0, 3))
    number = high << BITS[version] - 8 | draw(st.sampled_from([0, 1 << 15])) | low
    return IPv4Address(number) if version == 4 else IPv6Address(number)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    address = draw(addresses())
    return ip_network((address, draw(LENGTHS[address.version])), strict=False)


def longest(named: dict[Network, str], address: IPv4Address | IPv6Address) -> str:
    around = [n for n in named if n.version == address.version and address in n]
    return named[max(around, key=lambda n: n.prefixlen)] if around else "other"


def records(*pairs: tuple[str, str], interface: int = 0, size: int = 100) -> Records:
    found = np.zeros(len(pairs), RING_RECORD)
    for flow, (source, dest) in zip(found["flow"], pairs, strict=True):
        version = ip_address(source).version
        flow["packet_class"] = PacketClass.IPV4 if version == 4 else PacketClass.IPV6
        flow["packet_class"] += IpClass.TCP
        for field, text in (("saddr", source), ("daddr", dest)):
            packed = ip_address(text).packed
            flow[field][: len(packed)] = list(packed)
        flow["interface"], flow["packets"], flow["bytes"] = interface, 2, size
    return found


@given(st.dictionaries(networks(), st.sampled_from("abc")), st.lists(addresses(), min_size=1))
def test_smallest_network_that_holds_an_address_names_it(
    named: dict[Network, str], wanted: list[IPv4Address | IPv6Address]
) -> None:
    batch = records(*((str(address), str(address)) for address in wanted))["flow"]
    made = Networks(named)
    found = made.find(batch["saddr"], batch["packet_class"])
    assert [made.names[i] for i in found] == [longest(named, address) for address in wanted]


def test_packets_other_than_ip_are_in_no_network() -> None:
    made = Networks({ip_network("0.0.0.0/0"): "all"})
    batch = records(("192.0.2.1", "192.0.2.2"))["flow"]
    batch["packet_class"] = PacketClass.LINK + LinkClass.ARP
    assert made.find(batch["saddr"], batch["packet_class"]).tolist() == [0]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the file names no networks"),
        ("- 10.0.0.0/8", 1, "expected keys"),
        ("a: 10.0.0.0/8\nb: 10.0.0.0/33", 2, "not a network"),
        ("a: 10.0.0.1/8", 1, "has host bits set"),
        ("a:\n- 10.0.0.0/8\n- nonsense", 3, "not a network"),
        ("a: 10.0.0.0/8\nb: ['::/0', 10.0.0.0/8]", 2, "already has the name 'a'"),
        ("a: 10.0.0.0/8\na: 11.0.0.0/8", 2, "duplicate key"),
        ("other: 10.0.0.0/8", 1, "'other' is reserved"),
        ("a: []", 1, "has no networks"),
        ("a:\nb: ::/0", 1, "has no networks"),
        ("a: {b: 10.0.0.0/8}", 1, "expected a single value"),
        ("\n".join(f"n{i}: 10.0.{i}.0/24" for i in range(65)), 1, "65 names"),
    ],
)
def test_mistake_in_the_file_is_reported_with_its_line(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    file = tmp_path / "networks.yml"
    file.write_text(text)
    with pytest.raises(PktexpError) as raised:
        read(file)
    assert str(raised.value).startswith(f"{file}:{line}: ")
    assert message in str(raised.value)


def test_name_may_have_one_network_or_many(tmp_path: Path) -> None:
    file = tmp_path / "networks.yml"
    file.write_text("a: 10.0.0.0/8\nb: ['::/0', 192.0.2.1]\n")
    assert {str(network): name for network, name in read(file).items()} == {
        "10.0.0.0/8": "a",
        "::/0": "b",
        "192.0.2.1/32": "b",
    }


class Named(NamedNetworks):
    """Networks named in the test, without a file."""

    def __init__(self, **named: str) -> None:
        super().__init__(Path())
        self.name(**named)

    def name(self, **named: str) -> None:
        self.current = Networks({ip_network(text): name for name, text in named.items()})


def sums(made: NetworkSums) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Return packets and bytes by (class, source, dest)."""
    names, found = made.snapshot()
    return {
        (INTERFACE_CLASSES[kind].value, names[source], names[dest]): tuple(
            found[kind, way, source, dest].tolist()
        )
        for kind, way, source, dest in np.argwhere(found[..., 0]).tolist()
    }


def test_sums_are_kept_by_class_and_names() -> None:
    classes = np.array([INTERFACE_CLASSES.index(c) for c in ("physical", "virtual")], np.uint8)
    made = NetworkSums(Named(a="10.0.0.0/8", b="192.0.2.0/24"), classes)
    made.merge(records(("10.0.0.1", "192.0.2.1"), ("10.0.0.2", "192.0.2.1"), ("::", "::1")))
    made.merge(records(("192.0.2.1", "203.0.113.1"), interface=7))  # its slot is 1
    made.fold(records(("10.0.0.1", "192.0.2.1")))
    assert sums(made) == {
        ("physical", "a", "b"): (4, 200),
        ("physical", "other", "other"): (4, 200),
        ("virtual", "b", "other"): (2, 100),
    }


def test_kept_names_keep_sums_and_removed_names_move_to_other() -> None:
    named = Named(a="10.0.0.0/8", b="192.0.2.0/24")
    made = NetworkSums(named, np.zeros(2, np.uint8))
    made.merge(records(("10.0.0.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1")))
    named.name(c="203.0.113.0/24", b="192.0.2.0/25")
    made.merge(records(("203.0.113.1", "192.0.2.1"), ("10.0.0.1", "192.0.2.1")))
    kind = INTERFACE_CLASSES[0].value
    assert sums(made) == {
        (kind, "other", "b"): (4, 200),
        (kind, "b", "b"): (2, 100),
        (kind, "c", "b"): (2, 100),
    }


def test_no_packet_is_lost_while_threads_merge_and_the_file_changes() -> None:
    named = Named(a="10.0.0.0/8")
    made = NetworkSums(named, np.zeros(2, np.uint8))
    batch = records(("10.0.0.1", "192.0.2.1"))

    def work() -> None:
        for _ in range(500):
            made.merge(batch)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(200):
        named.name(**{f"n{number % 3}": "10.0.0.0/8", "x": "192.0.2.0/24"})
    joined(*threads)
    assert sum(packets for packets, _ in sums(made).values()) == 3 * 500 * 2
